"""A database with the schema, and rows in it as consumers and maintain leave them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from dbadmin.history.maintain import maintain
from dbadmin.install.schema import create_schema
from monitoring_core.config import DatabaseConfig
from monitoring_runtime.postgres import composed, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from local_stack.servers import Postgres
    from monitoring_runtime.session import Session

MINUTE = dt.timedelta(minutes=1)


@contextlib.contextmanager
def database(postgres: Postgres, name: str) -> Iterator[tuple[DatabaseConfig, Session]]:
    """A new database with the schema, and a connection to it."""
    config = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, database=name)
    with connect(config, "test", database="postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    list(create_schema(config, dt.datetime.now(dt.UTC).date()))
    with connect(config, "test", autocommit=True) as made:
        yield config, made


def add(
    connection: psycopg.Connection[Any], url: str, labels: dict[str, str] | None = None, *, active: bool = True
) -> int:
    """Add a target that has been active for two days; returns its id."""
    found = connection.execute(
        "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_labels, amc_active_since, amc_active) "
        "VALUES (%s, %s, now() - interval '2 days', %s) RETURNING amc_id",
        (url, json.dumps(labels or {}), active),
    ).fetchone()
    assert found
    return int(found[0])


def store(connection: psycopg.Connection[Any], target_id: int, at: dt.datetime, status: str, **values: Any) -> None:
    """As a consumer does: a row, and the mark of its hour."""
    reason = {"up": None, "down": "timeout", "unknown": "missed_window"}[status]
    row = {
        "target_id": target_id,
        "scheduled_at": at,
        "started_at": at,
        "finished_at": at,
        "status": status,
        "reason": reason,
        "location": "berlin",
        "producer_id": 1,
    } | values
    columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    with connection.transaction():
        connection.execute(
            f"INSERT INTO monitoring.availability_result ({columns}) VALUES ({marks})",
            list(row.values()),
        )
        mark = "INSERT INTO monitoring.availability_dirty_hour VALUES (date_trunc('hour', %s::timestamptz, 'UTC'))"
        connection.execute(mark, (at,))


def roll_up(config: DatabaseConfig) -> None:
    """Run maintain once."""
    list(maintain(config, dt.datetime.now(dt.UTC)))


class OneConnection:
    """The port Database on one connection. Args: statements: each is noted there."""

    def __init__(self, connection: Session, statements: list[str] | None = None) -> None:
        self._connection = connection
        self._statements = [] if statements is None else statements

    async def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        self._statements.append(statement)
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(composed(statement, "monitoring"), values).fetchall()

    async def tuples(self, statement: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.rows(statement, values)]
