"""What maintenance windows kept back, when they are over: told once, when all that happened within is decided."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from alert_svc.adapters.maintenance import Maintenance
from alert_svc.notify.statements import Statements, alert_of
from alert_svc.notify.wording import of_alert
from monitoring_core.clock import to_ms
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import connect
from monitoring_testkit.alert_rows import store, transition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test
MINUTE = dt.timedelta(minutes=1)
NOW = dt.datetime.now(dt.UTC)
IS_OVER = "maintenance window 1 is over"


@pytest.fixture
def connection(database: DatabaseConfig) -> Iterator[Session]:
    """There is a window, which is over."""
    with connect(database, "test", autocommit=True) as made:
        made.execute(
            "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at) VALUES ('{}', %s, %s)",
            (NOW - 60 * MINUTE, NOW - 30 * MINUTE),
        )
        yield made


def told(connection: Session, decided_until: dt.datetime) -> list[str]:
    """What is told now, in words, when everything up to a moment is decided of targets with even numbers."""
    last = connection.execute("SELECT coalesce(max(sequence), 0) FROM monitoring.alert_transition").fetchone()
    with connection.transaction(), connection.cursor() as cursor:
        Maintenance("monitoring").tell_what_lasts(cursor, lambda target: None if target % 2 else to_ms(decided_until))
    query = Statements("monitoring")["SELECT {alert} FROM {alert_transition} a WHERE sequence > %s ORDER BY target_id"]
    return [f"{of_alert(alert_of(row))} ({alert_of(row).cause})" for row in connection.execute(query, last)]


def test_what_lasts_is_told_once_when_the_time_of_the_window_is_decided(connection: Session) -> None:
    """Not while results from within it are still to be decided, after which it may have ended; nor that of others."""
    within = NOW - 45 * MINUTE
    store(connection, *(transition(number, "firing", "suspected", at=within, window=1) for number in (2, 3, 4)))
    assert told(connection, NOW - 40 * MINUTE) == []
    store(connection, transition(4, "resolved", "recovering", at=NOW - 35 * MINUTE, window=1))
    assert told(connection, NOW - 29 * MINUTE) == [f"https://shop2.example/ is down ({IS_OVER})"]
    assert told(connection, NOW) == []


def test_an_end_that_was_kept_back_says_why_it_came(connection: Session) -> None:
    """A target that was deleted within the window is not up again."""
    before, within = NOW - 90 * MINUTE, NOW - 45 * MINUTE
    store(connection, *(transition(number, "firing", "suspected", at=before) for number in (2, 4)))
    cause = "the target was deleted or deactivated"
    store(connection, transition(2, "resolved", "recovering", at=within, window=1))
    store(connection, transition(4, "resolved", "firing", at=within, window=1, cause=cause))
    assert told(connection, NOW) == [
        f"https://shop2.example/ is up again ({IS_OVER})",
        f"the alert about https://shop4.example/ has ended: {cause}; {IS_OVER} ({cause}; {IS_OVER})",
    ]
