"""The kinds of alert policies: what each watches for, with its settings and their defaults."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator
from typing import Annotated, ClassVar

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching

# A location remembers 62 slots, and a vote looks at those up to a slot that may be two before the newest one.
MAX_SLOTS = 60
_DAY = dt.timedelta(days=1)
_Count = Annotated[int, Between(1, MAX_SLOTS)]
_Locations = Annotated[int, Between(1, 64)]
_Name = Annotated[
    str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "1 to 63 letters, digits, dots, dashes or underscores")
]


class Kind(enum.StrEnum):
    """What an alert policy watches for."""

    DOWN = "down"
    DEGRADED = "degraded"
    CERTIFICATE = "certificate_expires_within"
    MISSED = "missed"
    INVALID_TARGET = "invalid_target"


class Severity(enum.StrEnum):
    """How bad an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen(kw_only=True)
class Failures:
    """How many of a location's last slots must be bad; all of them, where `of_last` is not given."""

    at_least: _Count = 3
    of_last: _Count | None = None

    @property
    def window(self) -> int:
        """How many slots are looked at."""
        return self.of_last or self.at_least


@attrs.frozen(kw_only=True)
class Locations:
    """How many locations must agree, and which ones have a vote: all that have results, if `of` is empty."""

    at_least: _Locations = 1
    of: tuple[_Name, ...] = ()


@attrs.frozen(kw_only=True)
class Recovery:
    """How many good slots end an alert, and at how many locations; as many as opened it, where that is not given."""

    slots: _Count = 2
    locations: _Locations | None = None


@attrs.frozen(kw_only=True)
class Flapping:
    """More changes than this within this time are one alert that says flapping."""

    changes: Annotated[int, Between(2, 1_000)] = 6
    within: Annotated[dt.timedelta, Between(dt.timedelta(minutes=1), 7 * _DAY)] = dt.timedelta(hours=1)


@attrs.frozen(kw_only=True)
class DependsOn:
    """What a target is behind: one target by its id, or every target that has these labels."""

    target: Annotated[int, Between(1, 2**63 - 1)] | None = None
    labels: dict[str, str] | None = None


@attrs.frozen(kw_only=True)
class Policy:
    """What every kind has.

    Attributes:
        match: the labels that a target must have; none of them matches every target.
    """

    KIND: ClassVar[Kind]

    name: _Name
    kind: Kind
    match: dict[str, str] = attrs.field(factory=dict)
    severity: Severity = Severity.WARNING
    locations: Locations = attrs.field(factory=Locations)
    depends_on: DependsOn | None = None

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        known = self.locations.of
        if len(set(known)) < len(known):
            yield Rule(("locations.of",), "names a location twice")
        if known and self.locations.at_least > len(known):
            yield Rule(
                ("locations.at_least", "locations.of"),
                f"must be at most the number of locations ({len(known)}), got {self.locations.at_least}",
            )
        if (parent := self.depends_on) and (parent.target is None) == (not parent.labels):
            yield Rule(("depends_on",), "must be {target: ID} or {labels: {NAME: VALUE}}")


@attrs.frozen(kw_only=True)
class QuorumPolicy(Policy):
    """A kind on which locations vote slot by slot."""

    failures: Failures = attrs.field(factory=Failures)
    recovery: Recovery = attrs.field(factory=Recovery)
    flapping: Flapping = attrs.field(factory=Flapping)

    @property
    def recovery_locations(self) -> int:
        """At how many locations a target must have recovered."""
        return self.recovery.locations or self.locations.at_least

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        yield from super().broken_rules()
        if self.failures.at_least > self.failures.window:
            yield Rule(
                ("failures.at_least", "failures.of_last"),
                f"must be at most of_last ({self.failures.window}), got {self.failures.at_least}",
            )
        known = self.locations.of
        if known and self.recovery_locations > len(known) >= self.locations.at_least:
            yield Rule(
                ("recovery.locations", "locations.of"),
                f"must be at most the number of locations ({len(known)}), got {self.recovery_locations}",
            )


@attrs.frozen(kw_only=True)
class DownPolicy(QuorumPolicy):
    """The website is down, seen from enough locations; or, after `blind_after`, nobody knows whether it is."""

    KIND = Kind.DOWN

    blind_after: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), 7 * _DAY)] = dt.timedelta(minutes=10)


@attrs.frozen(kw_only=True)
class DegradedPolicy(QuorumPolicy):
    """The website is up, and its response time is above a limit."""

    KIND = Kind.DEGRADED

    response_time: Annotated[dt.timedelta, Between(dt.timedelta(milliseconds=1), dt.timedelta(minutes=5))]


@attrs.frozen(kw_only=True)
class InvalidTargetPolicy(QuorumPolicy):
    """The target cannot be checked as it stands."""

    KIND = Kind.INVALID_TARGET

    failures: Failures = attrs.field(factory=lambda: Failures(at_least=1))
    recovery: Recovery = attrs.field(factory=lambda: Recovery(slots=1))


@attrs.frozen(kw_only=True)
class CertificatePolicy(Policy):
    """The certificate, or one that it hangs on, ends soon: told once at each step."""

    KIND = Kind.CERTIFICATE

    steps: tuple[Annotated[dt.timedelta, Between(dt.timedelta(minutes=1), 3650 * _DAY)], ...] = tuple(
        days * _DAY for days in (30, 14, 7, 3, 1)
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        yield from super().broken_rules()
        if not self.steps or list(self.steps) != sorted(set(self.steps), reverse=True):
            yield Rule(("steps",), "must be durations, the longest first, each once")


@attrs.frozen(kw_only=True)
class MissedPolicy(Policy):
    """In a whole hour, a location had results that are up or down for fewer of its slots than `coverage` percent."""

    KIND = Kind.MISSED

    coverage: Annotated[float, Between(0.1, 100.0)] = 90.0


KINDS: dict[Kind, type[Policy]] = {
    kind.KIND: kind for kind in (DownPolicy, DegradedPolicy, CertificatePolicy, MissedPolicy, InvalidTargetPolicy)
}
