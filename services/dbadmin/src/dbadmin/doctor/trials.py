"""Trials: what each part does in PostgreSQL is done once and taken back, since its rights alone tell too little."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg

from dbadmin import holders
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.history import partitions
from dbadmin.history.maintain import LOCK
from dbadmin.history.rollups import dirty_days, dirty_hours, roll_up_day, roll_up_hour
from dbadmin.install.privileges import PRIVILEGES
from monitoring_core.config import Role
from monitoring_runtime.postgres import composed, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# No results are of this hour, so a trial rolls up nothing.
_HOUR = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_STORE = """
INSERT INTO {availability_result} (target_id, scheduled_at, location, producer_id, status)
VALUES (0, now(), 'dbadmin doctor', 1, 'up')"""
_REPLACE = "UPDATE {availability_result} SET reason = NULL WHERE target_id = 0 AND scheduled_at = now()"
_MARK = "INSERT INTO {availability_dirty_hour} VALUES (date_trunc('hour', %s::timestamptz, 'UTC'))"
_LEASE = "INSERT INTO {producer_lease} VALUES ('dbadmin doctor', 1, 'dbadmin doctor', now(), now())"
_RENEW = "UPDATE {producer_lease} SET expires_at = now() WHERE location = 'dbadmin doctor'"
_WATCH = "SELECT FROM {alert_target} LIMIT 1"
_DECIDE = """
INSERT INTO {alert_transition} (transition_id, alert_id, target_id, policy, kind, severity, state, before, at,
    since, locations, evidence, url)
VALUES ('dbadmin doctor', 'dbadmin doctor', 0, '', 'down', 'info', 'ok', 'ok', now(), now(), '{{}}', '[]', '')"""
_NOTICE = "UPDATE {alert_transition} SET noticed = true WHERE transition_id = 'dbadmin doctor'"
_HIDDEN = """
SELECT c.relname, EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = ANY (%s) AND row_security_active(c.oid) ORDER BY c.relname"""
# The findings about the schema tell of these.
_UNFIT = psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName


def try_part(connection: psycopg.Connection[Any], schema: str, role: Role) -> Iterator[Finding]:
    """Do what a part does, in a transaction that is rolled back.

    Args:
        connection: of the account that the part has; in autocommit mode.
    """
    yield from _hidden(connection, schema, role)
    trial, subject = _TRIALS.get(role), f"trial of the {role}"
    if trial is None:
        return
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL lock_timeout = '2s'")
            done = trial(connection, schema)
    except _UNFIT:
        return
    # psycopg raises NotImplementedError for a moment that the server writes in a style of its own.
    except (psycopg.Error, NotImplementedError) as error:
        yield failed(subject, first_line(error), "mend what PostgreSQL says; until then nothing of this kind is done")
        return
    yield passed(subject, done)


def _hidden(connection: psycopg.Connection[Any], schema: str, role: Role) -> Iterator[Finding]:
    """Tables whose rows row-level security hides from the account: it gets no error, but too few rows, or none."""
    # The administrator, who is not named, works with all tables.
    names = list(PRIVILEGES.get(role, {table: None for rights in PRIVILEGES.values() for table in rights}))
    found = connection.execute(_HIDDEN, (schema, names)).fetchall()
    closed, filtered = ([name for name, open_ in found if open_ is some] for some in (False, True))
    subject, mend = f"rows for the {role}", "disable it, or give the account a policy that shows all rows"
    if closed:
        yield failed(subject, f"row-level security without a policy hides all rows of {', '.join(closed)}", mend)
    if filtered:
        yield warned(subject, f"row-level security may hide rows of {', '.join(filtered)}", f"see its policies: {mend}")


def _consume(connection: psycopg.Connection[Any], schema: str) -> str:
    _run(connection, schema, _STORE, _REPLACE)
    connection.execute(composed(_MARK, schema), (_HOUR,))
    connection.execute("CREATE TEMPORARY TABLE trial (number integer)")
    return "a result was stored, replaced and taken back"


def _produce(connection: psycopg.Connection[Any], schema: str) -> str:
    _run(connection, schema, _LEASE, _RENEW)
    return "an ID was taken, renewed and given back"


def _alert(connection: psycopg.Connection[Any], schema: str) -> str:
    _run(connection, schema, _WATCH, _DECIDE, _NOTICE)
    return "a transition of an alert was stored, noticed and taken back"


def _maintain(connection: psycopg.Connection[Any], schema: str) -> str:
    if holders.of_keys(connection, LOCK, schema):
        return "left out, dbadmin maintain is at work"
    connection.execute(composed(_MARK, schema), (_HOUR,))
    partitions.create(connection, schema, _HOUR.date())
    dirty_hours(connection, schema)
    roll_up_hour(connection, schema, _HOUR)
    dirty_days(connection, schema)
    roll_up_day(connection, schema, _HOUR)
    return "an hour and a day were rolled up, a table was made, and all was taken back"


_TRIALS: dict[Role, Callable[[psycopg.Connection[Any], str], str]] = {
    Role.CONSUMER: _consume,
    Role.PRODUCER: _produce,
    Role.ALERT: _alert,
    Role.ADMINISTRATOR: _maintain,
}


def _run(connection: psycopg.Connection[Any], schema: str, *statements: str) -> None:
    for statement in statements:
        connection.execute(composed(statement, schema))
