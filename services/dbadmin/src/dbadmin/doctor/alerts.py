"""Alerts: whether people and programs are told of what was decided, and whether every target has a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin.connect import one_row
from dbadmin.doctor.findings import Finding, failed, passed, warned
from monitoring_alerting.event import EVENT_STATES
from monitoring_alerting.memory import UnknownFormatError, policies_in
from monitoring_runtime.commands import counted
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# What is told within this time after it was due is no fault: a first attempt that fails is repeated after seconds.
_LATE_S = 600
# Transitions of a group wait for one another, up to an hour.
_GROUPED_S = 3_600
# An attempt moves next_at on, so what was tried is as old as the message.
_NOTIFICATIONS = """
SELECT count(*) FILTER (WHERE state = 'pending'),
    to_char(min(made_at) FILTER (WHERE state = 'pending') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
    coalesce(extract(epoch FROM now() - min(CASE WHEN attempts > 0 THEN made_at ELSE next_at END)
        FILTER (WHERE state = 'pending')), 0),
    count(*) FILTER (WHERE state = 'given_up' AND done_at > now() - interval '1 day')
FROM {alert_notification}
WHERE state = 'pending' OR done_at > now() - interval '1 day'"""
_NOT_NOTICED = """
SELECT count(*), to_char(min(stored_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM {alert_transition}
WHERE NOT noticed AND stored_at < now() - make_interval(secs => %s)"""
_CHANNELS = """
SELECT channel, failures, to_char(failing_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM {alert_channel}
WHERE failing_since IS NOT NULL ORDER BY failing_since, channel"""
_EVENTS = f"""
SELECT count(*), to_char(min(stored_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
    coalesce(extract(epoch FROM now() - min(stored_at)), 0)
FROM {{alert_transition}} WHERE NOT published AND state IN ({", ".join(f"'{state}'" for state in EVENT_STATES)})"""  # noqa: S608
_POLICIES = "SELECT content FROM {alert_snapshot} WHERE number = 0 ORDER BY topic, partition LIMIT 1"
_LABELS = "SELECT amc_labels, count(*), min(amc_id) FROM {alert_target} GROUP BY amc_labels"


def check_alerts(connection: psycopg.Connection[Any], schema: str) -> Iterator[Finding]:
    """What the database knows of alerts; recipients, URLs and answers are not shown, since they may tell secrets."""
    yield _notifications(connection, schema)
    yield _channels(connection.execute(composed(_CHANNELS, schema)).fetchall())
    yield _events(connection, schema)
    yield _policies(connection, schema)


def _notifications(connection: psycopg.Connection[Any], schema: str) -> Finding:
    count, since, late_s, given_up = one_row(connection, composed(_NOTIFICATIONS, schema))
    not_noticed, stored = one_row(connection, composed(_NOT_NOTICED, schema), (_GROUPED_S + _LATE_S,))
    said = [f"{counted(count, 'message')} not sent, the oldest since {since} UTC" if count else "none wait"]
    if not_noticed:
        said.append(f"{counted(not_noticed, 'transition')} not told, the oldest since {stored} UTC")
    if given_up:
        said.append(f"{counted(given_up, 'message')} given up since yesterday")
    subject, text = "notifications", "; ".join(said)
    if not_noticed or late_s > _LATE_S:
        return failed(subject, text, "see that alert-svc runs, and what its channels answer")
    if given_up:
        return warned(subject, text, "mend the channel; alert-svc list shows what was not told")
    return passed(subject, text)


def _channels(failing: list[tuple[str, int, str]]) -> Finding:
    subject = "channels of alerts"
    if not failing:
        return passed(subject, "none fails")
    text = ", ".join(f"{name} since {since} UTC ({counted(failures, 'attempt')})" for name, failures, since in failing)
    return warned(subject, f"failing: {text}", "try alert-svc test-channel with its name")


def _events(connection: psycopg.Connection[Any], schema: str) -> Finding:
    count, since, age_s = one_row(connection, composed(_EVENTS, schema))
    subject = "events of alerts"
    if not count:
        return passed(subject, "all are published")
    text = f"{counted(count, 'event')} not published, the oldest since {since} UTC"
    if age_s > _LATE_S:
        return failed(subject, text, "see that alert-svc runs and may write into the topic of alerts")
    return passed(subject, text)


def _policies(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether each target has a policy of those that alert-svc last went by."""
    subject = "targets with a policy"
    row = connection.execute(composed(_POLICIES, schema)).fetchone()
    if row is None:
        return passed(subject, "not known, alert-svc has decided nothing yet")
    try:
        policies = policies_in(row[0])
    except UnknownFormatError:
        return warned(subject, "not known, alert-svc is of another release", "use the dbadmin of its release")
    total, without, first = 0, 0, list[int]()
    for has, count, lowest in connection.execute(composed(_LABELS, schema)).fetchall():
        total += count
        if not policies.chosen(has or {}):
            without += count
            first.append(lowest)
    if without:
        text = f"{without} of {total} active targets have none, the first is {min(first)}"
        return warned(subject, text, "add a policy to alerts.yaml that matches their labels")
    return passed(subject, f"all of {counted(total, 'active target')}")
