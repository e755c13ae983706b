"""Searching the overview: what is found, by whom, and what it costs."""

from __future__ import annotations

import datetime as dt
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import attrs
import pytest
import requests
from database_rows import PUBLIC, Rows, status
from hostile_texts import TEXTS
from page_values import AT, component, everything
from serving import Site, served

from monitoring_core.config import StatusConfig
from monitoring_core.testing.clock import FakeClock
from status_svc import export
from status_svc.pages import rendering
from status_svc.pages.model import Board, Component, State, public
from status_svc.pages.searching import LONGEST, STATES, Search, asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = StatusConfig(title="Our shops", cache=dt.timedelta(seconds=1), anonymous_read=True, requests_per_minute=60)
INNER = rendering.View(inner=True)
STATES_OF_EIGHT = [*State, State.UP]


def shops() -> Rows:
    """Twelve targets that are public, and one that is not; the third is down."""
    shown = [
        status(
            n,
            f"https://shop-{n}.internal.example/",
            PUBLIC | {"name": f"Shop {n}", "group": "Shops", "team": "secret-team"},
            status="down" if n == 3 else "up",
        )
        for n in range(1, 13)
    ]
    return Rows(*shown, status(13, "https://hidden.internal.example/", {"team": "other"}))


@pytest.fixture
def site() -> Iterator[Site]:
    # A clock that stands still, so that the same answers bear the same moment.
    with served(shops(), SETTINGS, FakeClock(int(AT.timestamp() * 1_000))) as running:
        yield running


def get(site: Site, path: str = "", **query: str) -> requests.Response:
    return requests.get(site.address + path, params=query, timeout=10)


def names(page: str) -> list[str]:
    """What a page lists, in its order."""
    return re.findall(r'<li id="c[0-9]+">.*?<bdi>(.*?)</bdi>', page)


def eight() -> tuple[Component, ...]:
    """A component in each state, and one more that is up."""
    return tuple(
        component(n, name=f"Shop {state}", state=state, labels={"team": "Shop Nord"}, url=f"https://{n}.example/Straße")
        for n, state in enumerate(STATES_OF_EIGHT, 1)
    )


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", list(range(1, 9))),
        ("shop", list(range(1, 9))),
        ("  SHOP   UP ", [1, 8]),
        ("up shop", [1, 8]),
        ("ops", list(range(1, 9))),
        ("7.example", [7]),
        ("team=shop", list(range(1, 9))),
        ("team=nord", []),
        ("nord", list(range(1, 9))),
        ("STRASSE", list(range(1, 9))),
        ("shop up down", []),
        (".*", []),
        ("%", []),
    ],
)
def test_all_words_are_found_in_name_group_url_or_label(typed: str, found: list[int]) -> None:
    """Parts of them too, in small letters or large ones; none of them is a pattern."""
    assert [one.id for one in Search(typed).among(eight())] == found


@pytest.mark.parametrize(
    ("state", "found"),
    [("", list(State)), ("not-up", [one for one in State if one not in ("up", "paused")])]
    + [(str(one), [one]) for one in State],
)
def test_a_state_is_found(state: str, found: list[State]) -> None:
    """What is paused is not looked for among what is not up. The form offers each of them."""
    assert {one.state for one in Search("", state).among(eight())} == set(found)
    assert state in STATES


@pytest.mark.parametrize(
    ("query", "search"),
    [
        ({}, None),
        ({"q": "", "state": ""}, None),
        ({"q": " \t\x00"}, Search("\ufffd")),
        ({"q": "  "}, None),
        ({"state": "nothing"}, None),
        ({"state": "UP"}, None),
        ({"q": "a\nb", "state": "up"}, Search("a b", "up")),
        ({"q": "x" * 5_000}, Search("x" * LONGEST)),
        ({"page": "3"}, None),
    ],
)
def test_a_query_is_bounded_and_read_as_text(query: dict[str, str], search: Search | None) -> None:
    """What asks for nothing is the overview itself."""
    assert asked(query) == search


def test_a_page_says_how_many_of_how_many_it_has_found(site: Site) -> None:
    """And keeps what was typed."""
    page = get(site, q="shop 3", state="not-up").text
    assert names(page) == ["Shop 3"]
    assert "Found 1 of 12 with <q>shop 3</q>, state: Not up." in page
    assert 'value="shop 3"' in page
    assert '<option value="not-up" selected>' in page
    assert names(get(site).text) == sorted(f"Shop {n}" for n in range(1, 13))
    nothing = get(site, q="nothing of that")
    assert nothing.status_code == 200
    assert names(nothing.text) == []
    assert "Nothing is found among 12 with <q>nothing of that</q>." in nothing.text


def test_of_many_the_worst_are_shown() -> None:
    """And the page says so."""
    worst = (component(901, name="Last", state=State.DOWN), component(902, name="Least", state=State.PARTLY))
    board = Board(at=AT, components=(*(component(n) for n in range(1, 901)), *worst))
    page = rendering.found(board, rendering.View(), Search("s"))
    assert len(names(page)) == rendering.MOST_FOUND
    assert {"Last", "Least"} <= set(names(page))
    assert "Found 902 of 902" in page
    assert f"The first {rendering.MOST_FOUND} are shown" in page


@pytest.mark.parametrize(
    "words",
    ["internal", "https", "secret-team", "team=secret-team", "status_page", "public", "hidden", "berlin", "name="],
)
def test_the_public_finds_nothing_by_what_it_does_not_see(site: Site, words: str) -> None:
    """The answer is that to a word that is nowhere; the inner view finds by URLs and labels."""
    answers = [re.sub('<q>.*?</q>|value="[^"]*"', "", get(site, q=one).text) for one in (words, "nowhere")]
    assert answers[0] == answers[1]
    assert bool(names(get(site, "inner/", q=words).text)) == (words != "berlin")


def test_a_search_has_an_answer_of_its_own(site: Site) -> None:
    """With a tag that no other query has: whoever has it gets 304, and not for another query."""
    answers = {name: get(site, **query) for name, query in QUERIES.items()}
    assert len({answer.headers["etag"] for answer in answers.values()}) == len(QUERIES)
    for name, query in QUERIES.items():
        again = requests.get(
            site.address, params=query, headers={"If-None-Match": answers[name].headers["etag"]}, timeout=10
        )
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")
    other = {"If-None-Match": answers["state"].headers["etag"]}
    assert requests.get(site.address, params=QUERIES["word"], headers=other, timeout=10).status_code == 200
    assert get(site, "inner/", q="shop").headers["cache-control"] == "no-store"
    assert get(site, "inner/", q="shop").text != answers["word"].text


QUERIES = {"none": {}, "word": {"q": "shop"}, "state": {"state": "up"}, "both": {"q": "shop", "state": "up"}}


def test_a_search_costs_no_statement(site: Site) -> None:
    """It is answered from what is kept."""
    get(site)
    statements = list(site.rows.asked)
    for n in range(50):
        assert get(site, q=f"shop {n}").status_code == 200
    assert site.rows.asked == statements


def test_searches_of_one_address_are_counted(site: Site) -> None:
    """Whoever needs no token for them makes no more of them than of other requests, and sees the overview on."""
    assert get(site, q="shop").status_code == 200
    assert HTTPStatus.TOO_MANY_REQUESTS in (get(site, q="shop").status_code for _ in range(300))
    assert get(site).status_code == 200
    assert get(site, "inner/", q="shop").status_code == 200


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_typed_is_text(name: str) -> None:
    """It adds no element and no attribute."""
    board, *_ = everything("harmless", "https://shop.example/")
    page, harmless = (
        rendering.found(board, INNER, asked({"q": f"zzz {typed}"}) or Search()) for typed in (TEXTS[name], "harmless")
    )
    assert "Nothing is found" in page
    assert re.findall('<[^ >]*|"', page) == re.findall('<[^ >]*|"', harmless)
    assert not set(page) & set("\x00\x01\x08\x1b\x7f\u202e\u2066\ud800")
    assert len(page) < 20_000


def test_a_query_of_any_bytes_is_answered(site: Site) -> None:
    """Also of what is no text, twice the same name, and more than counts."""
    for query in ("q=%ff%fe%00", "q=a&q=b&state=up&state=x", "q=%", "q", "&&&=", urlencode({"q": "é" * 2_000})):
        assert requests.get(f"{site.address}?{query}", timeout=10).status_code == 200, query


def test_other_pages_take_no_query(site: Site) -> None:
    """They are what they are without it."""
    for name in ("incidents.html", "components/1.html", "feed.atom"):
        assert get(site, name, q="nothing").headers["etag"] == get(site, name).headers["etag"]
    assert get(site, "index-2.html", q="shop").status_code == 404


def test_few_components_need_no_search() -> None:
    """They are seen at one glance."""
    for count, forms in ((9, 0), (10, 1)):
        board = Board(at=AT, components=tuple(component(n) for n in range(count)))
        assert rendering.overview(board, rendering.View()).count('role="search"') == forms


def test_a_copy_has_no_search(tmp_path: Path) -> None:
    """There is nobody who answers."""
    board = Board(at=AT, components=tuple(component(n, labels=PUBLIC) for n in range(1, 2_002)))
    export.write(tmp_path / "www", export.files(public(board, PUBLIC), "Our shops"))
    for path in (tmp_path / "www").glob("*.html"):
        assert "<form" not in path.read_text(), path
        assert "?q=" not in path.read_text(), path


def test_a_page_of_further_targets_hears_no_events() -> None:
    """Events say nothing of them, so that it must not say that it is of now: it asks again."""
    left_out = Board(at=AT, components=(component(1),), left_out=True)
    for further, is_live in (((), True), ((component(2, name="Other"),), False), (None, True)):
        page = rendering.found(left_out, INNER, Search("o"), further)
        assert ("data-events" in page, "data-alone" in page) == (is_live, not is_live)
    assert names(rendering.found(left_out, INNER, Search("o", "down"), (component(2, name="Other"),))) == []
    assert "could not be looked up" in rendering.found(left_out, INNER, Search("o"), None)
    assert "are found by words alone" in rendering.found(left_out, INNER, Search("", "up"), ())
    assert "Further targets" not in rendering.found(left_out, rendering.View(), Search("o"), ())


def test_the_state_of_what_is_found_has_a_name() -> None:
    """By which an open page knows that something else may be found by now."""
    board = Board(at=AT, components=eight())
    changed = attrs.evolve(
        board, components=(attrs.evolve(board.components[0], state=State.DOWN), *board.components[1:])
    )
    assert rendering.states(board) != rendering.states(changed)
    assert f'data-states="{rendering.states(board)}"' in rendering.found(board, rendering.View(), Search("x"))
