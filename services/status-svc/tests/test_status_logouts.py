"""Which logins were ended, in a real PostgreSQL, with the rights of the accounts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from dbadmin.logins import end_logins
from monitoring_core.config import Role
from monitoring_core.tables import EVERYBODY
from status_svc.adapters.database import PostgresDatabase
from status_svc.logouts import Logouts
from status_svc.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test


@pytest.fixture
def logouts(config: Config) -> Iterator[Logouts]:
    account = config.database_as(Role.STATUS)
    assert account
    with contextlib.closing(PostgresDatabase(account, 1, Metrics())) as database:
        yield Logouts(database, dt.timedelta())


def ended(logouts: Logouts, who: str, since: float) -> bool:
    """By a new look."""
    asyncio.run(logouts.look())
    return logouts.ended(who, since)


def test_what_was_before_a_log_out_is_ended_and_what_comes_after_is_not(logouts: Logouts) -> None:
    before = asyncio.run(logouts.now())
    assert not ended(logouts, "ada", before)
    asyncio.run(logouts.end("ada"))
    after = asyncio.run(logouts.now())
    assert ended(logouts, "ada", before)
    assert not ended(logouts, "ada", after)
    assert not ended(logouts, "grace", before)


def test_what_an_operator_ends_is_ended(logouts: Logouts, config: Config) -> None:
    before = asyncio.run(logouts.now())
    end_logins(config.database, "ada")
    assert ended(logouts, "ada", before)
    assert not ended(logouts, "grace", before)
    end_logins(config.database, EVERYBODY)
    assert ended(logouts, "grace", before)
    assert not ended(logouts, "grace", asyncio.run(logouts.now()))


def test_a_log_out_holds_as_long_as_any_login(logouts: Logouts, connection: psycopg.Connection[Any]) -> None:
    """Whatever status.oidc_session says by now; older rows need not be read."""
    for who, days in (("ada", 6.9), ("grace", 7.1)):
        connection.execute(
            "INSERT INTO monitoring.status_logout (who, ended_at) VALUES (%s, now() - make_interval(secs => %s))",
            (who, days * 86_400),
        )
    assert ended(logouts, "ada", 1.0)
    assert not ended(logouts, "grace", 1.0)
