"""What pages read from a real PostgreSQL is what the rows say."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from status_database import MINUTE, OneConnection, add, database, roll_up, store

from monitoring_core.clock import SystemClock
from monitoring_core.config import StatusConfig
from monitoring_core.errors import OutageError
from monitoring_testkit import alert_rows
from status_svc.pages import cache, queries, rendering
from status_svc.pages.cache import Cache
from status_svc.pages.model import State
from status_svc.pages.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_stack.servers import Postgres
    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test


@pytest.fixture(scope="module")
def made(postgres: Postgres) -> Iterator[tuple[DatabaseConfig, Session]]:
    """A target that is down at one of two places, one that is stale, one that is paused and one that is new."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    with database(postgres, "status_queries") as (config, connection):
        shop = add(
            connection,
            "https://shop.example/",
            {"status_page": "public", "name": "Shop", "group": "Shops", "team": "a"},
        )
        stale = add(connection, "https://stale.example/", {"status_page": "public", "group": "Shops"})
        add(connection, "https://paused.example/", active=False)
        add(connection, "https://new.example/")
        for back in range(30, 0, -1):
            up: dict[str, Any] = {
                "dns_s": 0.01,
                "connect_s": 0.02,
                "tls_s": 0.03,
                "first_byte_s": 0.04,
                "response_time_s": 0.1,
                "http_status": 200,
            }
            store(connection, shop, now - back * MINUTE, "up", certificate_expires_at=now + 90 * 1440 * MINUTE, **up)
            failed = back <= 5
            store(
                connection,
                shop,
                now - back * MINUTE,
                "down" if failed else "up",
                location="tokyo",
                error="<b>Connection refused</b>" if failed else None,
                **({} if failed else up),
            )
        store(connection, stale, now - 600 * MINUTE, "up")
        alert_rows.store(connection, alert_rows.transition(shop, "firing", "suspected"))
        connection.execute(
            "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, note) "
            "VALUES ('{\"team\": \"a\"}', now() - interval '1 hour', now() + interval '1 hour', 'new disks')"
        )
        roll_up(config)
        yield config, connection


def cache_of(made: tuple[DatabaseConfig, Session], statements: list[str] | None = None) -> Cache:
    return Cache(Queries(OneConnection(made[1], statements)), SystemClock(), StatusConfig())


def test_the_components_are_what_the_rows_say(made: tuple[DatabaseConfig, Session]) -> None:
    """State over the locations, days, incidents and maintenance; the public sees two of four."""
    both = asyncio.run(cache_of(made).current())
    shop, stale, paused, new = both.inner.components
    assert [one.state for one in both.inner.components] == [State.PARTLY, State.STALE, State.PAUSED, State.NEW]
    assert (shop.name, shop.group, shop.known, shop.places) == ("Shop", "Shops", 2, 2)
    assert (paused.name, paused.group) == ("https://paused.example/", "Other")
    assert sum(day.up + day.down for day in shop.days) == 60
    assert shop.availability == 55 / 60
    assert stale.coverage is not None
    assert new.availability is None
    (incident,) = both.inner.incidents
    assert (incident.target_id, incident.locations, incident.ended_at) == (shop.id, ("tokyo",), None)
    (window,) = both.inner.maintenance
    assert (window.names, window.note) == (("Shop",), "new disks")
    assert [one.name for one in both.public.components] == ["Shop", "stale.example"]
    assert both.public.maintenance[0].note is None
    assert "shop.example" not in repr(both.public)


def test_an_incident_that_is_open_is_read_before_all_that_are_over(
    made: tuple[DatabaseConfig, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many came and went since it began."""
    monkeypatch.setattr(queries, "MOST_INCIDENTS", 1)
    _, connection = made
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, location, began_at, ended_at, reason, checks, "
            "end_reason) VALUES (1, 'elsewhere', now(), now(), 'timeout', 1, 'recovered')"
        )
        (row,) = asyncio.run(Queries(OneConnection(connection)).incidents(dt.datetime.now(dt.UTC)))
    assert (row["location"], row["ended_at"]) == ("tokyo", None)


@pytest.mark.parametrize(
    ("most", "labels", "shown"),
    [
        (3, {"status_page": "public"}, ["Shop", "https://stale.example/"]),
        (1, {"status_page": "public"}, ["Shop"]),
        (3, {}, ["Shop", "https://stale.example/", "https://paused.example/"]),
        (3, {"status_page": "nobody"}, []),
        (4, {"status_page": "public"}, None),
    ],
)
def test_of_too_many_targets_those_are_shown_that_everybody_may_see(
    made: tuple[DatabaseConfig, Session],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    labels: dict[str, str],
    shown: list[str] | None,
) -> None:
    """A process has room for so many. The overview says so, the public one where there are more that it may show."""
    for module in (queries, cache):
        monkeypatch.setattr(module, "MOST_TARGETS", most)
    both = asyncio.run(
        Cache(Queries(OneConnection(made[1])), SystemClock(), StatusConfig(public_labels=labels)).current()
    )
    names = [one.name for one in both.inner.components]
    assert (names if both.inner.left_out else None) == shown
    assert ("These pages show at most 10,000 targets" in rendering.overview(both.inner, rendering.View())) == bool(
        both.inner.left_out
    )
    is_full = shown is not None and len(shown) == most
    assert ("at most 10,000" in rendering.overview(both.public, rendering.View())) == is_full
    known_up = {"Shop": 55, "https://stale.example/": 1}
    assert [sum(day.up for day in one.days) for one in both.inner.components] == [
        known_up.get(name, 0) for name in names
    ]
    assert len(both.inner.incidents) == (shown is None or "Shop" in shown)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("STALE", ["https://stale.example/"]),
        ("example new", ["https://new.example/"]),
        ("status_page=PUBLIC group=shops", ["https://stale.example/"]),
        ("Müller", ["https://new.example/"]),
        ("50%", ["https://new.example/"]),
        ("a_b\\c", ["https://new.example/"]),
        ("a%c", []),
        ("axb", []),
        ("shop.example", []),
        ("team=a", []),
        ("secret", []),
        (".example", ["https://stale.example/", "https://paused.example/", "https://new.example/"]),
    ],
)
def test_targets_that_pages_leave_out_are_found_by_words(
    made: tuple[DatabaseConfig, Session], monkeypatch: pytest.MonkeyPatch, typed: str, found: list[str]
) -> None:
    """As those that they keep, which are not found once more; no word is a pattern, and no password is found."""
    for module in (queries, cache):
        monkeypatch.setattr(module, "MOST_TARGETS", 1)
    _, connection = made
    with connection.transaction(force_rollback=True):
        connection.execute(
            "UPDATE monitoring.availability_monitor_config SET amc_labels = %s::jsonb, "
            "amc_url = replace(amc_url, '//', '//user:secret@') WHERE amc_url LIKE '%%new%%'",
            ('{"owner": "Müller 50%", "path": "a_b\\\\c"}',),
        )
        connection.execute(
            "UPDATE monitoring.availability_monitor_config SET amc_labels = 'null' WHERE amc_url LIKE '%paused%'"
        )

        async def look() -> list[str]:
            cache = cache_of(made)
            assert [one.name for one in (await cache.current()).inner.components] == ["Shop"]
            return [one.name for one in (await cache.search(typed.split())).components]

        assert asyncio.run(look()) == found


def test_a_search_beyond_what_pages_keep_is_made_once(
    made: tuple[DatabaseConfig, Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many make it within the time of status.cache; and no more of them than so many at once."""
    for module in (queries, cache):
        monkeypatch.setattr(module, "MOST_TARGETS", 1)
    statements: list[str] = []

    async def look() -> None:
        cache = cache_of(made, statements)
        await cache.current()
        before = len(statements)
        await asyncio.gather(*(cache.search(["stale"]) for _ in range(1_000)))
        # The targets; their status, days and incidents.
        assert len(statements) - before == 4
        with pytest.raises(OutageError, match="more than 20 are looked at at once"):
            await asyncio.gather(*(cache.search([f"nothing {n}"]) for n in range(20)))
        await cache.close()

    asyncio.run(look())


def test_the_inner_page_of_a_target_has_its_checks_and_alerts(made: tuple[DatabaseConfig, Session]) -> None:
    """Hours, the last fifty checks with what was seen, alerts and the certificate."""

    async def page() -> str:
        cache = cache_of(made)
        inner = (await cache.current()).inner
        detail = await cache.detail(inner.components[0].id)
        assert len(detail.checks) == 50
        assert detail.hours
        assert [hour.dns_s for hour in detail.hours] == pytest.approx([0.01] * len(detail.hours))
        assert [alert.policy for alert in detail.alerts] == ["website-down"]
        return rendering.component(inner, inner.components[0], rendering.View(), detail)

    html = asyncio.run(page())
    assert "&lt;b&gt;Connection refused&lt;/b&gt;" in html
    assert "Seen from berlin: expires at" in html


def test_however_many_look_postgresql_is_read_once_a_second(made: tuple[DatabaseConfig, Session]) -> None:
    """A thousand viewers at once cost what one costs, and so do ten thousand within a second."""
    statements: list[str] = []

    async def look() -> None:
        cache = cache_of(made, statements)
        await asyncio.gather(*(cache.current() for _ in range(1_000)))
        assert len(statements) == 6
        for _ in range(10_000):
            await cache.current()
        await cache.close()

    asyncio.run(look())
    assert sum("website_status" in one for one in statements) <= 2
    assert sum("website_availability_daily" in one for one in statements) == 1
