"""Maintenance: when it last succeeded, what keeps it from its work, and the certificates and windows it has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin import holders
from dbadmin.connect import one_row
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.history import runs
from dbadmin.history.maintain import LOCK, PATIENCE
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

# It is meant to run every few minutes.
_WARN_S, _FAIL_S = 3_600, 6 * 3_600
# Between its statements it is idle for milliseconds.
_IDLE_S = 60
# Nothing in the product holds a transaction for so long.
_LONG_S = 600
_CERTIFICATES = """
SELECT count(*), (array_agg(target_id ORDER BY certificate_expires_at))[1],
    to_char(min(certificate_expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')
FROM {availability_state} JOIN {availability_monitor_config} ON amc_id = target_id AND amc_active
WHERE certificate_expires_at < now() + interval '21 days'"""

_FAULTY_WINDOWS = """
SELECT window_id, problem FROM {maintenance_progress} JOIN {maintenance_window} USING (window_id)
WHERE problem IS NOT NULL AND ended_at IS NULL ORDER BY window_id LIMIT 5"""


def check_maintenance(connection: psycopg.Connection[Any], schema: str) -> Iterator[Finding]:
    """Whether maintain succeeds, and who keeps it out if it does not."""
    known, holder = runs.history(connection, schema), holders.of_keys(connection, LOCK, schema)
    yield _judge(known, at_work=holder is not None)
    if holder and (holder.idle_s > _IDLE_S or known.locked_out >= PATIENCE):
        yield failed(
            "lock of maintain",
            f"{holder} holds it and finishes no step",
            f"end it with SELECT pg_terminate_backend({holder.pid}), and connect dbadmin without a pool",
        )


def _judge(known: runs.History, at_work: bool) -> Finding:
    said = ["has never succeeded" if known.succeeded_s is None else f"succeeded {_span(known.succeeded_s)} ago"]
    if known.oldest_s is not None:
        hours = "1 hour waits" if known.hours == 1 else f"{known.hours} hours wait"
        said.append(f"{hours} to be rolled up, the oldest began {_span(known.oldest_s)} ago")
    if at_work:
        said.append("one is at work")
    elif known.problem is not None:
        said.append(f"the last run failed: {known.problem}" if known.problem else "the last run did not end")
    subject, text, mend = "maintain", "; ".join(said), "run dbadmin maintain every few minutes, and see what it says"
    overdue_s = known.succeeded_s if known.succeeded_s is not None else known.oldest_s
    if overdue_s is not None and overdue_s > _FAIL_S:
        return failed(subject, text, mend)
    if known.succeeded_s is None or known.succeeded_s > _WARN_S:
        return warned(subject, text, mend)
    return passed(subject, text)


def check_windows(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether maintenance windows can be used, as far as the last maintain has looked at them."""
    subject = "maintenance windows"
    rows = connection.execute(composed(_FAULTY_WINDOWS, schema)).fetchall()
    if rows:
        text = "; ".join(f"window {number} never holds: {problem}" for number, problem in rows)
        return warned(subject, text, "correct or end it")
    return passed(subject, "all can be used")


def check_long_transactions(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether a transaction holds the tables for so long that days cannot be dropped, nor the schema changed."""
    subject, holder = "long transactions", holders.of_tables(connection, schema)
    if holder and holder.in_transaction_s > _LONG_S:
        return warned(
            subject,
            f"{holder} has held tables of schema {schema} for {_span(holder.in_transaction_s)}: no day can be dropped",
            "end its transaction",
        )
    return passed(subject, "none holds the tables")


def check_websites_certificates(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether certificates of monitored websites end soon, as far as they were seen up to the last maintain."""
    subject = "certificates of websites"
    count, first, end = one_row(connection, composed(_CERTIFICATES, schema))
    if count:
        text = f"{count} of them end within 21 days or have ended, the first that of target {first}, on {end} UTC"
        return warned(subject, text, "have them renewed")
    return passed(subject, "none ends within 21 days")


def _span(seconds: float) -> str:
    """A duration for a person, in its largest whole unit."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"
