"""The schema: its revision, the partitions of the coming days, and rows that have none."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin import holders
from dbadmin.connect import one_row
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.history import mending, owned, partitions, timescale
from dbadmin.history.maintain import LOCK
from dbadmin.install.revisions import newest_revision
from monitoring_core.clock import from_ms
from monitoring_core.tables import RESULT_DEFAULT_TABLE, SCHEMA_VERSION_TABLE
from monitoring_runtime.commands import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.config import DatabaseConfig

# The rows of the default partition are counted up to this number: a higher count takes long and says no more.
_COUNTED = 1000


def check_schema(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether the schema is at the revision that this dbadmin makes."""
    subject, newest = f"schema {schema}", newest_revision()
    table = sql.Identifier(schema, SCHEMA_VERSION_TABLE)
    try:
        row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    except psycopg.errors.InsufficientPrivilege:
        return failed(subject, f"{connection.info.user} may not read it", "run dbadmin create-roles")
    if row is None:
        return failed(subject, "is missing", "run dbadmin create-schema")
    if row[0] == newest:
        return passed(subject, f"revision {newest}")
    if row[0] < newest:
        return failed(subject, f"is at revision {row[0]}, older than {newest}", "run dbadmin create-schema")
    return failed(subject, f"is at revision {row[0]}, which this dbadmin does not know", "use a newer dbadmin")


def check_partitions(connection: psycopg.Connection[Any], config: DatabaseConfig, clock: Clock) -> Finding:
    """Whether the coming days have partitions."""
    subject, mend = "partitions ahead", "run dbadmin maintain every few minutes"
    if not partitions.is_partitioned(connection, config.schema):
        return passed(subject, "a hypertable makes its own")
    days = set(partitions.attached_days(connection, config.schema))
    today = from_ms(clock.now_ms()).date()
    wanted = partitions.days(today, config.partitions_ahead)[1:]
    ahead = next((number for number, day in enumerate(wanted) if day not in days), len(wanted))
    if ahead < 2:
        return failed(subject, f"today or tomorrow has none: {'today' if not ahead else 'tomorrow'}", mend)
    if ahead < len(wanted) / 2:
        return warned(subject, f"up to {wanted[ahead - 1]}, {len(wanted) - ahead} days are missing", mend)
    return passed(subject, f"up to {wanted[ahead - 1]}")


def check_retention(connection: psycopg.Connection[Any], config: DatabaseConfig, clock: Clock) -> Finding:
    """Whether results go when they are older than `database.retention`: a disk that fills tells it too late."""
    subject, schema = "retention", config.schema
    if holders.of_keys(connection, LOCK, schema):
        return passed(subject, "dbadmin maintain is at work")
    said, native = list[str](), partitions.is_partitioned(connection, schema)
    # In the first hours after midnight, maintain may not have come to the day that has just expired.
    horizon = from_ms(clock.now_ms()).date() - config.retention - dt.timedelta(days=1)
    days = (partitions.attached_days if native else timescale.days)(connection, schema)
    if old := [day for day in days if day < horizon]:
        said.append(f"results of {counted(len(old), 'day')} are older than it, the oldest of {old[0]}")
    if native:
        if left := sorted(owned.owned_names(connection, schema)):
            said.append(f"{counted(len(left), 'table')} of days that are over cannot be dropped, like {left[0]}")
        if others := partitions.made_by_others(connection, schema):
            said.append(f"{counted(len(others), 'partition')} that others made will never be dropped, like {others[0]}")
    if said:
        return warned(subject, "; ".join(said), "docs/runbook.md says what keeps them")
    return passed(subject, f"no result is older than {config.retention.days} days")


def check_default_partition(connection: psycopg.Connection[Any], schema: str) -> Iterator[Finding]:
    """Whether there is a default partition, and whether rows of days without a partition wait in it for `maintain`."""
    subject, mend = "default partition", "run dbadmin maintain"
    if not partitions.is_partitioned(connection, schema):
        return
    for name in mending.half_detached(connection, schema):
        yield failed(f"partition {name}", "its DETACH CONCURRENTLY was interrupted: its rows cannot be read", mend)
    if mending.default_partition(connection, schema) is None:
        yield failed(subject, "is missing: results of days without a partition cannot be stored", mend)
        return
    table = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT {}) r").format(table, _COUNTED)
    (rows,) = one_row(connection, query)
    if rows:
        count = f"{_COUNTED:,} or more" if rows == _COUNTED else str(rows)
        yield warned(subject, f"holds {count} rows of days without a partition", mend)
