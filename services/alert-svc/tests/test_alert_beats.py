"""The monitor's own death: heartbeat and Watchdog come while results come and notifications are sent, no longer."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import structlog

from alert_svc.notify.beats import Beats
from alert_svc.notify.channel_settings import AlertmanagerChannel, ChannelType
from alert_svc.notify.channels.build import sender
from alert_svc.notify.deliveries import Timing
from alert_svc.notify.metrics import Metrics
from alert_svc.notify.notifier import Notifier
from alert_svc.notify.settings import Grouping, Heartbeat, Notifications, Route
from alert_svc.progress import Progress
from local_stack.processes import free_port
from monitoring_core.clock import to_ms
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.stop import Stop
from monitoring_testkit.alert_rows import store, transition
from monitoring_testkit.needs import need
from monitoring_testkit.servers.alertmanager import alertmanager, missing
from monitoring_testkit.servers.receiver import receiver
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test
AT_ONCE = Grouping(wait=dt.timedelta(), at_most=dt.timedelta())
SECOND = dt.timedelta(seconds=1)


def result(connection: Session, ago: dt.timedelta, status: str = "up") -> None:
    connection.execute(
        "INSERT INTO monitoring.availability_result (target_id, scheduled_at, location, status, reason, producer_id) "
        "VALUES (1, now() - %s, 'berlin', %s, %s, 1)",
        (ago, status, None if status == "up" else "missed_window"),
    )


@contextmanager
def running(database: DatabaseConfig, settings: Notifications) -> Iterator[None]:
    stop, senders = Stop(), {channel.name: sender(channel) for channel in settings.channels}
    timing = Timing(lease_s=2.0, first_retry_s=0.2, last_retry_s=0.5)
    thread = threading.Thread(target=Notifier(database, settings, senders, Metrics(), timing).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.request()
        thread.join(40)


def test_the_heartbeat_comes_when_results_are_fresh_and_only_then(
    database: DatabaseConfig, connection: Session
) -> None:
    """Old results, and results that say nothing, are none."""
    with receiver() as healthchecks:
        beat = Heartbeat(url=f"{healthchecks.url}ping", every=SECOND, fresh_within=60 * SECOND)
        with running(database, Notifications(heartbeat=beat, grouping=AT_ONCE)):
            result(connection, 120 * SECOND)
            result(connection, 2 * SECOND, "unknown")
            store(connection, transition(1, "firing", "suspected"))
            until(lambda: not unnoticed(connection))
            assert healthchecks.requests == []
            result(connection, SECOND)
            until(lambda: len(healthchecks.requests) >= 2)
        assert {(request.method, request.path) for request in healthchecks.requests} == {("GET", "/ping")}


def test_a_fault_of_ours_in_a_heartbeat_is_seen(connection: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise stay in its thread, and only who waits for the heartbeat would know."""

    def faulty(*_: object) -> str:
        raise RuntimeError("ours")

    monkeypatch.setattr("alert_svc.notify.beats.request", faulty)
    result(connection, SECOND)
    beats = Beats("monitoring", Notifications(heartbeat=Heartbeat(url="http://localhost/")), {}, Metrics())
    with structlog.testing.capture_logs() as logged:
        beats.begin(connection)
        until(lambda: [one["event"] for one in logged] == ["sending failed"])


def unnoticed(connection: Session) -> bool:
    return bool(connection.execute("SELECT FROM monitoring.alert_transition WHERE NOT noticed").fetchone())


@pytest.mark.parametrize(
    ("stuck", "why"),
    [
        ("made_at = now() - interval '11 min', next_at = now(), attempts = 9", "notifications are not sent"),
        ("next_at = now() - interval '11 min'", "notifications are not sent"),
        # As for quiet hours.
        ("made_at = now() - interval '11 min', next_at = now() + interval '1 hour'", None),
        ("made_at = now() - interval '11 min', state = 'given_up', attempts = 9", None),
        ("made_at = now() - interval '11 min', channel = 'gone', attempts = 9", None),
    ],
)
def test_notifications_that_do_not_drain_withhold_it(connection: Session, stuck: str, why: str | None) -> None:
    """Whatever is due must have been sent within ten minutes."""
    result(connection, SECOND)
    channel = AlertmanagerChannel(name="am", type=ChannelType.ALERTMANAGER, url="http://127.0.0.1:9")
    beats = Beats("monitoring", Notifications(channels=(channel,)), {}, Metrics())
    connection.execute(
        "INSERT INTO monitoring.alert_notification (notification_id, channel, kind, content, transitions) "
        "VALUES ('n', 'am', 'problem', '{}', '{}')"
    )
    assert beats.why_withheld(connection) is None
    connection.execute(f"UPDATE monitoring.alert_notification SET {stuck}".encode())
    assert beats.why_withheld(connection) == why


def test_transitions_that_nobody_tells_withhold_it(connection: Session) -> None:
    """Nobody makes messages of them: that is found, too."""
    result(connection, SECOND)
    beats = Beats("monitoring", Notifications(), {}, Metrics())
    store(connection, transition(1, "firing", "suspected"))
    assert beats.why_withheld(connection) is None
    connection.execute("UPDATE monitoring.alert_transition SET stored_at = now() - interval '1 hour'")
    assert beats.why_withheld(connection) == "transitions are not told"


@pytest.mark.parametrize(("ago", "why"), [(60 * SECOND, None), (400 * SECOND, "results are not decided")])
def test_results_that_nobody_decides_withhold_it(connection: Session, ago: dt.timedelta, why: str | None) -> None:
    """They may be fresh in the database: consumers store them, and this process does not get them."""
    result(connection, SECOND)
    progress = Progress(to_ms(dt.datetime.now(dt.UTC) - ago))
    assert Beats("monitoring", Notifications(), {}, Metrics(), progress).why_withheld(connection) == why


def test_a_restarted_alertmanager_learns_what_is_open(database: DatabaseConfig, connection: Session) -> None:
    """And fires its Watchdog as long as results are fresh."""
    need("Alertmanager", missing())
    port = free_port()
    channel = AlertmanagerChannel(
        name="am", type=ChannelType.ALERTMANAGER, url=f"http://127.0.0.1:{port}", resend=SECOND
    )
    settings = Notifications(channels=(channel,), routes=(Route(channels=("am",)),), grouping=AT_ONCE)
    with running(database, settings):
        with alertmanager(port) as first:
            store(connection, *(transition(number, "firing", "suspected") for number in range(3)))
            until(lambda: len(first.alerts()) == 3)
        with alertmanager(port) as second:
            until(lambda: len(second.alerts()) == 3)
            result(connection, SECOND)
            until(lambda: "Watchdog" in {one["labels"]["alertname"] for one in second.alerts()})
            store(connection, *(transition(number, "resolved", "recovering") for number in range(3)))
            until(lambda: [one["labels"]["alertname"] for one in second.alerts()] == ["Watchdog"])
