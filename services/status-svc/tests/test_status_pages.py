"""The pages over HTTP: whom they are for, what caches are told, and what is sent while PostgreSQL is away."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
from typing import TYPE_CHECKING, Any, ClassVar
from xml.etree import ElementTree as ET

import attrs
import icalendar
import pytest
import requests
import structlog
from database_rows import PUBLIC, Rows, status
from hostile_texts import TEXTS
from page_values import AT, component, days, everything
from serving import Site, served

from monitoring_core.config import StatusConfig
from monitoring_core.testing.clock import FakeClock
from status_svc.pages import bodies, calendars, documents, feed, rendering
from status_svc.pages.cache import Cache, NothingYetError
from status_svc.pages.feed import ATOM
from status_svc.pages.model import Board, Component, State
from status_svc.pages.queries import Queries
from status_svc.pages.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


SETTINGS = StatusConfig(title="Our shops", cache=dt.timedelta(seconds=1))


def two() -> Rows:
    """A target that is public, and one that is not."""
    labels = PUBLIC | {"name": "Shop", "group": "Shops"}
    return Rows(status(1, "https://shop.internal.example/", labels), status(2, "https://secret.internal.example/", {}))


def clock() -> FakeClock:
    return FakeClock(int(AT.timestamp() * 1_000))


@pytest.fixture
def rows() -> Rows:
    return two()


@pytest.fixture
def site(rows: Rows) -> Iterator[Site]:
    with served(rows, SETTINGS) as running:
        yield running


def get(site: Site, path: str, **headers: str) -> requests.Response:
    """Ask for a path exactly as it stands."""
    request = requests.Request("GET", site.address, headers=headers).prepare()
    request.url = site.address + path
    with requests.Session() as session:
        return session.send(request, timeout=60, allow_redirects=False)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "index.html",
        "components/1.html",
        "incidents.html",
        "maintenance.html",
        "feed.atom",
        "maintenance.ics",
        "badges/1.svg",
    ],
)
def test_the_public_sees_only_what_is_public(site: Site, name: str) -> None:
    """No target without the labels, and no URL, address or location of the others."""
    answer = get(site, name)
    assert answer.status_code == 200
    for internal in ("internal.example", "10.0.0.1", "berlin"):
        assert internal not in answer.text


def test_the_inner_view_shows_more(rows: Rows) -> None:
    """Every target with its URL, to whomever may see it."""
    with served(rows, attrs.evolve(SETTINGS, anonymous_read=True)) as site:
        assert "https://secret.internal.example/" in get(site, "inner/").text
        assert "berlin" in get(site, "inner/components/2.html").text


@pytest.mark.parametrize("name", ["", "components/2.html", "events", "incidents.html", "nothing"])
def test_the_inner_view_is_behind_a_token(site: Site, name: str) -> None:
    """Without one, a browser asks for it; nothing is kept by caches."""
    answer = get(site, f"inner/{name}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert answer.headers["cache-control"] == "no-store"


def test_an_open_inner_page_shows_its_token_again(rows: Rows) -> None:
    """One that was revoked meanwhile does not hear on for as long as it likes."""
    rows.others["status_token"] = [{"token_id": 1, "name": "night", "scopes": ["read"]}]
    headers = {"Authorization": "Bearer mon_night"}
    time = clock()
    with (
        served(rows, SETTINGS, time) as site,
        requests.get(f"{site.address}inner/events", headers=headers, stream=True, timeout=60) as stream,
    ):
        lines = (line for line in stream.iter_lines() if line.startswith(b"data:"))
        assert next(lines)
        time.advance(300)
        rows.status[0] |= {"status": "down"}
        assert b'"down"' in next(lines)
        time.advance(301)
        rows.status[0] |= {"status": "up"}
        assert next(lines, None) is None


@pytest.mark.parametrize(
    "name",
    [
        "components/2.html",
        "components/3.html",
        "components/0.html",
        "components/1",
        "components/1.svg",
        "badges/1.html",
        "components/99999999999999999999.html",
        "components/-1.html",
        "index-1.html",
        "index-2.html",
        "inner",
        "/evil.example/",
        "/evil.example",
        "static/../web.py",
        "static/nothing.css",
        "..%2f..%2fetc/passwd",
        "%5cevil.example",
        "components/1.html/",
        "admin",
        "\u202e",
        "%00",
    ],
)
def test_there_is_no_other_page_and_no_redirect(site: Site, name: str) -> None:
    """Also not to a page of another site."""
    answer = get(site, name)
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_an_unchanged_page_is_not_sent_twice(site: Site) -> None:
    """Compressed for whoever can read that, and 304 for whoever has it."""
    first = get(site, "", **{"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["cache-control"] == "no-cache"
    again = get(site, "", **{"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    plain = get(site, "", **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == first.text


def test_before_the_first_read_a_page_says_that_the_database_is_away(site: Site, rows: Rows) -> None:
    """503 with a time to come back, which no cache keeps."""
    rows.away = True
    answer = get(site, "")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.headers["cache-control"] == "no-store"


def test_while_postgresql_is_away_nothing_stays_up() -> None:
    """The last board is shown with its moment; after a minute all of it is stale, also at each location."""
    rows, time = two(), clock()
    cache = Cache(Queries(rows), time, SETTINGS)

    async def look() -> None:
        assert (await cache.current()).inner.components[0].state is State.UP
        rows.away = True
        time.advance(30)
        assert (await cache.current()).inner.components[0].state is State.UP
        time.advance(61)
        await cache.current()
        await cache.close()
        shown = await cache.current()
        assert [one.state for one in shown.inner.components] == [State.STALE, State.STALE]
        assert [one.seen[0].state for one in shown.inner.components] == [State.STALE, State.STALE]
        assert [one.state for one in shown.public.components] == [State.STALE]
        assert shown.inner.at == AT
        rows.away = False
        time.advance(2)
        await cache.current()
        await cache.close()
        assert (await cache.current()).inner.components[0].state is State.UP

    asyncio.run(look())


def test_an_outage_is_told_once_and_its_end_too() -> None:
    """However often pages are asked for meanwhile."""
    rows, time = two(), clock()
    cache = Cache(Queries(rows), time, SETTINGS)

    async def look() -> None:
        for away in (False, True, True, True, False, False):
            rows.away = away
            time.advance(2)
            await cache.current()
            await cache.close()

    with structlog.testing.capture_logs() as logged:
        asyncio.run(look())
    assert [line["event"] for line in logged] == ["pages show what was read last", "pages are current again"]


def test_while_postgresql_is_away_who_was_let_in_reads_on(rows: Rows) -> None:
    """Nobody else is let in, and a token that is not known is not called wrong."""
    rows.others["status_token"] = [{"token_id": 1, "name": "night", "scopes": ["read"]}]
    time = clock()
    with served(rows, SETTINGS, time) as site:
        assert get(site, "inner/", Authorization="Bearer mon_night").status_code == 200
        rows.away = True
        for _ in range(3):
            time.advance(2)
            assert "https://secret.internal.example/" in get(site, "inner/", Authorization="Bearer mon_night").text
        assert get(site, "inner/", Authorization="Bearer mon_other").status_code == 503
        rows.away, rows.others = False, {}
        time.advance(2)
        assert get(site, "inner/", Authorization="Bearer mon_night").status_code == 401


def test_without_a_first_read_there_is_nothing_to_show() -> None:
    """And the next one is not tried at once."""
    rows = two()
    rows.away = True
    cache = Cache(Queries(rows), clock(), SETTINGS)

    async def look() -> None:
        for _ in range(100):
            with pytest.raises(NothingYetError):
                await cache.current()
        assert len(rows.asked) == 1

    asyncio.run(look())


def test_whoever_comes_after_a_quiet_time_sees_no_old_page() -> None:
    """The first one waits for a new read."""
    rows, time = two(), clock()
    cache = Cache(Queries(rows), time, SETTINGS)

    async def look() -> None:
        await cache.current()
        rows.status[0] |= {"status": "down"}
        time.advance(3_600)
        assert (await cache.current()).inner.components[0].state is State.DOWN

    asyncio.run(look())


def test_every_board_has_the_incidents_of_its_time() -> None:
    """With the default cache, however long the status takes that is read before them."""
    rows, time = two(), clock()

    class Slower(Queries):
        async def status(self, targets: list[int] | None = None) -> list[dict[str, Any]]:
            time.advance(0.1 if len(rows.asked) > 1 else 0.5)
            return await super().status(targets)

    cache = Cache(Slower(rows), time, StatusConfig())

    async def look() -> None:
        for _ in range(10):
            due = time.monotonic() + 5
            await cache.current()
            await cache.close()
            time.advance(due - time.monotonic())

    asyncio.run(look())
    for name in ("website_status", "website_incident", "incident_note", "maintenance_window"):
        assert sum(name in one for one in rows.asked) == 10
    # Besides, there is one statement a minute of which targets are shown, and one of the days.
    assert len(rows.asked) == 42


def test_open_pages_hear_of_changes_from_one_read() -> None:
    """The first event has everything, the next one what changed; a thousand readers cost one read a second."""
    rows, time = two(), clock()
    cache = Cache(Queries(rows), time, SETTINGS)
    stream = Stream(cache, inner=True)

    async def listen(found: list[dict[str, Any]]) -> None:
        async for event in stream.events():
            if event.startswith(b"event: state\ndata: "):
                found.append(json.loads(event.split(b"data: ")[1]))
                if len(found) == 2:
                    return

    async def look() -> list[list[dict[str, Any]]]:
        heard: list[list[dict[str, Any]]] = [[] for _ in range(1_000)]
        tasks = [asyncio.create_task(listen(found)) for found in heard]
        while not all(heard):
            await asyncio.sleep(0.01)
        rows.status[1] |= {"status": "down"}
        time.advance(2)
        await asyncio.gather(*tasks)
        return heard

    heard = asyncio.run(look())
    first, second = heard[0]
    assert all(one == [first, second] for one in heard)
    assert first["components"] == [[1, "up", "Up"], [2, "up", "Up"]]
    assert first["summary"] == ["up", "Everything is up"]
    assert second["components"] == [[2, "down", "Down"]]
    assert sum("website_status" in one for one in rows.asked) == 2


def test_open_pages_hear_that_there_is_an_incident() -> None:
    """By a name that the pages have, too: they are loaded again when it is another."""
    incidents: list[dict[str, Any]] = []
    one = status(1, "https://shop.internal.example/", {}, status="down")
    cache = Cache(Queries(Rows(one, website_incident=incidents)), time := clock(), SETTINGS)
    stream = Stream(cache, inner=True)
    began = {"target_id": 1, "location": "berlin", "began_at": AT, "ended_at": None, "reason": None, "end_reason": None}

    async def look() -> list[str]:
        heard: list[str] = []
        async for event in stream.events():
            if event.startswith(b"event: state\ndata: "):
                heard.append(json.loads(event.split(b"data: ")[1])["told"])
                page = rendering.overview((await cache.current()).inner, rendering.View())
                assert f'data-told="{heard[-1]}"' in page
                if len(heard) == 2:
                    return heard
                incidents.append(began)
                time.advance(60)
        raise AssertionError("the stream has ended")

    first, second = asyncio.run(asyncio.wait_for(look(), 10))
    assert first != second


def test_the_feed_has_every_update(rows: Rows) -> None:
    """Each with a name of its own, the newest first."""
    board, *_ = everything("Shop <b>", "https://shop.example/")
    found = ET.fromstring(feed.atom(board, "Our shops", "https://status.example/"))
    entries = found.findall(f"{{{ATOM}}}entry")
    assert len(entries) == sum(len(one.updates) for one in board.incidents)
    assert len({entry.findtext(f"{{{ATOM}}}id") for entry in entries}) == len(entries)
    assert entries[0].findtext(f"{{{ATOM}}}title") == "Shop <b>: Shop <b>"
    link = entries[0].find(f"{{{ATOM}}}link")
    assert link is not None
    assert link.get("href") == "https://status.example/incidents.html#i1-1"
    again = ET.fromstring(feed.atom(board, "Our shops", "https://status.example/"))
    assert [e.findtext(f"{{{ATOM}}}id") for e in again.findall(f"{{{ATOM}}}entry")] == [
        entry.findtext(f"{{{ATOM}}}id") for entry in entries
    ]


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if text.strip()])
def test_feed_calendar_and_badge_hold_any_text(name: str) -> None:
    """They stay well-formed, and nobody adds a line or an element."""
    board, one, _ = everything(TEXTS[name], "https://shop.example/")
    found = ET.fromstring(feed.atom(board, TEXTS[name]))
    assert {element.tag for element in found.iter()} == {
        f"{{{ATOM}}}{tag}" for tag in ("feed", "id", "title", "updated", "link", "author", "name", "entry", "content")
    }
    badge = ET.fromstring(rendering.badge(one))
    assert [element.tag.split("}")[1] for element in badge.iter()] == [
        "svg",
        "title",
        "path",
        "path",
        "g",
        "text",
        "text",
    ]
    (event,) = icalendar.Calendar.from_ical(calendars.maintenance(board, TEXTS[name])).walk("VEVENT")
    assert set(event) == {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION"}
    begins = board.maintenance[0].begins_at
    lines = event.to_ical().decode().splitlines()
    for name, at in (("DTSTART", begins), ("DTEND", begins + dt.timedelta(minutes=2))):
        assert f"{name}:{at:%Y%m%dT%H%M%SZ}" in lines


def test_a_calendar_has_its_name_as_text() -> None:
    """With what has a meaning in a line written out (RFC 5545, 3.3.11)."""
    made = calendars.maintenance(Board(at=AT), "Shops, pages; and more")
    for name in (b"NAME", b"X-WR-CALNAME"):
        assert name + rb":Shops\, pages\; and more: maintenance" in made.splitlines()


def test_a_badge_says_the_state_in_words() -> None:
    """A picture for other pages; colour is not all that it says."""
    badge = rendering.badge(component(state=State.STALE))
    assert "Shop 1: No fresh result" in badge


def test_an_overview_of_more_than_a_thousand_has_parts() -> None:
    """Each component is on one of them."""
    board = Board(at=AT, components=tuple(component(number) for number in range(1, 2_502)))
    pages = [rendering.overview(board, rendering.View(), part) for part in (1, 2, 3)]
    assert rendering.parts(board) == 3
    assert [page.count("<li id=") for page in pages] == [1_000, 1_000, 501]
    assert 'href="index-3.html"' in pages[0]


def test_a_thousand_components_are_at_most_a_hundred_kilobytes() -> None:
    """Compressed, with names and days that are all different."""
    rng = random.Random(20_261_126)
    components = tuple(
        component(
            number,
            name=f"{rng.choice(WORDS)} {rng.choice(WORDS)} {rng.randrange(10_000)}",
            group=f"Group {number % 20}",
            state=rng.choices([State.UP, State.DOWN, State.PARTLY, State.STALE], [95, 2, 2, 1])[0],
            days=days(*(
                (1440 - failed, failed, rng.choice([0, 0, 0, 7]))
                for failed in rng.choices([0, 1, 20, 200], [96, 2, 1, 1], k=90)
            )),
        )
        for number in range(1, 1_001)
    )  # fmt: skip
    page = rendering.overview(Board(at=AT, components=components), rendering.View())
    assert page.count("<li id=") == 1_000
    assert len(bodies.body_of(documents.Document(page.encode(), documents.HTML)).compressed) <= 100_000


class Counted(tuple[Component, ...]):
    """Components that count how often they are compared."""

    __slots__ = ()
    compared: ClassVar[list[object]] = []

    def __eq__(self, other: object) -> bool:
        self.compared.append(other)
        return tuple.__eq__(self, other)

    __hash__ = tuple.__hash__


def test_a_board_is_compared_once_with_that_of_a_page_that_is_kept() -> None:
    """Not with each request, which a thousand components would slow."""
    kept, last = (Board(at=AT, components=Counted((component(),))) for _ in range(2))

    async def ask() -> None:
        made = bodies.Bodies(clock())
        for board in (kept, *[last] * 100):
            assert await made.get("page", board, lambda: documents.Document(b"page", documents.HTML))

    asyncio.run(ask())
    assert len(Counted.compared) == 1


WORDS = ["Shop", "Checkout", "Payments", "Search", "Mail", "Archive", "Reports", "Telephony", "Images", "Login"]
