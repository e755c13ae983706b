"""From transitions to messages: one for what goes down together, none for what did not happen."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
import structlog
from psycopg import sql
from psycopg.types.json import Jsonb

from alert_svc.notify.channel_settings import AlertmanagerChannel, AppriseChannel, ChannelType
from alert_svc.notify.message import Content, from_plain
from alert_svc.notify.outbox import Outbox
from alert_svc.notify.routing import quiet_until
from alert_svc.notify.settings import Escalation, Grouping, Notifications, QuietHours, Route, Weekday
from monitoring_alerting.policies import Severity
from monitoring_core.config import DatabaseConfig
from monitoring_core.config.values import Secret
from monitoring_runtime.postgres import connect
from monitoring_testkit.alert_rows import store, transition

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_runtime.session import Session

pytestmark = pytest.mark.integration_test
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)
AT_ONCE = Grouping(wait=dt.timedelta(), at_most=dt.timedelta())


def channel(name: str) -> AppriseChannel:
    return AppriseChannel(name=name, type=ChannelType.APPRISE, url=Secret("json://localhost", "test"))


def settings(*routes: Route, grouping: Grouping = AT_ONCE) -> Notifications:
    channels = (channel("ops"), channel("boss"), channel("night"))
    return Notifications(channels=channels, routes=routes or (Route(channels=("ops",)),), grouping=grouping)


def make(connection: Session, made: Notifications) -> list[tuple[str, Content]]:
    """The channel and the content of each message that is made now, in the order of channels and kinds."""
    before = {row[0] for row in connection.execute("SELECT notification_id FROM monitoring.alert_notification")}
    Outbox("monitoring", made).make(connection)
    rows = connection.execute(
        "SELECT notification_id, channel, content FROM monitoring.alert_notification ORDER BY made_at, kind, channel"
    ).fetchall()
    return [(name, from_plain(content)) for number, name, content in rows if number not in before]


def kinds(made: list[tuple[str, Content]]) -> list[tuple[str, str, int]]:
    return sorted((name, content.kind, content.count) for name, content in made)


def unnoticed(connection: Session) -> int:
    row = connection.execute("SELECT count(*) FROM monitoring.alert_transition WHERE NOT noticed").fetchone()
    return int(row[0]) if row else -1


def count_of(connection: Session, table: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("monitoring", table))
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else -1


def pass_time(connection: Session, table: str, column: str, back: dt.timedelta) -> None:
    """Let moments of a table lie further back."""
    statement = sql.SQL("UPDATE {} SET {column} = {column} - %s").format(
        sql.Identifier("monitoring", table), column=sql.Identifier(column)
    )
    connection.execute(statement, (back,))


def firing(number: int, **more: Any) -> tuple[object, ...]:
    return transition(number, "firing", "suspected", **more)


def resolved(number: int, **more: Any) -> tuple[object, ...]:
    return transition(number, "resolved", "recovering", **more)


TO_THE_BOSS = Escalation(after=60 * SECOND, channels=("boss",))


def quiet_now(connection: Session) -> QuietHours:
    """Quiet hours from an hour ago until in an hour."""
    (now,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    assert isinstance(now, dt.datetime)
    utc = now.astimezone(dt.UTC)
    return QuietHours(begin=f"{utc - HOUR:%H:%M}", end=f"{utc + HOUR:%H:%M}")


def add_window(connection: Session, **match: str) -> None:
    """A window from an hour ago until in an hour."""
    connection.execute(
        "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at) "
        "VALUES (%s, now() - interval '1 hour', now() + interval '1 hour')",
        (Jsonb(match),),
    )


def told_of(made: list[tuple[str, Content]]) -> list[tuple[str, str, list[int]]]:
    """The channel, the kind and the targets of each message."""
    return sorted((name, content.kind, sorted(alert.target_id for alert in content.alerts)) for name, content in made)


def test_2800_websites_are_one_message_and_one_when_they_are_back(connection: Session) -> None:
    """Each message counts all of them; each website is told of once."""
    store(connection, *(firing(number) for number in range(2_800)))
    assert kinds(make(connection, settings())) == [("ops", "problem", 2_800)]
    assert make(connection, settings()) == []
    store(connection, *(resolved(number) for number in range(2_800)))
    assert kinds(make(connection, settings())) == [("ops", "recovery", 2_800)]
    assert (make(connection, settings()), unnoticed(connection)) == ([], 0)


def test_a_group_that_grows_is_held_and_a_single_alert_is_not(connection: Session) -> None:
    """Websites that go down together are found over their check interval; the message comes when no more are."""
    grouping = settings(grouping=Grouping(wait=2 * SECOND, burst=10, at_most=120 * SECOND))
    store(connection, firing(1))
    assert make(connection, grouping) == []
    pass_time(connection, "alert_transition", "stored_at", 2 * SECOND)
    assert kinds(make(connection, grouping)) == [("ops", "problem", 1)]
    store(connection, *(firing(number) for number in range(100, 130)))
    pass_time(connection, "alert_transition", "stored_at", 10 * SECOND)
    store(connection, *(firing(number) for number in range(200, 215)))
    assert make(connection, grouping) == []
    pass_time(connection, "alert_transition", "stored_at", 2 * SECOND)
    assert kinds(make(connection, grouping)) == [("ops", "problem", 45)]
    store(connection, *(firing(number) for number in range(300, 330)))
    pass_time(connection, "alert_transition", "stored_at", 120 * SECOND)
    store(connection, *(firing(number) for number in range(400, 430)))
    assert kinds(make(connection, grouping)) == [("ops", "problem", 60)]


def test_groups_have_the_labels_that_they_were_made_by(connection: Session) -> None:
    """One message for each value, and one for what has no such label."""
    by = settings(grouping=attrs.evolve(AT_ONCE, by=("team", "{100}%")))
    store(
        connection,
        *(firing(number, labels={"team": "shop", "{100}%": "x"}) for number in range(3)),
        *(firing(number, labels={"team": "news"}) for number in range(10, 12)),
        firing(20),
    )
    made = make(connection, by)
    assert sorted((tuple(sorted(content.group.items())), content.count) for _, content in made) == [
        ((), 1),
        ((("team", "news"),), 2),
        ((("team", "shop"), ("{100}%", "x")), 3),
    ]


def test_only_what_a_person_needs_to_know_is_told(connection: Session) -> None:
    """No suspicion, no end of what was never told, nothing twice, and nothing within a window."""
    store(connection, transition(1, "suspected", "ok"), transition(1, "ok", "suspected"))
    store(connection, resolved(2))
    store(connection, firing(3, window=7), resolved(3))
    assert (make(connection, settings()), unnoticed(connection)) == ([], 0)
    store(connection, firing(4), transition(4, "recovering", "firing"), transition(4, "firing", "recovering"))
    assert kinds(make(connection, settings())) == [("ops", "problem", 1)]
    store(connection, transition(4, "recovering", "firing"), transition(4, "firing", "recovering"))
    assert make(connection, settings()) == []
    store(connection, transition(4, "undetermined", "firing"))
    assert kinds(make(connection, settings())) == [("ops", "problem", 1)]
    store(connection, resolved(4), firing(4, episode=1), resolved(4, episode=1))
    assert kinds(make(connection, settings())) == [
        ("ops", "problem", 1),
        ("ops", "recovery", 1),
        ("ops", "recovery", 1),
    ]


def test_what_happened_to_a_website_is_told_in_that_order(connection: Session) -> None:
    """After an outage of alert-svc, what it missed is decided at once: the last message must not say that it is up."""
    store(connection, firing(1), firing(2))
    make(connection, settings())
    store(connection, resolved(1), firing(3), resolved(3), firing(1, episode=1), firing(3, episode=1))
    store(connection, resolved(2), firing(4))
    make(connection, settings())
    rows = connection.execute("SELECT kind, content FROM monitoring.alert_notification ORDER BY made_at").fetchall()
    assert [(kind, sorted(one.target_id for one in from_plain(content).alerts)) for kind, content in rows] == [
        ("problem", [1, 2]),
        ("problem", [3, 4]),
        ("recovery", [1, 2, 3]),
        ("problem", [1, 3]),
    ]
    assert count_of(connection, "alert_told") == 3


def test_what_is_down_at_the_end_of_a_window_is_told(connection: Session) -> None:
    """It is stored again then, with a cause, also of what was told before the window."""
    store(connection, firing(1, window=7), firing(2))
    assert kinds(make(connection, settings())) == [("ops", "problem", 1)]
    store(connection, *(transition(n, "firing", "firing", cause="maintenance window 7 is over") for n in (1, 2)))
    assert kinds(make(connection, settings())) == [("ops", "problem", 2)]
    store(connection, resolved(1, window=8), resolved(2))
    assert kinds(make(connection, settings())) == [("ops", "recovery", 1)]
    store(connection, transition(1, "resolved", "resolved", cause="maintenance window 8 is over"))
    assert kinds(make(connection, settings())) == [("ops", "recovery", 1)]


def test_each_step_of_a_certificate_is_told(connection: Session) -> None:
    """An alert that goes on tells its next step."""
    for step_s in (30 * 86_400, 14 * 86_400):
        store(connection, firing(1, kind="certificate_expires_within", step_s=step_s))
        ((_, content),) = make(connection, settings())
        assert content.alerts[0].step_s == step_s


def test_routes_choose_by_labels_and_severity_and_an_end_follows_its_begin(connection: Session) -> None:
    """Every route that fits counts, no channel is told twice, and the end goes to whoever was told of the begin."""
    made = settings(
        Route(channels=("ops",), match={"team": "shop"}),
        Route(channels=("ops", "boss"), match={"team": "shop"}, severities=(Severity.CRITICAL,)),
    )
    shop = {"team": "shop"}
    store(connection, firing(1, labels=shop), firing(2, labels=shop, severity="warning"), firing(3))
    assert kinds(make(connection, made)) == [("boss", "problem", 1), ("ops", "problem", 2)]
    store(connection, resolved(1, labels={"team": "moved"}), resolved(2, labels=shop), resolved(3))
    assert kinds(make(connection, settings(Route(channels=("night",))))) == [
        ("boss", "recovery", 1),
        ("ops", "recovery", 2),
    ]


def test_quiet_hours_hold_back_and_what_is_over_by_then_is_not_told(connection: Session) -> None:
    """At their end, what is still open is told, and the end of what was told before."""
    made = settings(Route(channels=("night",), quiet_hours=quiet_now(connection)))
    store(connection, firing(3))
    assert kinds(make(connection, settings(Route(channels=("night",))))) == [("night", "problem", 1)]
    store(connection, firing(1), firing(2), resolved(3))
    assert make(connection, made) == []
    store(connection, resolved(1))
    assert make(connection, made) == []
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert make(connection, made) == []
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert told_of(make(connection, settings(Route(channels=("night",))))) == [
        ("night", "problem", [2]),
        ("night", "recovery", [3]),
    ]
    assert make(connection, settings(Route(channels=("night",)))) == []
    store(connection, resolved(2))
    assert kinds(make(connection, settings(Route(channels=("night",))))) == [("night", "recovery", 1)]
    assert count_of(connection, "alert_told") == 0


def test_an_end_that_quiet_hours_held_back_waits_for_the_end_of_a_window_too(connection: Session) -> None:
    """As an end within the window does; whoever was told of the begin is told of it, once."""
    by_day, by_night = (
        settings(Route(channels=("ops",)), Route(channels=("night",), quiet_hours=quiet))
        for quiet in (None, quiet_now(connection))
    )
    shop = {"team": "shop"}
    store(connection, firing(1, labels=shop), firing(2))
    assert kinds(make(connection, by_day)) == [("night", "problem", 2), ("ops", "problem", 2)]
    store(connection, resolved(1, labels=shop), resolved(2))
    assert kinds(make(connection, by_night)) == [("ops", "recovery", 2)]
    add_window(connection, team="shop")
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert told_of(make(connection, by_day)) == [("night", "recovery", [2])]
    connection.execute("UPDATE monitoring.maintenance_window SET ended_at = now()")
    assert make(connection, by_day) == []
    pass_time(connection, "alert_later", "due_at", 10 * SECOND)
    assert told_of(make(connection, by_day)) == [("night", "recovery", [1])]
    assert count_of(connection, "alert_told") == 0


def test_an_end_that_waits_goes_with_its_channel(connection: Session) -> None:
    """A channel that is taken out of the file meanwhile is told nothing, and nothing of it is left."""
    made = settings(Route(channels=("night",)))
    store(connection, firing(1))
    make(connection, made)
    store(connection, resolved(1))
    assert make(connection, settings(Route(channels=("night",), quiet_hours=quiet_now(connection)))) == []
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    without = attrs.evolve(made, channels=(channel("ops"),), routes=(Route(channels=("ops",)),))
    assert make(connection, without) == []
    assert count_of(connection, "alert_told") == 0


def test_what_becomes_worse_in_quiet_hours_is_told_at_their_end(connection: Session) -> None:
    """Although the channel knows of the alert: that nobody knew how it is, or that there was a week left, is less."""
    by_night = settings(Route(channels=("night",), quiet_hours=quiet_now(connection)))
    by_day = settings(Route(channels=("night",)))
    certificate: dict[str, Any] = {"kind": "certificate_expires_within"}
    store(connection, transition(1, "undetermined", "ok"), firing(2, step_s=604_800, **certificate), firing(3))
    assert kinds(make(connection, by_day)) == [("night", "problem", 3)]
    store(connection, firing(1), firing(2, step_s=86_400, **certificate))
    assert make(connection, by_night) == []
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    ((_, content),) = make(connection, by_day)
    assert sorted((one.target_id, str(one.state), one.step_s) for one in content.alerts) == [
        (1, "firing", None),
        (2, "firing", 86_400),
    ]
    store(connection, transition(1, "flapping", "firing"))
    assert make(connection, by_night) == []
    store(connection, transition(1, "undetermined", "flapping"))
    assert kinds(make(connection, by_day)) == [("night", "problem", 1)]
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert make(connection, by_day) == []


def test_nobody_acknowledges_so_others_are_told(connection: Session) -> None:
    """Once, of what is still open and not acknowledged; then they are told of its end, too."""
    made = settings(Route(channels=("ops",), escalation=Escalation(after=60 * SECOND, channels=("boss",))))
    store(connection, *(firing(number) for number in range(4)))
    assert kinds(make(connection, made)) == [("ops", "problem", 4)]
    connection.execute("INSERT INTO monitoring.alert_acknowledgement (alert_id) VALUES ('alert-1-down-0')")
    store(connection, resolved(2))
    assert kinds(make(connection, made)) == [("ops", "recovery", 1)]
    pass_time(connection, "alert_later", "due_at", 60 * SECOND)
    ((name, content),) = make(connection, made)
    assert (name, content.kind, sorted(alert.target_id for alert in content.alerts)) == ("boss", "escalation", [0, 3])
    pass_time(connection, "alert_later", "due_at", HOUR)
    assert make(connection, made) == []
    store(connection, *(resolved(number) for number in (0, 1, 3)))
    assert kinds(make(connection, made)) == [("boss", "recovery", 2), ("ops", "recovery", 3)]


def test_an_escalation_that_becomes_due_in_quiet_hours_waits_for_their_end(connection: Session) -> None:
    """Then it is told, unless the alert has ended or somebody has acknowledged it; and quiet hours count once more."""
    by_day = settings(Route(channels=("ops",), escalation=TO_THE_BOSS))
    by_night = settings(Route(channels=("ops",), escalation=TO_THE_BOSS, quiet_hours=quiet_now(connection)))
    store(connection, *(firing(number) for number in range(4)))
    assert kinds(make(connection, by_day)) == [("ops", "problem", 4)]
    for _ in range(2):
        pass_time(connection, "alert_later", "due_at", 2 * HOUR)
        assert make(connection, by_night) == []
    assert make(connection, by_day) == []
    ends = "due_at BETWEEN now() + interval '59 min' AND now() + interval '1 hour'"
    assert connection.execute(f"SELECT count(*) FROM monitoring.alert_later WHERE {ends}").fetchone() == (4,)
    connection.execute("INSERT INTO monitoring.alert_acknowledgement (alert_id) VALUES ('alert-1-down-0')")
    store(connection, resolved(2))
    make(connection, by_night)
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert told_of(make(connection, by_day)) == [("boss", "escalation", [0, 3]), ("ops", "recovery", [2])]
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert make(connection, by_day) == []


def test_quiet_hours_hold_back_an_escalation_only_of_routes_that_have_them(connection: Session) -> None:
    """A channel that has quiet hours on another route is told at once, and once."""
    made = settings(
        Route(channels=("ops",), escalation=TO_THE_BOSS),
        Route(channels=("boss",), quiet_hours=quiet_now(connection)),
    )
    store(connection, firing(1))
    assert kinds(make(connection, made)) == [("ops", "problem", 1)]
    pass_time(connection, "alert_later", "due_at", 60 * SECOND)
    assert kinds(make(connection, made)) == [("boss", "escalation", 1)]
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert make(connection, made) == []
    store(connection, firing(2))
    assert kinds(make(connection, made)) == [("ops", "problem", 1)]
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    by_day = settings(Route(channels=("ops",), escalation=TO_THE_BOSS), Route(channels=("boss",)))
    assert [(name, content.count) for name, content in make(connection, by_day)] == [("boss", 1)]


def test_within_a_window_nothing_that_was_to_be_told_later_is_told(connection: Session) -> None:
    """Neither an escalation nor what quiet hours held back; what lasts is told when the window is over or ended."""
    quiet = Route(channels=("night",), quiet_hours=quiet_now(connection))
    by_night = settings(Route(channels=("ops",), escalation=TO_THE_BOSS), quiet)
    made = settings(Route(channels=("ops",), escalation=TO_THE_BOSS), Route(channels=("night",)))
    shop = {"team": "shop"}
    store(connection, *(firing(number, labels=shop) for number in range(5)), firing(9))
    assert kinds(make(connection, by_night)) == [("ops", "problem", 6)]
    add_window(connection, team="shop")
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert told_of(make(connection, made)) == [("boss", "escalation", [9]), ("night", "problem", [9])]
    assert make(connection, made) == []
    # The end of an alert is kept back as well, so that nobody may be told of its begin from then on.
    store(connection, resolved(2, labels=shop, window=1))
    connection.execute("INSERT INTO monitoring.alert_acknowledgement (alert_id) VALUES ('alert-3-down-0')")
    pass_time(connection, "alert_later", "due_at", 2 * HOUR)
    assert make(connection, made) == []
    connection.execute("UPDATE monitoring.maintenance_window SET ended_at = now()")
    pass_time(connection, "alert_later", "due_at", 10 * SECOND)
    assert told_of(make(connection, made)) == [("boss", "escalation", [0, 1, 4]), ("night", "problem", [0, 1, 3, 4])]
    store(connection, resolved(2, labels=shop, cause="maintenance window 1 is over"))
    assert told_of(make(connection, made)) == [("ops", "recovery", [2])]


def test_an_alert_whose_end_is_about_to_be_told_is_not_escalated(connection: Session) -> None:
    """The end waits for others of its group."""
    made = settings(Route(channels=("ops",), escalation=TO_THE_BOSS))
    store(connection, firing(1))
    make(connection, made)
    store(connection, resolved(1))
    pass_time(connection, "alert_later", "due_at", 60 * SECOND)
    assert make(connection, attrs.evolve(made, grouping=Grouping())) == []
    assert kinds(make(connection, made)) == [("ops", "recovery", 1)]


def test_a_window_that_cannot_be_used_holds_nothing_back(connection: Session) -> None:
    """It is told in the log."""
    made = settings(Route(channels=("ops",), escalation=TO_THE_BOSS))
    store(connection, firing(1))
    make(connection, made)
    add_window(connection)
    connection.execute("UPDATE monitoring.maintenance_window SET zone = 'Europe/Berln', recurrence = 'FREQ=DAILY'")
    pass_time(connection, "alert_later", "due_at", 60 * SECOND)
    with structlog.testing.capture_logs() as logged:
        assert kinds(make(connection, made)) == [("boss", "escalation", 1)]
    assert [one["error"] for one in logged if one.get("window") == 1] == [
        "'Europe/Berln' is no time zone like Europe/Berlin"
    ]


def test_without_channels_nothing_is_sent_and_nothing_piles_up(connection: Session) -> None:
    """Who adds a channel later is not told of the past."""
    store(connection, firing(1))
    assert (make(connection, Notifications(grouping=AT_ONCE)), unnoticed(connection)) == ([], 0)


def test_an_alertmanager_is_told_of_every_alert(connection: Session) -> None:
    """It groups them itself, so each has its place in a message."""
    manager = AlertmanagerChannel(name="am", type=ChannelType.ALERTMANAGER, url="http://localhost:9093")
    store(connection, *(firing(number) for number in range(2_500)))
    made = make(connection, Notifications(channels=(manager,), routes=(Route(channels=("am",)),), grouping=AT_ONCE))
    assert sorted(len(content.alerts) for _, content in made) == [500, 1_000, 1_000]


def test_one_process_at_a_time_makes_messages(connection: Session, database: DatabaseConfig) -> None:
    """Another one leaves them to it, so that a group is not torn apart."""
    store(connection, firing(1))
    with connect(database, "test", autocommit=True) as other, other.transaction():
        Outbox("monitoring", settings()).make(other)
        assert make(connection, settings()) == []
    assert (make(connection, settings()), unnoticed(connection)) == ([], 0)


class Watched:
    """A connection before each of whose statements something happens."""

    def __init__(self, connection: Session, before: Callable[[], None]) -> None:
        self._connection, self._before = connection, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, *args: Any) -> Any:
        self._before()
        return self._connection.execute(*args)


def test_an_alert_is_told_before_its_end_whenever_both_are_stored(
    connection: Session, database: DatabaseConfig
) -> None:
    """Between any two statements of the one who makes messages, alerts begin and end at once."""
    numbers = itertools.count(1)
    with connect(database, "test", autocommit=True) as other:

        def happens() -> None:
            number = next(numbers)
            with other.transaction():
                store(other, firing(number), resolved(number))

        for _ in range(2):
            Outbox("monitoring", settings()).make(cast("Session", Watched(connection, happens)))
    make(connection, settings())
    count = next(numbers) - 1
    rows = connection.execute("SELECT kind, transitions FROM monitoring.alert_notification ORDER BY made_at").fetchall()
    told = {kind: sorted(one for of, ids in rows for one in ids if of == kind) for kind in ("problem", "recovery")}
    assert (len(told["problem"]), len(told["recovery"]), unnoticed(connection)) == (count, count, 0)
    assert count_of(connection, "alert_told") == 0


def test_an_end_in_another_group_waits_until_its_begin_is_told(connection: Session) -> None:
    """Labels that were changed while the alert was open put its end into a group that is ready earlier."""
    by = settings(grouping=Grouping(wait=SECOND, burst=2, at_most=60 * SECOND, by=("team",)))
    store(connection, firing(1, labels={"team": "shop"}), firing(2, labels={"team": "shop"}))
    store(connection, resolved(1, labels={"team": "news"}))
    connection.execute(
        "UPDATE monitoring.alert_transition SET stored_at = stored_at - interval '5 s' WHERE state = 'resolved'"
    )
    assert make(connection, by) == []
    pass_time(connection, "alert_transition", "stored_at", 5 * SECOND)
    assert kinds(make(connection, by) + make(connection, by)) == [("ops", "problem", 2), ("ops", "recovery", 1)]
    assert unnoticed(connection) == 0


BERLIN = QuietHours(begin="22:00", end="06:00", time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (BERLIN, "2026-11-24T20:59:59Z", None),
        (BERLIN, "2026-11-24T21:00:00Z", "2026-11-25T05:00:00Z"),
        (BERLIN, "2026-11-25T04:59:59Z", "2026-11-25T05:00:00Z"),
        (BERLIN, "2026-11-25T05:00:00Z", None),
        # The night in which clocks go back has an hour more, and the other one an hour less.
        (BERLIN, "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"),
        (BERLIN, "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),
        (attrs.evolve(BERLIN, days=(Weekday.FRIDAY,)), "2026-11-28T01:00:00Z", "2026-11-28T05:00:00Z"),
        (attrs.evolve(BERLIN, days=(Weekday.FRIDAY,)), "2026-11-27T01:00:00Z", None),
        (QuietHours(begin="12:00", end="13:00"), "2026-11-24T12:30:00Z", "2026-11-24T13:00:00Z"),
        (QuietHours(begin="12:00", end="13:00"), "2026-11-24T13:00:00Z", None),
    ],
)
def test_quiet_hours_are_those_of_their_time_zone(quiet: QuietHours, now: str, until: str | None) -> None:
    """Over midnight, on their days, and across changes of daylight saving."""
    end = quiet_until(quiet, dt.datetime.fromisoformat(now))
    assert end == (dt.datetime.fromisoformat(until) if until else None)
