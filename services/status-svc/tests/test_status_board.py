"""From rows to what pages show: what is unknown or stale is never up, and incidents that touch are one."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import database_rows
import pytest
from page_values import AT, MINUTE, component, days

from status_svc.pages import charts, feed, joining, rendering, shown
from status_svc.pages.detail import Hour
from status_svc.pages.model import Board, Day, Incident, Level, Seen, State, Update, combined, public

UP = Seen(location="a", status="up")
DOWN = Seen(location="b", status="down", reason="timeout")
UNKNOWN = Seen(location="c", status="unknown", reason="prober_error")
STALE = Seen(location="d", status="unknown", reason="stale", stale=True)
NEW = Seen(location="e", status="unknown", reason="not_checked_yet")
NEVER = Seen(location=None, status="unknown", reason="not_checked_yet", stale=True)
PAUSED = Seen(location="f", status="unknown", reason="inactive", active=False)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ((UP,), State.UP),
        ((UP, UP), State.UP),
        ((UP, UNKNOWN), State.UP),
        ((UP, DOWN), State.PARTLY),
        ((UP, DOWN, UNKNOWN), State.PARTLY),
        ((DOWN, UNKNOWN), State.DOWN),
        ((UNKNOWN,), State.UNKNOWN),
        ((UNKNOWN, STALE), State.STALE),
        ((STALE,), State.STALE),
        ((NEW,), State.NEW),
        ((NEVER,), State.NEW),
        ((PAUSED,), State.PAUSED),
        ((), State.UNKNOWN),
    ],
)
def test_a_state_over_all_locations(seen: tuple[Seen, ...], state: State) -> None:
    """Locations that say nothing change nothing; when none says anything, it is not up."""
    assert combined(seen) is state


@pytest.mark.parametrize(
    ("day", "level"),
    [
        (Day(AT.date(), up=1440), Level.GOOD),
        (Day(AT.date(), up=1439, down=1), Level.FAIR),
        (Day(AT.date(), up=1, down=1), Level.BAD),
        (Day(AT.date(), down=5), Level.BAD),
        (Day(AT.date()), Level.UNKNOWN),
        (Day(AT.date(), unknown=1440), Level.UNKNOWN),
        (Day(AT.date(), up=100, unknown=1340), Level.UNKNOWN),
        (Day(AT.date(), up=99, down=1, unknown=1340), Level.FAIR),
    ],
)
def test_a_day_of_which_little_is_known_is_not_good(day: Day, level: Level) -> None:
    """But a failure that was seen is shown."""
    assert day.level is level


@pytest.mark.parametrize(
    ("states", "state", "words"),
    [
        ([State.UP, State.UP], State.UP, "Everything is up"),
        ([State.UP, State.PAUSED], State.UP, "Everything is up"),
        ([State.UP, State.UNKNOWN], State.UNKNOWN, "1 unknown of 2"),
        ([State.UP, State.STALE, State.DOWN], State.DOWN, "1 down, 1 without a fresh result of 3"),
        ([State.PAUSED], State.UNKNOWN, "Nothing is watched"),
        ([], State.UNKNOWN, "There is nothing to show yet"),
    ],
)
def test_everything_is_up_only_when_all_of_it_is(states: list[State], state: State, words: str) -> None:
    """What is unknown or stale is named, and colours the sentence."""
    found = rendering.summary([component(n, state=one) for n, one in enumerate(states)])
    assert (found.state, found.words) == (state, words)


def test_an_incident_whose_website_is_up_by_now_is_not_shown_as_down() -> None:
    """It ends when maintain has run; until then the page must not say both."""
    one = Incident(id="1-1", target_id=1, name="Shop", began_at=AT - MINUTE, ended_at=None)
    for state, word, open_until in (
        (State.DOWN, "down", "still open"),
        (State.PARTLY, "down at some locations", "still open"),
        (State.UP, "up again", "its end is not settled"),
    ):
        board = Board(at=AT, components=(component(state=state),), incidents=(one,))
        for page in (rendering.overview(board, rendering.View()), rendering.incidents(board, rendering.View())):
            assert f'<a href="components/1.html"><bdi>Shop</bdi></a>: {word}<' in page
            assert open_until in page


def test_an_incident_says_once_when_it_began_and_how_long_it_is_open() -> None:
    """What people say of it is below."""
    began = AT - 181 * MINUTE
    updates = (Update(at=began, kind="Down"), Update(at=AT, kind="Identified", text="A disk is full."))
    for said, times in ((updates[:1], 1), (updates, 2)):
        one = Incident(id="1-1", target_id=1, name="Shop", began_at=began, ended_at=None, updates=said)
        board = Board(at=AT, components=(component(state=State.DOWN),), incidents=(one,))
        page = rendering.incidents(board, rendering.View())
        assert page.count(f"{shown.moment(began)}</time>") == times
        assert 'still open after <span data-since="2026-11-26T08:59:00Z">3 hours 1 minute</span>' in page
        assert ("A disk is full." in page) == (times == 2)


def test_where_there_is_no_group_nothing_is_called_other() -> None:
    """Other than what?"""
    for groups, headings in ((("Other",), ["All components"]), (("Other", "Shops"), ["Other", "Shops"])):
        components = tuple(component(n, group=group) for n, group in enumerate(groups))
        page = rendering.overview(Board(at=AT, components=components), rendering.View())
        assert re.findall("<h2><bdi>(.*?)</bdi></h2>", page) == headings


def test_labels_of_a_chart_are_those_of_their_lines() -> None:
    """Half of seven is not three."""
    for p95_s, labels in ((0.007, ["0.0 ms", "3.5 ms", "7.0 ms"]), (1.234, ["0 ms", "617 ms", "1234 ms"])):
        hour = Hour(hour=AT, dns_s=None, connect_s=None, tls_s=None, first_byte_s=0.001, p50_s=0.002, p95_s=p95_s)
        assert re.findall(r">([0-9.]+ ms)</text>", charts.phases([hour])) == labels


def test_figures_are_never_rounded_up() -> None:
    """One failure in a million checks is not all up."""
    one = component(days=days((999_999, 1, 0)))
    assert "99.99 % available" in rendering.overview(Board(at=AT, components=(one,)), rendering.View())


def row(target: int, location: str, began: int, ended: int | None, end_reason: str = "recovered") -> dict[str, Any]:
    """An incident; minutes from a moment on."""
    return {
        "target_id": target,
        "location": location,
        "began_at": AT + began * MINUTE,
        "ended_at": None if ended is None else AT + ended * MINUTE,
        "reason": "timeout",
        "end_reason": None if ended is None else end_reason,
    }


def test_incidents_that_touch_are_one() -> None:
    """One at each location, one within another, and two that follow each other."""
    rows = [row(1, "b", 5, 20), row(1, "a", 0, 10), row(1, "a", 12, 15), row(1, "a", 21, 30), row(2, "a", 0, None)]
    found = joining.merged(rows, [], {1: "one", 2: "two"})
    lasted = [(one.target_id, one.began_at, one.ended_at) for one in found]
    assert lasted == [
        (2, AT, None),
        (1, AT + 21 * MINUTE, AT + 30 * MINUTE),
        (1, AT, AT + 20 * MINUTE),
    ]
    assert found[2].locations == ("a", "b")
    assert [update.kind for update in found[2].updates] == ["Down", "Up again"]
    assert [update.kind for update in found[0].updates] == ["Down"]


def test_what_is_still_open_comes_before_all_that_is_over() -> None:
    """However long it has been: else it would be beyond what a page shows."""
    rows = [row(1, "a", 0, None), row(2, "a", 5, 6), row(3, "a", 7, None), row(1, "b", 8, 9)]
    found = joining.merged(rows, [], {1: "one", 2: "two", 3: "three"})
    assert [one.target_id for one in found] == [3, 1, 2]


def test_incidents_that_are_left_out_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page never says that there was none where it does not know."""
    monkeypatch.setattr(joining, "MOST_INCIDENTS", 2)
    status = [database_rows.status(number, f"https://{number}.example/", database_rows.PUBLIC) for number in (1, 2)]
    rows = [row(1, "a", 0, None), row(1, "b", 5, 6)]
    made = joining.board(AT, status, joining.Days(), rows, [], [], name_label="name", group_label="group")
    board = public(made, database_rows.PUBLIC)
    assert board.known_since == rows[1]["began_at"]
    since = shown.moment(board.known_since)
    assert "There was no incident in 90 days" in rendering.incidents(Board(at=AT), rendering.View())
    assert f"{since}</time> and is over is not shown" in rendering.incidents(board, rendering.View())
    page = rendering.component(board, board.components[1], rendering.View())
    assert "<p>None since <time datetime=" in page
    assert f"{since}</time>; what was before is not shown" in page


def test_an_incident_that_ended_because_nobody_looks_is_not_resolved() -> None:
    """A paused target may still be down."""
    (found,) = joining.merged([row(1, "a", 0, 5, "deactivated")], [], {1: "one"})
    assert found.updates[-1].kind == "No longer watched"


def note(target: int, about: int, at: int, kind: str, **values: Any) -> dict[str, Any]:
    """What somebody says at one minute of the incident that was at another."""
    row = {"target_id": target, "began_at": AT + about * MINUTE, "noted_at": AT + at * MINUTE, "kind": kind}
    return row | {"text": "words", "public": False} | values


def test_a_note_belongs_to_the_incident_that_was_then() -> None:
    """Whenever it was written: also after its end, and in the order in which things were said."""
    rows = [row(1, "a", 0, 10), row(1, "a", 21, None), row(2, "a", 0, 10)]
    notes = [
        note(1, 0, 30, "resolved"),
        note(1, 5, 6, "identified"),
        note(1, 21, 22, "investigating"),
        note(1, 15, 16, "monitoring"),
        note(3, 5, 6, "monitoring"),
    ]
    found = {one.id: [update.kind for update in one.updates] for one in joining.merged(rows, notes, {1: "a", 2: "b"})}
    at = int(AT.timestamp())
    assert found == {
        f"1-{at}": ["Down", "Identified", "Up again", "Resolved"],
        f"1-{at + 21 * 60}": ["Down", "Investigating"],
        f"2-{at}": ["Down", "Up again"],
    }


def test_the_public_sees_the_notes_that_are_for_it() -> None:
    notes = [note(1, 0, 1, "identified", text="db-7 is out"), note(1, 0, 2, "monitoring", text="A fix", public=True)]
    incidents = joining.merged([row(1, "a", 0, None)], notes, {1: "one"})
    inner = Board(at=AT, components=(component(1, labels={"status_page": "public"}),), incidents=incidents)
    shown = public(inner, {"status_page": "public"})
    assert [update.text for update in shown.incidents[0].updates] == ["", "A fix"]
    for page in (rendering.incidents(shown, rendering.View()), feed.atom(shown, "Our shops").decode()):
        assert "A fix" in page
        assert "db-7" not in page
    assert "db-7 is out" in rendering.component(inner, inner.components[0], rendering.View())


def test_a_public_incident_has_no_target_without_a_public_name() -> None:
    """Names of others stay inside."""
    (found,) = joining.merged([row(1, "a", 0, 5)], [], {1: "one"})
    board = Board(at=AT, components=(component(1, labels={}),), incidents=(found,))
    assert public(board, {"status_page": "public"}).incidents == ()


def test_days_are_ninety_whatever_is_known() -> None:
    """The oldest first, today last; a new day begins at midnight UTC."""
    known = joining.Days([{"targets": [1, 2], "day": AT.date(), "up": 1, "down": 2, "unknown": 3}], AT)
    own = known.of(1, AT.date())
    assert (len(own), own[-1], own[0].availability) == (90, Day(AT.date(), 1, 2, 3), None)
    assert known.of(1, AT.date()) is own
    assert all(one is other for one, other in zip(known.of(2, AT.date()), own, strict=True))
    later = known.of(1, AT.date() + dt.timedelta(days=1))
    assert (len(later), later[-1].availability, later[-2]) == (90, None, own[-1])


@pytest.mark.parametrize(
    ("ups", "downs", "minute"),
    [([5, 7], [], 7), ([], [5, 7], 5), ([1], [5], 5), ([9], [5, 7], 9), ([], [], None)],
)
def test_since_when_a_component_is_in_its_state(ups: list[int], downs: list[int], minute: int | None) -> None:
    """Up since the last location came back, down since the first failed, down at some since there are both."""
    rows = [
        database_rows.status(
            1, "https://shop.example/", {}, location=f"{state} {n}", status=state, since=AT + n * MINUTE
        )
        for state, moments in (("up", ups), ("down", downs))
        for n in moments
    ] or [database_rows.status(1, "https://shop.example/", {}, status="unknown", since=None)]
    (found,) = joining.board(AT, rows, joining.Days(), [], [], [], name_label="name", group_label="group").components
    assert found.since == (None if minute is None else AT + minute * MINUTE)
