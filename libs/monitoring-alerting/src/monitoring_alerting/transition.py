"""A transition: what changed about an alert, when, and on which results that was decided."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from collections.abc import Mapping

from msgspec import Struct

from monitoring_alerting.policies.kinds import Kind, Severity


class State(enum.StrEnum):
    """How a target stands with a policy."""

    OK = "ok"
    SUSPECTED = "suspected"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    UNDETERMINED = "undetermined"
    FLAPPING = "flapping"


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A result that was decided on: its key, its verdict, and what it keeps for a person."""

    scheduled_at: dt.datetime
    location: str
    status: str
    reason: str | None = None
    error: str | None = None
    http_status: int | None = None
    response_time_s: float | None = None
    remote_address: str | None = None
    final_url: str | None = None
    body_excerpt: str | None = None
    certificate_expires_at: dt.datetime | None = None


class Parent(Struct, frozen=True, kw_only=True):
    """The target behind which another one is silent."""

    target_id: int
    name: str


class Transition(Struct, frozen=True, kw_only=True):
    """One change of state.

    Attributes:
        id: the same whoever computes it: a hash of the alert, the state and the slot.
        alert_id: the same for all transitions of one alert, from its first sign to its end.
        at: the slot that decided it; for what no slot decides, the moment at which the time was up.
        decided_at: where the clock stood; for what became due between two of its moves, when that was due.
        locations: those that the state rests on: failing ones, recovered ones, or ones that say nothing.
        since: the first slot at which enough locations were bad, or the first moment without enough votes.
        cause: why an alert ended without its results: the policy or the target has gone.
        silenced_by: what is down and has this target behind it; the state is then `suspected` until that is over.
        step_s: of `certificate_expires_within`, the step.
        url: the target's, without user and password.
    """

    id: str
    alert_id: str
    target_id: int
    policy: str
    kind: Kind
    severity: Severity
    state: State
    before: State
    at: dt.datetime
    since: dt.datetime
    decided_at: dt.datetime | None
    locations: list[str]
    results: list[Evidence] = []
    cause: str | None = None
    silenced_by: Parent | None = None
    step_s: int | None = None
    url: str = ""
    labels: Mapping[str, str] = {}


class Note(Struct, frozen=True, kw_only=True):
    """A late result, and what history would have been with it. It changes no alert."""

    target_id: int
    policy: str
    location: str
    scheduled_at: dt.datetime
    late_s: float
    change: str


def identity(*parts: object) -> str:
    """A short hash of what identifies something."""
    return hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=16).hexdigest()
