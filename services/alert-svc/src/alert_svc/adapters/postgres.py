"""Positions, memory, transitions and targets in PostgreSQL, over one connection."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import sql

from alert_svc.adapters.maintenance import Maintenance
from alert_svc.ports import LostError
from alert_svc.steps import Kept, Tick
from monitoring_alerting.targets import Watched
from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import ALERT_NEEDS
from monitoring_core.tables import TARGET_VERSION_TABLE, TRANSITION_TABLE
from monitoring_core.targets import TargetRecord
from monitoring_runtime.postgres import KeptConnection, composed, explain
from monitoring_runtime.sqlstates import Fate, fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alert_svc.steps import Step
    from monitoring_alerting.transition import Transition
    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session
    from monitoring_runtime.topics import Topic

STATEMENT_TIMEOUT_S = 30.0
_ROWS_A_FETCH = 5_000

_TAKE_OVER = """
INSERT INTO {alert_position} AS old (topic, partition, cluster, topic_id, next_offset, snapshot_offset)
VALUES (%(topic)s, %(partition)s, %(cluster)s, %(topic_id)s, %(begin)s, %(begin)s)
ON CONFLICT (topic, partition) DO UPDATE SET generation = old.generation + 1
RETURNING generation, next_offset, snapshot_offset, tick_offsets, tick_moments,
    (cluster, topic_id) IS DISTINCT FROM (%(cluster)s, %(topic_id)s)"""
_PARTS = "SELECT content FROM {alert_snapshot} WHERE topic = %s AND partition = %s ORDER BY number"
# The row is locked first: whoever takes the partition over waits for this transaction, or ends its right to store.
_ADVANCE = """
UPDATE {alert_position} SET next_offset = %(end)s, cluster = %(cluster)s, topic_id = %(topic_id)s,
    tick_offsets = tick_offsets || %(tick_offsets)s::bigint[], tick_moments = tick_moments || %(tick_moments)s::bigint[]
WHERE topic = %(topic)s AND partition = %(partition)s AND generation = %(generation)s AND next_offset = %(begin)s"""
_FORGET = "DELETE FROM {alert_snapshot} WHERE topic = %s AND partition = %s"
_REMEMBER = "INSERT INTO {alert_snapshot} (topic, partition, number, content) VALUES (%s, %s, %s, %s)"
_SNAPSHOT_AT = """
UPDATE {alert_position} SET snapshot_offset = %s, tick_offsets = '{{}}', tick_moments = '{{}}'
WHERE topic = %s AND partition = %s"""
_COLUMNS = (
    "transition_id",
    "alert_id",
    "target_id",
    "policy",
    "kind",
    "severity",
    "state",
    "before",
    "at",
    "since",
    "decided_at",
    "locations",
    "evidence",
    "cause",
    "silenced_by",
    "step_s",
    "url",
    "labels",
    "silenced_window",
)
_MINE = """
SELECT FROM {alert_position}
WHERE topic = %(topic)s AND partition = %(partition)s AND generation = %(generation)s FOR SHARE"""


class PostgresStore:
    """Works over one KeptConnection, which a failure closes."""

    def __init__(self, config: DatabaseConfig, check_interval_s: int) -> None:
        """Args: check_interval_s: of targets that state none."""
        self._config = config
        self._check_interval_s = check_interval_s
        self._connection = KeptConnection(ALERT_NEEDS, config, "alert-svc", statement_timeout_s=STATEMENT_TIMEOUT_S)
        self._maintenance = Maintenance(config.schema)
        self._insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
            sql.Identifier(config.schema, TRANSITION_TABLE),
            sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
            sql.SQL(", ").join(sql.Placeholder() * len(_COLUMNS)),
        )

    def prepare(self) -> None:
        """What alert_svc.ports.Store.prepare promises."""
        with self._used():
            pass

    def take_over(self, topic: Topic, partition: int, begin: int) -> Kept:
        """What alert_svc.ports.Store.take_over promises."""
        with self._used() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute(composed(_TAKE_OVER, self._config.schema), _place(topic, partition) | {"begin": begin})
            ((generation, next_offset, snapshot_offset, offsets, moments, moved),) = cursor.fetchall()
            cursor.execute(composed(_PARTS, self._config.schema), (topic.name, partition))
            parts = tuple(bytes(content) for (content,) in cursor.fetchall())
        ticks = tuple(Tick(offset, moment) for offset, moment in zip(offsets, moments, strict=True))
        return Kept(generation, next_offset, snapshot_offset, ticks, parts, moved)

    def store(self, topic: Topic, step: Step) -> int:
        """What alert_svc.ports.Store.store promises."""
        with self._used() as connection, connection.transaction(), connection.cursor() as cursor:
            values = _place(topic, step.partition) | {
                "generation": step.generation,
                "begin": step.begin,
                "end": step.end,
                "tick_offsets": [tick.offset for tick in step.ticks],
                "tick_moments": [tick.moment for tick in step.ticks],
            }
            if cursor.execute(composed(_ADVANCE, self._config.schema), values).rowcount != 1:
                raise LostError
            new = self._add(cursor, step.transitions)
            if step.snapshot:
                place = (topic.name, step.partition)
                cursor.execute(composed(_FORGET, self._config.schema), place)
                rows = ((*place, number, part) for number, part in enumerate(step.snapshot.parts))
                cursor.executemany(composed(_REMEMBER, self._config.schema), rows)
                cursor.execute(composed(_SNAPSHOT_AT, self._config.schema), (step.snapshot.offset, *place))
        return new

    def tell_what_lasts(
        self, topic: Topic, holds: Sequence[tuple[int, int]], decided_until: Callable[[int], int | None]
    ) -> int:
        """What alert_svc.ports.Store.tell_what_lasts promises."""
        with self._used() as connection, connection.transaction(), connection.cursor() as cursor:
            for partition, generation in holds:
                values = _place(topic, partition) | {"generation": generation}
                if cursor.execute(composed(_MINE, self._config.schema), values).rowcount != 1:
                    raise LostError
            return self._maintenance.tell_what_lasts(cursor, decided_until)

    def now(self) -> int:
        """What alert_svc.ports.Store.now promises."""
        return self._number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")

    def version(self) -> int:
        """What alert_svc.ports.Targets.version promises."""
        return self._number("SELECT version FROM {availability_monitor_config_version}")

    def read(self) -> Iterator[Watched]:
        """What alert_svc.ports.Targets.read promises."""
        query = composed(
            "SELECT amc_id, amc_url, amc_check_interval_s, amc_labels FROM {alert_target} ORDER BY 1",
            self._config.schema,
        )
        with self._used() as connection, connection.transaction(), connection.cursor("targets") as cursor:
            cursor.itersize = _ROWS_A_FETCH
            cursor.execute(query)
            for number, url, interval_s, labels in cursor:
                record = TargetRecord(id=number, url=url, check_interval_s=interval_s, labels=labels)
                if watched := Watched.of(record, self._check_interval_s):
                    yield watched

    def _number(self, query: str) -> int:
        with self._used() as connection, connection.transaction():
            row = connection.execute(composed(query, self._config.schema)).fetchone()
        if row is None:
            raise OutageError(f"table {TARGET_VERSION_TABLE} is empty: run dbadmin create-schema")
        return int(row[0])

    def _add(self, cursor: psycopg.Cursor[Any], transitions: Sequence[Transition]) -> int:
        if not transitions:
            return 0
        windows = self._maintenance.silencing(cursor, transitions)
        rows = [(*_row(transition), window) for transition, window in zip(transitions, windows, strict=True)]
        cursor.executemany(self._insert, rows)
        return cursor.rowcount

    @contextlib.contextmanager
    def _used(self) -> Iterator[Session]:
        """The connection. A failure of PostgreSQL in the block closes it."""
        try:
            yield self._connection.opened()
        except psycopg.Error as error:
            self._connection.close()
            why = explain(error, self._config, "cannot store alerts")
            # What is stored is made here, so that a value which PostgreSQL refuses is this program's fault.
            raise (OutageError if fate(error) is Fate.WAIT else StopError)(why) from None


def _place(topic: Topic, partition: int) -> dict[str, object]:
    return {"topic": topic.name, "cluster": topic.cluster, "topic_id": topic.id, "partition": partition}


def _row(transition: Transition) -> tuple[object, ...]:
    """The values of _COLUMNS but for the last."""
    return (
        transition.id,
        transition.alert_id,
        transition.target_id,
        transition.policy,
        str(transition.kind),
        str(transition.severity),
        str(transition.state),
        str(transition.before),
        transition.at,
        transition.since,
        transition.decided_at,
        transition.locations,
        _json(transition.results),
        transition.cause,
        transition.silenced_by and _json(transition.silenced_by),
        transition.step_s,
        transition.url,
        _json(dict(transition.labels)),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
