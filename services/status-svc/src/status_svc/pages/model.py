"""What pages show, as values. A public page gets values from which everything internal is gone (`public`)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

DAYS = 90
# So many incidents of single locations are read, and targets; of each of these a process keeps 20 kB or more.
MOST_INCIDENTS, MOST_TARGETS = 5_000, 10_000
# Of targets without the label of groups.
NO_GROUP = "Other"
# A day of which less is known than this is not shown by its colour of availability.
ENOUGH = 0.5


class State(enum.StrEnum):
    """What can be said of a component at this moment, over all locations."""

    UP = "up"
    PARTLY = "partly"
    DOWN = "down"
    UNKNOWN = "unknown"
    STALE = "stale"
    NEW = "new"
    PAUSED = "paused"

    @property
    def words(self) -> str:
        """The state for people."""
        return _WORDS[self]


_WORDS = {
    State.UP: "Up",
    State.PARTLY: "Down at some locations",
    State.DOWN: "Down",
    State.UNKNOWN: "Unknown",
    State.STALE: "No fresh result",
    State.NEW: "Not checked yet",
    State.PAUSED: "Paused",
}
# The worst first: so components and groups are judged and sorted.
WORST_FIRST = (State.DOWN, State.PARTLY, State.STALE, State.UNKNOWN, State.NEW, State.UP, State.PAUSED)


class Level(enum.StrEnum):
    """How a day went, in words that are also the class of its bar."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Seen:
    """The newest status of a target at one location, a row of website_status."""

    location: str | None
    status: str
    reason: str | None = None
    since: dt.datetime | None = None
    last_check_at: dt.datetime | None = None
    response_time_s: float | None = None
    http_status: int | None = None
    certificate_expires_at: dt.datetime | None = None
    active: bool = True
    stale: bool = False
    error: str | None = None
    remote_address: str | None = None
    certificate_subject: str | None = None
    certificate_issuer: str | None = None

    @property
    def state(self) -> State:
        """The status and its reason as a state."""
        if not self.active:
            return State.PAUSED
        if self.reason == "not_checked_yet":
            return State.NEW
        if self.stale:
            return State.STALE
        return State(self.status) if self.status in ("up", "down") else State.UNKNOWN


@attrs.frozen
class Day:
    """The checks of a UTC day at all locations."""

    day: dt.date
    up: int = 0
    down: int = 0
    unknown: int = 0

    @property
    def availability(self) -> float | None:
        """Share of the checks that were up among those that say something; None without any."""
        return availability(self.up, self.down)

    @property
    def coverage(self) -> float | None:
        """Share of the checks that say something; None when none was due."""
        return coverage(self.up, self.down, self.unknown)

    @property
    def level(self) -> Level:
        """How the day went; unknown when too little is known to tell."""
        available, covered = self.availability, self.coverage
        if available is None or covered is None:
            return Level.UNKNOWN
        if available < 1:
            return Level.FAIR if available >= 0.99 else Level.BAD
        return Level.GOOD if covered >= ENOUGH else Level.UNKNOWN


@attrs.frozen(kw_only=True)
class Component:
    """A target as pages show it.

    Attributes:
        public_name: its name on a public page.
        url: its URL; None on a public page.
        days: the last 90 UTC days, the oldest first, each there.
        state: what can be said of it now.
        since: since when, as far as that is known.
        known: at how many locations the newest check says something.
        places: at how many locations it is checked.
    """

    id: int
    name: str
    public_name: str
    group: str
    state: State
    since: dt.datetime | None
    known: int
    places: int
    days: tuple[Day, ...]
    url: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    seen: tuple[Seen, ...] = ()

    @property
    def availability(self) -> float | None:
        """Of all its days."""
        return availability(sum(day.up for day in self.days), sum(day.down for day in self.days))

    @property
    def coverage(self) -> float | None:
        """Of all its days."""
        return coverage(*(sum(getattr(day, name) for day in self.days) for name in ("up", "down", "unknown")))


@attrs.frozen(kw_only=True)
class Update:
    """One step of an incident: that it began or ended, or what a person had to say.

    Attributes:
        public: whether a public page shows it.
    """

    at: dt.datetime
    kind: str
    text: str = ""
    public: bool = True


@attrs.frozen(kw_only=True)
class Incident:
    """A time in which a target was down at one location or more without a break.

    Attributes:
        ended_at: None while it is open.
        locations: where it was down; empty on a public page.
        reasons: why; empty on a public page.
    """

    id: str
    target_id: int
    name: str
    began_at: dt.datetime
    ended_at: dt.datetime | None
    locations: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    updates: tuple[Update, ...] = ()


@attrs.frozen(kw_only=True)
class Maintenance:
    """One time in which a maintenance window holds.

    Attributes:
        names: of the components that it is for.
        note: what it is for; None on a public page.
    """

    id: str
    begins_at: dt.datetime
    ends_at: dt.datetime
    names: tuple[str, ...] = ()
    targets: frozenset[int] = frozenset()
    note: str | None = None


@attrs.frozen(kw_only=True)
class Board:
    """All that the pages of one view show, as of one moment.

    Attributes:
        known_since: incidents that ended and began before that are left out, because there are too many; None when all
            of 90 days are there.
        left_out: whether there are more targets than pages show.
    """

    at: dt.datetime
    components: tuple[Component, ...] = ()
    incidents: tuple[Incident, ...] = ()
    known_since: dt.datetime | None = None
    maintenance: tuple[Maintenance, ...] = ()
    left_out: bool = False

    def component(self, number: int) -> Component | None:
        """The component of this number, if it is shown."""
        return next((one for one in self.components if one.id == number), None)


def by_group(components: Iterable[Component]) -> dict[str, list[Component]]:
    """Components by group, in the order of the names."""
    found: dict[str, list[Component]] = {}
    for component in sorted(components, key=lambda one: (one.group, one.name, one.id)):
        found.setdefault(component.group, []).append(component)
    return found


def combined(seen: Sequence[Seen]) -> State:
    """The state over all locations. What is unknown never counts as up or down."""
    states = {one.state for one in seen}
    if {State.UP, State.DOWN} <= states:
        return State.PARTLY
    for state in (State.DOWN, State.UP):
        if state in states:
            return state
    return next((state for state in WORST_FIRST if state in states), State.UNKNOWN)


def availability(up: int, down: int) -> float | None:
    """Share of the checks that were up among those that say something; None without any."""
    return up / (up + down) if up + down else None


def coverage(up: int, down: int, unknown: int) -> float | None:
    """Share of the checks that say something among those that were due; None when none was."""
    due = up + down + unknown
    return (up + down) / due if due else None


def public(board: Board, wanted: Mapping[str, str]) -> Board:
    """What everybody may see: the components with these labels, and nothing internal of them.

    Args:
        wanted: the labels that a target must have; without any, none is public.
    """
    names = {one.id: one.public_name for one in board.components if wanted and wanted.items() <= one.labels.items()}
    return Board(
        at=board.at,
        components=tuple(
            attrs.evolve(one, name=names[one.id], url=None, labels={}, seen=())
            for one in board.components
            if one.id in names
        ),
        incidents=tuple(
            attrs.evolve(
                one,
                name=names[one.target_id],
                locations=(),
                reasons=(),
                updates=tuple(update for update in one.updates if update.public),
            )
            for one in board.incidents
            if one.target_id in names
        ),
        known_since=board.known_since,
        maintenance=tuple(
            attrs.evolve(
                one,
                names=tuple(sorted(names[number] for number in one.targets & names.keys())),
                note=None,
                targets=one.targets & names.keys(),
            )
            for one in board.maintenance
            if one.targets & names.keys()
        ),
    )
