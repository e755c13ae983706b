"""The fields of a target as they are shown: without what may be a secret."""

from __future__ import annotations

from typing import Any

import attrs

from monitoring_core.targets.record import TargetRecord
from monitoring_core.targets.url import without_credentials

# The order for people: what names a target comes first.
SHOWN = (
    "id",
    "url",
    "active",
    *(name for name in attrs.fields_dict(TargetRecord) if name not in ("id", "url", "active")),
)
MASKED = "***"


def shown(record: TargetRecord) -> dict[str, object]:
    """The fields of a target for people and programs, in the order SHOWN, without what may be a secret.

    What the record's own repr leaves out is masked: of headers the values, of a body all of it; and of a URL the
    password. `dbadmin targets export` has them.
    """
    fields = attrs.fields_dict(TargetRecord)
    return {name: _masked(fields[name], getattr(record, name)) for name in SHOWN}


def _masked(field: attrs.Attribute[Any], value: Any) -> object:
    if value is None or field.repr is True:
        return value
    if field.name == "url":
        return without_credentials(value)
    return dict.fromkeys(value, MASKED) if isinstance(value, dict) else MASKED
