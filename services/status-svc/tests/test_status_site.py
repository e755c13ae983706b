"""The pages on a real PostgreSQL, read with the rights of status-svc alone: by browsers, by many, and as files."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from status_database import MINUTE, add, roll_up, store

from dbadmin.tokens import add_token
from monitoring_core.tokens import Scope
from status_svc.cli import main
from status_svc.pages import cache, queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def shop(config: Config, connection: psycopg.Connection[Any]) -> int:
    """A public target with one result of half an hour ago and one of now."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    number = add(connection, "https://shop.internal.example/", {"status_page": "public", "name": "Shop"})
    for back in (30, 0):
        store(connection, number, now - back * MINUTE, "up", response_time_s=0.1)
    roll_up(config.database)
    return number


def test_a_browser_sends_the_token_as_a_password(config: Config, shop: int, serve: Callable[..., Any]) -> None:
    """A program as a bearer; without a valid one, a browser asks again. The public needs none."""
    token = add_token(config.database, "me", [Scope.READ], None)
    writer = add_token(config.database, "writer", [Scope.WRITE], None)
    site = serve(anonymous_read=False)
    inner = f"/inner/components/{shop}.html"
    answer = site.get(inner, auth=("anything", token))
    assert answer.status_code == 200
    assert "https://shop.internal.example/" in answer.text
    assert site.get(inner, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    for wrong in (("me", "mon_other"), ("me", ""), (token, "x")):
        refused = site.get(inner, auth=wrong)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    for header in ("Basic", "Basic !", "Basic bWU=", "Digest x"):
        assert site.get(inner, headers={"Authorization": header}).status_code == 401
    assert site.get(inner, auth=("me", writer)).status_code == 401
    assert "shop.internal" not in site.get(f"/components/{shop}.html").text


def test_a_thousand_views_cost_postgresql_what_one_costs(shop: int, serve: Callable[..., Any]) -> None:
    """Counted where statements are run: the status every second, and what changes more slowly less often."""
    site = serve(cache=SECOND)
    counted = site.metrics.statements
    began = time.monotonic()
    with ThreadPoolExecutor(16) as viewers:
        answers = list(
            viewers.map(lambda n: site.get(("/", f"/components/{shop}.html", "/feed.atom")[n % 3]), range(1_000))
        )
    assert {answer.status_code for answer in answers} == {200}
    seconds = time.monotonic() - began
    # How often something may be read that is kept for so long: at first, and whenever the time has passed.
    every_second, every_five, every_minute = (1 + int(seconds / kept) for kept in (1, 5, 60))
    # The status; incidents, notes and windows; the days and which targets are shown.
    assert counted._value.get() <= every_second + 3 * every_five + 2 * every_minute < 200


def test_a_target_that_pages_leave_out_has_its_page(
    config: Config,
    connection: psycopg.Connection[Any],
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The inner view finds it, shows all of it, and its badge; the public view does not know of it."""
    for module in (queries, cache):
        monkeypatch.setattr(module, "MOST_TARGETS", 1)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    kept, left = (add(connection, f"https://{name}.internal.example/", {"team": name}) for name in ("kept", "left"))
    for number in (kept, left):
        for back in range(3):
            store(connection, number, now - back * MINUTE, "down", error=f"refused by {number}")
    roll_up(config.database)
    site = serve(public_labels={"team": "kept"})
    overview = site.get("/inner/").text
    assert "left.internal" not in overview
    assert "Words find the others" in overview
    found = site.get("/inner/?q=team=left&state=down").text
    assert f'href="components/{left}.html"><bdi>https://left.internal.example/</bdi>' in found
    assert "left.internal" not in site.get("/inner/?q=team=left&state=up").text
    page = site.get(f"/inner/components/{left}.html").text
    for shown in (f"refused by {left}", "still open", "team=left", "data-alone"):
        assert shown in page
    assert site.get(f"/inner/badges/{left}.svg").status_code == 200
    assert "data-events" in site.get(f"/inner/components/{kept}.html").text
    for missing in (
        f"/components/{left}.html",
        f"/badges/{left}.svg",
        "/inner/components/4711.html",
        f"/inner/components/{2**63}.html",
    ):
        assert site.get(missing).status_code == 404
    assert "Further targets" not in site.get("/?q=left").text
    assert "/bdi" not in site.get("/?q=left").text


def test_an_export_links_to_where_the_pages_are(config: Config, shop: int, tmp_path: Path) -> None:
    """Read with the rights of status-svc; a slash at the end of the URL makes no difference."""
    directory, file = tmp_path / "www", tmp_path / "config.yaml"
    for url in ("https://status.example/shops", "https://status.example/shops/"):
        command = ["export", str(directory), "--config", str(file), "--set", f"status.public_url={url}"]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        assert '"https://status.example/shops/incidents.html"' in (directory / "feed.atom").read_text()
        page = (directory / "components" / f"{shop}.html").read_text()
        assert "Shop" in page
        assert "internal" not in page


def test_a_target_that_is_stale_in_the_database_is_stale_on_the_page(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    """It was up, but nothing came for an hour."""
    number = add(connection, "https://old.example/", {"status_page": "public", "name": "Old"})
    store(connection, number, dt.datetime.now(dt.UTC) - 60 * MINUTE, "up")
    roll_up(config.database)
    page = serve().get("/").text
    assert "1 without a fresh result of 1" in page
    assert "Everything is up" not in page
