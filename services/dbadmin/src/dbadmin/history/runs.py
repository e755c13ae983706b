"""The runs of maintain, noted in the database: when it last succeeded, and how often it was locked out since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from dbadmin.connect import one_row
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import psycopg

DONE, TIME_LIMIT, FAILED = "done", "time_limit", "failed"

_BEGIN = "INSERT INTO {maintain_run} DEFAULT VALUES RETURNING run_id"
_STEP = "UPDATE {maintain_run} SET stepped_at = clock_timestamp() WHERE run_id = %s"
_END = """
UPDATE {maintain_run}
SET stepped_at = clock_timestamp(), ended_at = clock_timestamp(), outcome = %s, problem = %s
WHERE run_id = %s"""
# A week is long enough to see in what pattern runs fail.
_FORGET = "DELETE FROM {maintain_run} WHERE began_at < now() - interval '7 days' AND run_id <> %s"
_LOCKED_OUT = """
INSERT INTO {maintain_run} (ended_at, outcome) VALUES (clock_timestamp(), 'locked_out')"""
_SINCE_STEP = """
SELECT count(*), to_char(min(began_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM {maintain_run}
WHERE outcome = 'locked_out' AND began_at > (
    SELECT coalesce(max(stepped_at), '-infinity') FROM {maintain_run}
    WHERE outcome IS DISTINCT FROM 'locked_out')"""
_HISTORY = """
SELECT
    (SELECT extract(epoch FROM now() - max(ended_at)) FROM {maintain_run}
     WHERE outcome IN ('done', 'time_limit')),
    (SELECT extract(epoch FROM now() - min(hour)) FROM {availability_dirty_hour}),
    (SELECT count(DISTINCT hour) FROM {availability_dirty_hour}),
    (SELECT CASE WHEN outcome = 'failed' THEN problem WHEN ended_at IS NULL THEN '' END FROM {maintain_run}
     WHERE outcome IS DISTINCT FROM 'locked_out' ORDER BY run_id DESC LIMIT 1)"""


@attrs.frozen
class History:
    """What is known of maintain.

    Attributes:
        succeeded_s: seconds since a run last came to its end; None when none is known.
        oldest_s: seconds since the oldest hour that waits to be rolled up began; None when none waits.
        hours: how many hours wait to be rolled up.
        problem: why the last run failed; empty when it has not ended; None when it came to its end.
        locked_out: how many runs in succession found another at work, which finished no step meanwhile.
    """

    succeeded_s: float | None
    oldest_s: float | None
    hours: int
    problem: str | None
    locked_out: int


def begin(connection: psycopg.Connection[Any], schema: str) -> int:
    """Note that a run begins; returns its number."""
    (run,) = one_row(connection, composed(_BEGIN, schema))
    return int(run)


def step(connection: psycopg.Connection[Any], schema: str, run: int) -> None:
    """Note that a run has finished a step."""
    connection.execute(composed(_STEP, schema), (run,))


def end(connection: psycopg.Connection[Any], schema: str, run: int, outcome: str, problem: str | None = None) -> None:
    """Note how a run ended. One that came to its end forgets the runs of more than a week ago."""
    connection.execute(composed(_END, schema), (outcome, problem, run))
    if outcome in (DONE, TIME_LIMIT):
        connection.execute(composed(_FORGET, schema), (run,))


def note_locked_out(connection: psycopg.Connection[Any], schema: str) -> tuple[int, str]:
    """Note that a run found another at work.

    Returns:
        How many runs in succession found the same, while the other finished no step, and when the first of them began.
    """
    connection.execute(composed(_LOCKED_OUT, schema))
    count, first = one_row(connection, composed(_SINCE_STEP, schema))
    return int(count), str(first)


def history(connection: psycopg.Connection[Any], schema: str) -> History:
    """What is known of the runs, and of the hours that wait for one."""
    succeeded_s, oldest_s, hours, problem = one_row(connection, composed(_HISTORY, schema))
    locked_out, _ = one_row(connection, composed(_SINCE_STEP, schema))
    return History(
        None if succeeded_s is None else float(succeeded_s),
        None if oldest_s is None else float(oldest_s),
        int(hours),
        problem,
        int(locked_out),
    )
