"""The pages in a real Chromium: with and without JavaScript, on a phone and on a wide screen, by keyboard, printed."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from database_rows import PUBLIC, Rows, status
from hostile_texts import TEXTS, URLS
from playwright.sync_api import Browser, Dialog, Page, Route, expect
from serving import Site, served

from monitoring_core.clock import SystemClock
from monitoring_core.config import StatusConfig
from monitoring_core.testing.clock import FakeClock
from monitoring_testkit.chromium import chromium
from monitoring_testkit.waiting import until
from status_svc import export
from status_svc.pages.cache import Cache
from status_svc.pages.queries import Queries
from status_svc.pages.shown import lasting, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
REL = "noreferrer noopener nofollow"
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
PAGES = [
    "",
    "components/1.html",
    "incidents.html",
    "maintenance.html",
    "?q=shop&state=not-up",
    "?q=nothing",
    "inner/",
    "inner/?q=shop.example",
    "inner/components/1.html",
    "inner/components/2.html",
    "inner/incidents.html",
    "inner/maintenance.html",
]
WIDTHS = (320, 360, 768, 1920)
# Waited for: a page may be asked before it has its style and its new width.
NOT_WIDER = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
# Rules that are not about what is wrong for sure are left out by axe itself; these are the standards that we keep.
SETTINGS = StatusConfig(title="Our shops", cache=dt.timedelta(seconds=1), anonymous_read=True)
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def shop_rows() -> Rows:
    """Every state, group, reason and kind of row that there is."""
    long = "A shop with a name that is longer than a telephone is wide, and_then_some_without_any_space_at_all_in_it"
    targets = [
        status(1, "https://shop.example/", PUBLIC | {"name": "Shop", "group": "Shops"}, since=NOW - DAY),
        status(
            2,
            f"https://shop.example/{'path/' * 60}",
            PUBLIC | {"name": long, "group": "Shops"},
            status="down",
            reason="connection_error",
            error="Connection refused " * 10,
            http_status=None,
            since=NOW - 5 * MINUTE,
            certificate_expires_at=NOW + 20 * DAY,
            certificate_subject="shop.example",
            certificate_issuer="An authority",
        ),
        status(2, "https://shop.example/", PUBLIC | {"name": long, "group": "Shops"}, location="tokyo"),
        status(3, "https://stale.example/", PUBLIC, status="unknown", reason="stale", stale=True),
        status(4, "https://unknown.example/", PUBLIC, status="unknown", reason="prober_error"),
        status(5, "https://new.example/", PUBLIC, status="unknown", reason="not_checked_yet", location=None),
        status(6, "https://paused.example/", PUBLIC, status="unknown", reason="inactive", active=False),
        status(7, "https://down.example/", PUBLIC, status="down", reason="timeout"),
        *(status(n, f"https://more-{n}.example/", PUBLIC | {"group": "More"}) for n in range(8, 12)),
    ]
    days = [
        {
            "targets": [1, 2],
            "day": (NOW - back * DAY).date(),
            "up": 1440 - failed,
            "down": failed,
            "unknown": back * 15,
        }
        for back, failed in ((n, (0, 3, 500)[n % 3]) for n in range(80))
    ]
    incidents = [
        {
            "target_id": target,
            "location": "berlin",
            "began_at": NOW - back * DAY,
            "ended_at": ended,
            "reason": "timeout",
            "end_reason": ended and "recovered",
        }
        for target, back, ended in ((1, 3, NOW - 2 * DAY), (2, 1, None), (2, 9, NOW - 8 * DAY))
    ]
    windows = [
        {
            "window_id": number,
            "match": {"group": "Shops"},
            "begins_at": NOW + begin * DAY,
            "ends_at": NOW + (begin + 1) * DAY,
            "zone": "Europe/Berlin",
            "recurrence": None,
            "ended_at": None,
            "note": "new disks",
        }
        for number, begin in ((1, -0.5), (2, 3), (3, -9))
    ]
    hours = [
        {
            "hour": NOW - back * 60 * MINUTE,
            "dns_s": 0.01,
            "connect_s": 0.02,
            "tls_s": 0.03,
            "first_byte_s": 0.1 + back / 500,
            "p50_s": 0.2,
            "p95_s": 0.3 + back / 300,
        }
        for back in range(48, 0, -1)
    ]
    checks = [
        {
            "scheduled_at": NOW - back * MINUTE,
            "location": "berlin",
            "status": ("up", "down", "unknown")[back % 3],
            "reason": (None, "status_mismatch", "prober_error")[back % 3],
            "error": "Got 500 " * (back % 3),
            "http_status": 500,
            "response_time_s": 0.2,
            "remote_address": "2001:db8::1",
            "addresses_tried": None,
            "final_url": "https://shop.example/" + "x" * 300,
            "redirects": 2,
            "certificate_subject": "shop.example",
            "certificate_issuer": "An authority",
            "http_version": "2",
            "tls_version": "1.3",
        }
        for back in range(50)
    ]
    alerts = [
        {
            "since": NOW - DAY,
            "state": "firing",
            "severity": "critical",
            "policy": "website-down",
            "locations": ["berlin"],
            "cause": None,
            "silenced_window": 3,
            "acknowledged_at": NOW,
            "acknowledged_by": "me",
            "note": "I see",
        }
    ]
    return Rows(
        *targets,
        availability_daily=days,
        website_incident=incidents,
        maintenance_window=windows,
        availability_hourly=hours,
        website_check=checks,
        alert_transition=alerts,
    )


def hostile_rows() -> Rows:
    """A target for each hostile text and URL, which is everywhere in it."""
    texts = [*TEXTS.values(), *(name for name in URLS)]
    urls = list(URLS)
    values = {"error": "", "reason": "timeout", "status": "down"}
    return Rows(
        *(
            status(
                n + 1,
                urls[n % len(urls)],
                PUBLIC | {"name": one, "group": one, one: one},
                **values | {"error": one, "location": text(one), "certificate_subject": one},
            )
            for n, one in enumerate(texts)
        )
    )


class StoppedClock(SystemClock):
    """A wall clock that stands still, so that pages read one after the other say the same; caches still grow old."""

    def __init__(self) -> None:
        self._now_ms = super().now_ms()

    def now_ms(self) -> int:
        """The moment at which it was made."""
        return self._now_ms


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with served(shop_rows(), SETTINGS, StoppedClock()) as running:
        yield running


@pytest.fixture(scope="module")
def hostile_site() -> Iterator[Site]:
    with served(hostile_rows(), SETTINGS) as running:
        yield running


@pytest.fixture
def shop() -> Iterator[Site]:
    """A site of one component, for a test that changes it. To be asked for before `opened`, which closes its pages."""
    rows = Rows(status(1, "https://shop.example/", PUBLIC | {"name": "Shop"}))
    with served(rows, SETTINGS) as running:
        yield running


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Iterator[str]:
    """The address of a copy of three hours ago, from files alone.

    A test names it before `opened`: a browser asks for the icon of a page after all else, and what it still reads when
    the server ends would be a fault of the page.
    """
    before = FakeClock(int((dt.datetime.now(dt.UTC) - 3 * 60 * MINUTE).timestamp() * 1_000))
    cache = Cache(Queries(site.rows), before, StatusConfig())
    # Another thread, because Playwright has an event loop in this one.
    with ThreadPoolExecutor(1) as beside:
        board = beside.submit(lambda: asyncio.run(cache.current())).result().public
    export.write(tmp_path / "www", export.files(board, "Our shops"))

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "www"))

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class Watched:
    """A page of which everything that goes wrong is noted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._request(request.url))

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _request(self, url: str) -> None:
        if not url.startswith("http://127.0.0.1:"):
            self.wrong.append(f"request to {url}")


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    """Opens a page; at the end nothing must have gone wrong on it."""
    pages: list[Watched] = []

    def open_page(address: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        watched = Watched(context.new_page())
        pages.append(watched)
        answer = watched.page.goto(address, wait_until="load")
        assert answer
        assert answer.status == 200
        return watched.page

    yield open_page
    for watched in pages:
        watched.page.context.close()
        assert watched.wrong == []


def test_no_page_scrolls_sideways(opened: Any, site: Site) -> None:
    """Pages of every kind, from a phone to a wide screen, with JavaScript and without."""
    for script in (True, False):
        page = opened(site.address, java_script_enabled=script)
        for name in PAGES:
            page.goto(site.address + name)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                until(partial(page.evaluate, NOT_WIDER), what=f"{name} at {width}")


# Names of components over which a state lies.
_OVERLAPPING = """[...document.querySelectorAll('.components li')].filter(one => {
    const [words, name] = ['.state b', 'a'].map(what => one.querySelector(what).getBoundingClientRect());
    return words.right > name.left && words.bottom > name.top && words.left < name.right && words.top < name.bottom;
}).map(one => one.querySelector('a').textContent)"""


def test_a_name_has_room_on_every_screen(opened: Any, site: Site) -> None:
    """On none does it stand a syllable to a line, because something beside it takes all that there is."""
    page = opened(site.address)
    roomy = "[...document.querySelectorAll('.components a')].every(a => a.getBoundingClientRect().width >= 160)"
    assert page.locator(".components a").count() > 5
    for width in range(320, 1_500, 20):
        page.set_viewport_size({"width": width, "height": 900})
        until(partial(page.evaluate, roomy), what=f"at {width}")
        until(lambda: page.evaluate(_OVERLAPPING) == [], what=f"at {width}")


def test_a_telephone_shows_first_why_something_is_down(opened: Any, site: Site) -> None:
    """Above the days, and without moving a table."""
    page = opened(site.address + "inner/components/7.html", viewport={"width": 390, "height": 844})
    why = page.get_by_role("cell", name="timeout").first.bounding_box()
    assert why["x"] + why["width"] <= 390
    assert why["y"] + why["height"] <= 844
    chart = page.goto(site.address + "inner/components/1.html") and page.locator(".chart").bounding_box()
    assert chart["width"] >= 700


def test_an_open_page_says_how_long_it_has_been(opened: Any, site: Site) -> None:
    """In the words of the server, as of the moment of the page."""
    page = opened(site.address)
    lasts = page.locator("[data-since]").first
    expect(lasts).to_have_text(re.compile("^1 day"))
    for minutes, words in ((0, "less than a minute"), (1, "1 minute"), (181, "3 hours 1 minute"), (2_880, "2 days")):
        page.evaluate(
            "minutes => document.querySelector('[data-since]').dataset.since ="
            "new Date(Date.parse(document.body.dataset.made) - minutes * 60000).toISOString()",
            minutes,
        )
        expect(lasts).to_have_text(words)
        assert words == lasting(dt.timedelta(minutes=minutes))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened: Any, site: Site, scheme: str) -> None:
    """Contrast, names, order of headings, landmarks: on every page, in both schemes of colours, on both widths."""
    axe = Axe()
    page = opened(site.address, color_scheme=scheme)
    for name in PAGES:
        page.goto(site.address + name)
        for width in (360, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            found = axe.run(page, options={"runOnly": {"type": "tag", "values": STANDARDS}})
            assert found.violations_count == 0, f"{name} at {width}: {found.generate_report()}"


def test_without_javascript_a_page_says_the_same(opened: Any, site: Site) -> None:
    """Every text but for its age."""
    for name in PAGES:
        pages = [opened(site.address + name, java_script_enabled=script) for script in (True, False)]
        texts: list[list[str]] = [[], ["?"]]
        # Again where a minute ended between the two, of which some texts tell how many have passed.
        for _ in range(5):
            for place, page in enumerate(pages):
                page.reload()
                lines = page.locator("main").inner_text().splitlines()
                texts[place] = [line for line in lines if line.strip()]
            if texts[0] == texts[1]:
                break
        assert texts[0] == texts[1]
        assert len(texts[0]) > 1
        for page in pages:
            page.close()


def test_every_bar_is_reached_by_keyboard_and_says_its_figures(opened: Any, site: Site) -> None:
    """Tab goes from day to day; each shows its figures, and Enter leads to its row in the table."""
    for name in ("components/1.html", "inner/components/1.html"):
        page = opened(site.address + name)
        said = []
        for _ in range(200):
            page.keyboard.press("Tab")
            tip = page.evaluate(
                "(() => { const one = document.activeElement.closest('.days a'); if (!one) return null;"
                "const tip = one.querySelector('.tip'); const box = tip.getBoundingClientRect();"
                "const within = box.left >= 0 && box.right <= innerWidth;"
                "return [tip.textContent, getComputedStyle(tip).clipPath, within]; })()"
            )
            if tip:
                said.append(tip)
                if len(said) == 90:
                    break
        assert len({words for words, _, _ in said}) == 90
        assert all(clip == "none" and inside for _, clip, inside in said)
        assert all("available" in words or "nothing known" in words for words, _, _ in said)
        day = page.evaluate("document.activeElement.hash").removeprefix("#d")
        page.keyboard.press("Enter")
        expect(page.locator("tr:target th")).to_have_text(day)


def test_an_open_page_hears_of_a_change(shop: Site, opened: Any) -> None:
    """In words, shape and colour, without being loaded again; the sentence of the overview, too."""
    overview = opened(shop.address)
    component = opened(shop.address + "components/1.html")
    inner = opened(shop.address + "inner/components/1.html")
    expect(overview.locator("#c1 .state b")).to_have_text("Up")
    shop.rows.status[0] |= {"status": "down", "reason": "timeout", "since": NOW}
    expect(inner.locator("#c1 .since")).to_contain_text(f"{NOW:%H:%M:%S}", timeout=60_000)
    expect(inner.locator("[aria-labelledby=locations] .state b")).to_have_text("Down")
    for page in (overview, component, inner):
        expect(page.locator("#c1 .state b")).to_have_text("Down", timeout=60_000)
        assert page.locator("#c1 .state use").get_attribute("href") == "#down"
        assert "down" in (page.locator("#c1 .state").get_attribute("class") or "").split()
    expect(overview.locator("#summary")).to_have_text("1 down of 1")
    shop.rows.status[0] |= {"status": "up", "reason": None}
    expect(overview.locator("#c1 .state b")).to_have_text("Up", timeout=60_000)
    expect(overview.locator("#age")).to_have_text(", less than a minute ago")


def test_an_open_page_hears_of_an_incident(shop: Site, opened: Any) -> None:
    """It is there, and over, without the page being loaded again."""
    incident = {"target_id": 1, "location": "berlin", "began_at": NOW, "reason": "timeout"}
    pages = [opened(shop.address + name) for name in ("", "incidents.html", "components/1.html")]
    for page in pages:
        page.evaluate("window.loadedOnce = true")
    shop.rows.status[0] |= {"status": "down", "reason": "timeout"}
    shop.rows.others["website_incident"] = [incident | {"ended_at": None, "end_reason": None}]
    for page in pages:
        expect(page.locator("article")).to_contain_text("still open", timeout=60_000)
    shop.rows.others["website_incident"] = [incident | {"ended_at": NOW + MINUTE, "end_reason": "recovered"}]
    for page, count in zip(pages, (0, 1, 1), strict=True):
        expect(page.locator("article.open")).to_have_count(0, timeout=60_000)
        expect(page.locator("article.over")).to_have_count(count)
        assert page.evaluate("window.loadedOnce")


@pytest.mark.parametrize("script", [True, False])
def test_a_search_is_made_by_keyboard(opened: Any, site: Site, script: bool) -> None:
    """With JavaScript and without: words, a state, Enter; and back to all."""
    page = opened(site.address, java_script_enabled=script)
    page.get_by_label("Words").focus()
    page.keyboard.type("SHOP")
    page.keyboard.press("Tab")
    page.keyboard.type("Down at")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#found > p").first).to_contain_text("Found 1 of 11 with SHOP, state: Down at some locations.")
    assert page.url == site.address + "?q=SHOP&state=partly"
    assert page.get_by_label("Words").input_value() == "SHOP"
    page.get_by_role("link", name="Show all").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".components li")).to_have_count(11)
    assert page.url == site.address


def test_an_open_search_hears_what_it_finds_by_now(shop: Site, opened: Any) -> None:
    """What is down by now is there, and what is up again is gone, without the page being loaded again."""
    page = opened(shop.address + "?state=not-up")
    page.evaluate("window.loadedOnce = true")
    expect(page.locator("#found")).to_contain_text("Nothing is found among 1")
    shop.rows.status[0] |= {"status": "down", "reason": "timeout"}
    expect(page.locator("#c1 .state b")).to_have_text("Down", timeout=20_000)
    expect(page.locator("#found")).to_contain_text("Found 1 of 1")
    shop.rows.status[0] |= {"status": "up", "reason": None}
    expect(page.locator("#c1")).to_have_count(0, timeout=20_000)
    assert page.evaluate("window.loadedOnce")


def test_a_page_of_which_no_event_tells_asks_again(shop: Site, opened: Any) -> None:
    """That of a target which pages leave out: it is as of then, and says so when it cannot ask."""
    shop.rows.left_out = [status(2, "https://left.example/", {})]
    page = opened(shop.address + "inner/components/2.html")
    page.clock.install()
    page.reload()
    expect(page.locator("#c2 .state b")).to_have_text("Up")
    shop.rows.left_out[0] |= {"status": "down", "reason": "timeout"}

    def is_down() -> bool:
        page.clock.fast_forward(34_000)
        return bool(page.locator("#c2 .state b").inner_text() == "Down")

    until(is_down, 30)
    shop.rows.away = True
    page.clock.fast_forward(400_000)
    expect(page.locator("#old")).to_contain_text("nothing newer has come")


def test_an_open_page_that_hears_nothing_says_so(shop: Site, opened: Any) -> None:
    """It must not go on to say that everything is up."""
    page = opened(shop.address)
    page.clock.install()
    page.reload()
    expect(page.locator("#old")).to_be_empty()

    said, look = "", ""

    def says_so() -> bool:
        nonlocal said, look
        page.clock.fast_forward(65_000)  # again, where an event has just come
        # At once, since the next event may be near.
        said, look = page.evaluate("[document.getElementById('old').textContent, document.body.className]")
        return bool(said)

    until(says_so)
    assert re.fullmatch("This is how it was (1 minute|[2-9] minutes) ago: nothing newer has come.", said)
    assert look == "old"
    shop.rows.status[0] |= {"status": "down", "reason": "timeout"}
    expect(page.locator("#summary")).to_have_text("1 down of 1", timeout=60_000)
    expect(page.locator("#old")).to_be_empty()


def test_an_open_page_comes_back_after_an_answer_that_is_an_error(shop: Site, browser: Browser) -> None:
    """Such as that of a proxy while the service is upgraded, after which browsers do not come back by themselves."""
    context = browser.new_context()
    page, refused = context.new_page(), list[str]()

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503)

    page.clock.install()
    page.route("**/events", refuse)
    page.goto(shop.address)
    shop.rows.status[0] |= {"status": "down", "reason": "timeout"}

    def later(holds: Callable[[], bool]) -> bool:
        page.clock.fast_forward(61_000)
        return holds()

    until(lambda: later(lambda: len(refused) > 1))
    page.unroute("**/events")
    until(lambda: later(lambda: page.locator("#summary").inner_text() == "1 down of 1"))
    context.close()


def test_an_open_page_is_loaded_again_while_nobody_is_in_the_middle_of_it(shop: Site, opened: Any) -> None:
    """Its days and figures would grow old; but whoever has moved the focus there does not lose it."""
    page = opened(shop.address)
    page.clock.install(time=NOW)
    # So that the ten minutes are ours, however long the machine takes for a step.
    page.clock.pause_at(NOW + MINUTE)
    page.add_init_script("Math.random = () => 0")
    page.reload()
    page.evaluate("window.loadedOnce = true")

    def ten_minutes_later(status: str) -> None:
        page.clock.fast_forward(590_000)
        shop.rows.status[0] |= {"status": status}
        # It hears that, and so that there is a server from which it can be loaded.
        expect(page.locator("#c1 .state b")).to_have_text(status.capitalize(), timeout=60_000)
        page.clock.fast_forward(11_000)

    page.locator("#c1 a").focus()
    ten_minutes_later("down")
    page.wait_for_timeout(1_000)
    assert page.evaluate("window.loadedOnce")
    page.evaluate("document.activeElement.blur()")
    with page.expect_event("framenavigated", timeout=60_000):
        ten_minutes_later("up")
    assert page.evaluate("window.loadedOnce === undefined")


def test_hostile_text_is_text(opened: Any, hostile_site: Site) -> None:
    """No dialog, no request to elsewhere, no page that changes; every text is seen as it is."""
    page = opened(hostile_site.address + "inner/")
    title = page.title()
    shown = [" ".join(one.split()) for one in page.locator(".components bdi").all_text_contents()]
    for one in TEXTS.values():
        if one.strip():
            assert " ".join(text(one, 120).split()) in shown
    for number in range(1, len(TEXTS) + len(URLS) + 1, 4):
        for root in ("", "inner/"):
            page.goto(f"{hostile_site.address}{root}components/{number}.html")
            until(lambda: page.evaluate(NOT_WIDER), what=page.url)
            outside = page.eval_on_selector_all(
                "a", "all => all.filter(a => a.origin !== location.origin).map(a => [a.protocol, a.rel])"
            )
            assert all(found in (["http:", REL], ["https:", REL]) for found in outside)
    page.goto(hostile_site.address + "inner/")
    assert page.title() == title


def test_a_page_prints(opened: Any, site: Site) -> None:
    """On white, whatever the scheme of colours, and without what only a screen needs."""
    page = opened(site.address, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").first.is_visible()
    assert len(page.pdf()) > 10_000


def test_a_copy_says_how_old_it_is(copy: str, opened: Any) -> None:
    """From files alone, with and without JavaScript; after five minutes it says so loudly."""
    page = opened(copy)
    expect(page.locator("#age")).to_have_text(", 3 hours ago")
    expect(page.locator("#age")).to_have_class("old")
    expect(page.locator("#old")).to_have_text("This is how it was 3 hours ago: nothing newer has come.")
    plain = opened(copy, java_script_enabled=False)
    assert "Made at" in plain.locator("footer").inner_text()
    plain.click("text=Incidents >> nth=0")
    assert plain.locator("h1").inner_text() == "Incidents"
