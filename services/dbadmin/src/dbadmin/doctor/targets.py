"""The targets themselves: those that cannot be checked, by anybody or by these producers, and slots of no producer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbadmin.connect import connected
from dbadmin.doctor.findings import Finding, passed, warned
from dbadmin.targets.table import Selection, read_all
from monitoring_core.errors import InvalidTargetError, OutageError, StopError
from monitoring_runtime.commands import counted
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitoring_core.config import Config
    from monitoring_core.targets import TargetRecord

_SHOWN = 10
# By producer ID: its targets, and their slots since they were activated, or since the location began.
_UNWATCHED = """
SELECT producer_id, sum(slots)::bigint FROM (
    SELECT (row_number() OVER (ORDER BY amc_id) - 1) / %(size)s + 1 AS producer_id,
        floor(extract(epoch FROM now() - greatest(amc_active_since, due_from))
            / coalesce(amc_check_interval_s, %(interval)s)) AS slots
    FROM {availability_monitor_config} CROSS JOIN (
        SELECT coalesce(
            (SELECT min(due_from) FROM {producer_lease} WHERE location = %(location)s),
            CASE WHEN EXISTS (SELECT FROM {producer_lease}) THEN now() ELSE to_timestamp(0) END) AS due_from
    ) began WHERE amc_active
) due WHERE NOT EXISTS (
    SELECT FROM {producer_lease} l WHERE l.location = %(location)s AND l.producer_id = due.producer_id)
GROUP BY producer_id HAVING sum(slots) > 0 ORDER BY producer_id"""
# As of the last run of maintain, the commonest errors first.
_PROBER_ERRORS = """
SELECT error, array_agg(DISTINCT target_id)
FROM {availability_state} JOIN {availability_monitor_config} ON amc_id = target_id
WHERE amc_active AND reason = 'prober_error' GROUP BY error ORDER BY count(DISTINCT target_id) DESC, error LIMIT 3"""


def check_targets(config: Config) -> Iterator[Finding]:
    """All of it; nothing when PostgreSQL cannot be asked, which other examinations tell."""
    try:
        yield _check_validity(config)
        yield from _check_prober_errors(config)
        yield from _check_unwatched(config)
    except (OutageError, StopError):
        return


def _check_validity(config: Config) -> Finding:
    """Whether every active target can be checked: SQL stores what no import would accept."""
    bad, first, count = list[int](), "", 0
    for record in read_all(config.database, Selection(active=True)):
        count += 1
        if problem := _problem(record, config):
            bad.append(record.id or 0)
            first = first or f"target {record.id}: {problem}"
    if not bad:
        return passed("targets", f"{count} active, all can be checked")
    text = f"{len(bad)} of {count} active targets cannot be checked: {_some(bad)} ({first})"
    return warned("targets", text, "correct these rows, or run dbadmin targets deactivate for them")


def _problem(record: TargetRecord, config: Config) -> str | None:
    try:
        if problems := record.problems():
            return "; ".join(problems)
        record.resolve(config.monitor.defaults)
    except InvalidTargetError as error:
        return str(error)
    return None


def _check_prober_errors(config: Config) -> Iterator[Finding]:
    """Websites that are unknown because the producers cannot check them, like those of HTTP/2 alone, and why."""
    query = composed(_PROBER_ERRORS, config.database.schema)
    with connected(config.database) as connection:
        for error, ids in connection.execute(query).fetchall():
            text = f"{counted(len(ids), 'target')} cannot be checked by the producers: {_some(ids)} ({error})"
            yield warned("prober errors", text, "the runbook explains these words")


def _check_unwatched(config: Config) -> Iterator[Finding]:
    """Whether there are producer IDs that no producer ever held, although slots of their targets are due."""
    monitor = config.monitor
    query = composed(_UNWATCHED, config.database.schema)
    values = {
        "size": monitor.websites_per_container,
        "interval": monitor.defaults.interval_s,
        "location": monitor.location,
    }
    with connected(config.database) as connection:
        unwatched = dict(connection.execute(query, values).fetchall())
    if unwatched:
        ids = f"producer {_some(list(unwatched))}"
        yield warned(
            f"slots in {monitor.location}",
            f"{sum(unwatched.values())} have no row, because nobody ever was {ids}",
            "run producer-svc run --id for each, which accounts for them as far back as monitor.max_look_back",
        )


def _some(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:_SHOWN])) + (", …" if len(ids) > _SHOWN else "")
