"""Dropping the results of a day: its partition is detached under a short lock, and then dropped without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.history.locking import with_locks
from dbadmin.history.owned import claim
from dbadmin.history.partitions import name_of
from monitoring_core.tables import RESULT_TABLE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    import psycopg


def detach(connection: psycopg.Connection[Any], schema: str, day: dt.date, may: Callable[[], bool]) -> bool:
    """Detach a day's partition if it may go, for `owned.drop_owned` to drop; returns whether it was detached.

    PostgreSQL cannot detach concurrently while there is a default partition, so this takes the lock that every query
    needs, but only while the catalogue is changed.

    Args:
        may: says whether the day may go. It is called under the lock, when no consumer can write to the day.

    Raises:
        LockedOutError: other sessions held the table all the time.
    """
    parent, table = sql.Identifier(schema, RESULT_TABLE), sql.Identifier(schema, name_of(day))

    def step() -> bool:
        # In the order in which a consumer locks these tables, because another order could deadlock.
        connection.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(parent))
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table))
        if not may():
            return False
        connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, table))
        claim(connection, schema, name_of(day))
        return True

    return with_locks(connection, step)
