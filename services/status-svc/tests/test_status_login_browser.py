"""People log in and out in a real Chromium, at a provider that is another site."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from database_rows import PUBLIC, Rows, status
from openid_provider import CLIENT_ID, Provider, provider
from playwright.sync_api import Browser, expect
from serving import Site, served

from monitoring_core.config import StatusConfig
from monitoring_testkit.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

pytestmark = pytest.mark.integration_test

ENTER = "text=I am ada"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def issuer() -> Iterator[Provider]:
    """At a name that is another site than 127.0.0.1, so that browsers judge cookies as on the Internet."""
    with provider("localhost") as one:
        one.asks = True
        yield one


@pytest.fixture
def site(issuer: Provider) -> Iterator[Site]:
    settings = StatusConfig(
        cache=dt.timedelta(seconds=1),
        oidc_issuer=issuer.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_allowed=("groups=operators",),
    )
    now = dt.datetime.now(dt.UTC)
    with served(Rows(status(1, "https://shop.internal.example/", PUBLIC, last_check_at=now)), settings) as one:
        yield one


@pytest.mark.parametrize("script", [True, False])
def test_somebody_logs_in_reads_and_logs_out(browser: Browser, site: Site, script: bool) -> None:
    """With and without JavaScript, on a phone; nothing goes wrong in the console, and axe finds nothing."""
    context = browser.new_context(java_script_enabled=script, viewport={"width": 360, "height": 740})
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto(f"{site.address}inner/components/1.html")
    assert page.title() == "Provider"
    page.click(ENTER)
    expect(page).to_have_url(f"{site.address}inner/components/1.html")
    expect(page.locator("main")).to_contain_text("https://shop.internal.example/")
    # Its text is there before its style, without which it is wider.
    page.wait_for_load_state("load")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/inner/")
    assert time.time() < cookie["expires"] < time.time() + 8 * 3_600 + 60
    if script:
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert Axe().run(page).violations_count == 0
        _hears_of_a_change(page, site)
    page.get_by_role("button", name="Log out").press("Enter")
    expect(page).to_have_url(site.address)
    assert context.cookies() == []
    page.goto(f"{site.address}inner/")
    assert page.title() == "Provider"
    assert wrong == []
    context.close()


def test_another_site_cannot_log_somebody_out(browser: Browser, site: Site, issuer: Provider) -> None:
    """Browsers leave the cookie out of what other sites post."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.address}inner/")
    page.click(ENTER)
    expect(page).to_have_url(f"{site.address}inner/")
    page.goto(f"{issuer.issuer}/.well-known/openid-configuration")
    page.set_content(f'<form method="post" action="{site.address}inner/logout"><button>Win</button></form>')
    page.click("text=Win")
    expect(page).to_have_url(site.address)
    page.goto(f"{site.address}inner/")
    assert page.title().endswith("(inner)")
    context.close()


def _hears_of_a_change(page: Page, site: Site) -> None:
    """The stream of events is let in by the cookie."""
    site.rows.status[0] |= {"status": "down", "reason": "timeout"}
    expect(page.locator("#c1 .state b")).to_have_text("Down", timeout=10_000)
