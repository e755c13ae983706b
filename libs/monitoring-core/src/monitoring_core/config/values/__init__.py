"""The kinds of values that settings have."""

from monitoring_core.config.values.constraints import (
    Between,
    Constraint,
    HostPort,
    Matching,
    Network,
    split_host_port,
)
from monitoring_core.config.values.quantities import Size, format_duration, parse_duration
from monitoring_core.config.values.secrets import Secret, SecretReference
from monitoring_core.config.values.shown import written
from monitoring_core.config.values.sources import SecretSources

__all__ = [
    "Between",
    "Constraint",
    "HostPort",
    "Matching",
    "Network",
    "Secret",
    "SecretReference",
    "SecretSources",
    "Size",
    "format_duration",
    "parse_duration",
    "split_host_port",
    "written",
]
