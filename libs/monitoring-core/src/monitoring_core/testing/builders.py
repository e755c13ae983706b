"""Values with sensible defaults, for tests that care about one or two of their attributes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs

from monitoring_core.result import CheckResult, Status
from monitoring_core.targets import CheckDefaults, CheckSettings, StatusSet, Target, TargetRecord

# Those of the product.
DEFAULTS = CheckDefaults(interval_s=60, timeout_s=10.0, expected_status=StatusSet(((200, 299),)))
_OWN = ("id", "url", "problem")
_SLOT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def make_record(**overrides: Any) -> TargetRecord:
    """A valid record of an active target with id 1, and `overrides`."""
    defaults: dict[str, Any] = {"id": 1, "url": "https://example.org/"}
    return TargetRecord(**defaults | overrides)


def make_target(**overrides: Any) -> Target:
    """A target with id 1 that is checked once a minute, and `overrides` of it and of its settings."""
    own: dict[str, Any] = {"id": 1, "url": "https://example.org/"} | {k: v for k, v in overrides.items() if k in _OWN}
    settings = attrs.asdict(DEFAULTS, recurse=False) | {k: v for k, v in overrides.items() if k not in _OWN}
    return Target(settings=CheckSettings(**settings), **own)


def make_result(**overrides: Any) -> CheckResult:
    """A result of target 1 that fits the wire format, and `overrides`; a reason brings its status with it."""
    reason = overrides.get("reason")
    defaults: dict[str, Any] = {
        "target_id": 1,
        "scheduled_at": _SLOT,
        "location": "default",
        "producer_id": 1,
        "status": reason.status if reason else Status.UP,
    }
    return CheckResult(**defaults | overrides)
