"""Values in, HTML out. Every text is escaped by the environment; what must not be a link is none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from status_svc.pages import charts, shown
from status_svc.pages.model import MOST_TARGETS, NO_GROUP, WORST_FIRST, State, by_group
from status_svc.pages.searching import LONGEST, MOST_FURTHER, STATES, Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from status_svc.pages.detail import Detail
    from status_svc.pages.model import Board, Component

HERE = Path(__file__).parent
# Of an overview; further components are on further parts.
PART = 1_000
# Of what is found: whoever gets more gives more words.
MOST_FOUND = 100
# So few components are seen at one glance.
_FEW = 10
_OPEN_INCIDENTS = 20
_INCIDENTS = 200
_LONGEST_ON_BADGE = 40
# White letters have a contrast of at least 4.5 to 1 on each.
_BADGES = {State.UP: "#1a7f37", State.PARTLY: "#8f6400", State.DOWN: "#c4222d", State.STALE: "#8f6400"}
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters.update(
    text=shown.text,
    link=shown.link,
    percent=shown.percent,
    moment=shown.moment,
    iso=shown.iso,
    day=shown.day,
    seconds=shown.seconds,
    lasting=shown.lasting,
    words=lambda value: shown.text(value).replace("_", " "),
    strip=charts.strip,
    chart=charts.phases,
)
_ENVIRONMENT.globals.update(STATES=STATES, LONGEST=LONGEST, MOST_FURTHER=MOST_FURTHER)


@attrs.frozen(kw_only=True)
class View:
    """Where a page is, and for whom.

    Attributes:
        title: the name of the site.
        root: the way from the page to the overview, like "../".
        static: the way from the page to the folder that has the folder static.
        made_once: whether the page is a copy, which says how old it is and hears of no events.
        inner: whether it is for those who may see everything.
        live: whether events tell of what is on it.
        login: whether people log in to see it, and so can log out.
    """

    title: str = "Status"
    root: str = ""
    static: str = ""
    made_once: bool = False
    login: bool = False
    inner: bool = False
    live: bool = True

    def below(self) -> View:
        """The same for a page one folder further down."""
        return attrs.evolve(self, root=f"../{self.root}", static=f"../{self.static}")


@attrs.frozen
class Summary:
    """All components in a sentence, and the state that colours it."""

    state: State
    words: str


def summary(components: Iterable[Component]) -> Summary:
    """What can be said of all of them: the worst first, and unknown is not up."""
    counts = dict.fromkeys(WORST_FIRST, 0)
    for one in components:
        counts[one.state] += 1
    watched = sum(counts.values()) - counts[State.PAUSED]
    if not watched:
        return Summary(State.UNKNOWN, "Nothing is watched" if counts[State.PAUSED] else "There is nothing to show yet")
    if counts[State.UP] == watched:
        return Summary(State.UP, "Everything is up")
    said = (
        (counts[State.DOWN], "down"),
        (counts[State.PARTLY], "down at some locations"),
        (counts[State.STALE], "without a fresh result"),
        (counts[State.UNKNOWN], "unknown"),
        (counts[State.NEW], "not checked yet"),
    )
    worst = next(state for state in WORST_FIRST if counts[state])
    return Summary(worst, f"{', '.join(f'{n} {words}' for n, words in said if n)} of {watched}")


def parts(board: Board) -> int:
    """How many parts the overview has."""
    return max(1, -(-len(board.components) // PART))


def overview(board: Board, view: View, part: int = 1) -> str:
    """The overview. Args: part: from 1."""
    ordered = [one for components in by_group(board.components).values() for one in components]
    groups = by_group(ordered[(part - 1) * PART : part * PART])
    if list(groups) == [NO_GROUP]:
        groups = {"All components": groups[NO_GROUP]}
    opened = [one for one in board.incidents if one.ended_at is None]
    return _render(
        "overview.html",
        board,
        view,
        page="overview",
        summary=summary(board.components),
        groups=groups,
        open_incidents=opened[:_OPEN_INCIDENTS],
        more_incidents=max(0, len(opened) - _OPEN_INCIDENTS),
        maintenance_now=[one for one in board.maintenance if one.begins_at <= board.at < one.ends_at],
        pages=parts(board),
        part=part,
        search=Search() if len(board.components) >= _FEW else None,
    )


def found(board: Board, view: View, search: Search, further: Sequence[Component] | None = None) -> str:
    """The overview of what somebody looks for.

    Args:
        further: what was found of targets that the board leaves out; None when they could not be looked up.
    """
    components = search.among(board.components)
    worst = sorted(components, key=lambda one: WORST_FIRST.index(one.state))[:MOST_FOUND]
    wants_further = view.inner and board.left_out
    return _render(
        "found.html",
        board,
        attrs.evolve(view, live=view.live and not (wants_further and further)),
        page="found",
        summary=summary(board.components),
        search=search,
        groups=by_group(worst),
        count=len(components),
        shown=len(worst),
        total=len(board.components),
        wants_further=wants_further,
        further=None if further is None else [one for one in further if search.wants(one)],
        states=states(board),
    )


def component(board: Board, one: Component, view: View, detail: Detail | None = None) -> str:
    """The page of a component; with `detail` the inner one."""
    incidents = [incident for incident in board.incidents if incident.target_id == one.id][:_INCIDENTS]
    return _render("component.html", board, view.below(), page="component", one=one, detail=detail, incidents=incidents)


def incidents(board: Board, view: View) -> str:
    """The incidents: the open ones, and then the newest."""
    more = max(0, len(board.incidents) - _INCIDENTS)
    return _render("incidents.html", board, view, page="incidents", incidents=board.incidents[:_INCIDENTS], more=more)


def maintenance(board: Board, view: View) -> str:
    """When maintenance is, will be and was."""
    at, all_of_it = board.at, board.maintenance
    return _render(
        "maintenance.html",
        board,
        view,
        page="maintenance",
        now=[one for one in all_of_it if one.begins_at <= at < one.ends_at],
        coming=[one for one in all_of_it if one.begins_at > at],
        past=[one for one in reversed(all_of_it) if one.ends_at <= at],
    )


def told(board: Board) -> str:
    """Names what pages show of incidents and maintenance: an open page that has another name shows less, or more."""
    current = _current(board)
    incidents = [
        (one.id, one.ended_at, len(one.updates), one.ended_at is None and str(current.get(one.target_id)))
        for one in board.incidents[:_INCIDENTS]
    ]
    maintenance = [
        (one.id, one.ends_at, one.begins_at <= board.at, one.ends_at <= board.at) for one in board.maintenance
    ]
    return hashlib.sha256(repr((incidents, maintenance)).encode()).hexdigest()[:16]


def states(board: Board) -> str:
    """Names the states of all components: what is found by a state may be something else under another name."""
    return hashlib.sha256(repr([(one.id, str(one.state)) for one in board.components]).encode()).hexdigest()[:16]


def _current(board: Board) -> dict[int, State]:
    return {one.id: one.state for one in board.components}


def _render(template: str, board: Board, view: View, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(
        at=board.at,
        view=view,
        told=told(board),
        current=_current(board),
        known_since=board.known_since,
        left_out=MOST_TARGETS if board.left_out else 0,
        **values,
    )


def badge(one: Component) -> str:
    """A small picture of a component's state in words, for pages elsewhere (SVG)."""
    name = shown.text(one.name, _LONGEST_ON_BADGE) or "?"
    left, right = (12 + 7 * len(words) for words in (name, one.state.words))
    template = _ENVIRONMENT.get_template("badge.svg")
    return template.render(name=name, state=one.state, left=left, right=right, colour=_BADGES.get(one.state, "#5b626b"))
