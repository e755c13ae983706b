"""Targets: the websites to check, as a user states them and as a producer checks them."""

from monitoring_core.targets.contents import MAX_BODY_LENGTH, MAX_HEADERS, METHODS
from monitoring_core.targets.options import fields_of_options
from monitoring_core.targets.place import FAMILIES
from monitoring_core.targets.record import MAX_INTERVAL_S, MIN_INTERVAL_S, TargetRecord
from monitoring_core.targets.regexp import MAX_REGEXP_LENGTH, compile_regexp
from monitoring_core.targets.resolved import CheckDefaults, CheckSettings, Target
from monitoring_core.targets.status import StatusSet
from monitoring_core.targets.url import PLAIN_URL, without_credentials

__all__ = [
    "FAMILIES",
    "MAX_BODY_LENGTH",
    "MAX_HEADERS",
    "MAX_INTERVAL_S",
    "MAX_REGEXP_LENGTH",
    "METHODS",
    "MIN_INTERVAL_S",
    "PLAIN_URL",
    "CheckDefaults",
    "CheckSettings",
    "StatusSet",
    "Target",
    "TargetRecord",
    "compile_regexp",
    "fields_of_options",
    "without_credentials",
]
