"""Who looks after a target: two labels say so, since everybody who sees a target sees its labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    from monitoring_core.targets import TargetRecord

OWNER_LABEL = "managed-by"
KEY_LABEL = "managed-key"
OWNER_LABELS = (OWNER_LABEL, KEY_LABEL)
MAX_KEY_LENGTH = 1_000
OWNER_PATTERN = "[A-Za-z0-9][A-Za-z0-9._/-]{0,99}"
_OWNER = re.compile(OWNER_PATTERN)


def owner_problem(owner: object) -> str | None:
    """Why something cannot be the name of an owner, or None."""
    if isinstance(owner, str) and _OWNER.fullmatch(owner):
        return None
    return "must be at most 100 letters, digits, dots, dashes, underscores or slashes, like shop or team-a/shop"


def key_problem(key: object) -> str | None:
    """Why something cannot be the key of a target, or None."""
    if isinstance(key, str) and 0 < len(key) <= MAX_KEY_LENGTH and key.isprintable() and key == key.strip():
        # Everybody who sees a target sees its labels.
        return None if key == without_credentials(key) else "must have no user name or password in it"
    return f"must be 1 to {MAX_KEY_LENGTH} characters of text without a space at its ends, like home"


def owner_of(record: TargetRecord) -> str | None:
    """The owner of a target; None when nobody but people looks after it."""
    return _label(record, OWNER_LABEL)


def key_of(record: TargetRecord) -> str:
    """The key of a target with its owner; empty when it has none."""
    return _label(record, KEY_LABEL) or ""


def owned(labels: dict[str, str] | None, owner: str, key: str) -> dict[str, str]:
    """The labels of a target with those that say whose it is."""
    return {**(labels or {}), OWNER_LABEL: owner, KEY_LABEL: key}


def _label(record: TargetRecord, name: str) -> str | None:
    # A row may have any JSON for labels.
    value = record.labels.get(name) if isinstance(record.labels, dict) else None
    return value if isinstance(value, str) else None
