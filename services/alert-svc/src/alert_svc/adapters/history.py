"""The history of a backtest in PostgreSQL, over one connection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from monitoring_alerting.course import Course, Stretch
from monitoring_alerting.policies import matches
from monitoring_alerting.targets import Watched
from monitoring_alerting.transition import Transition
from monitoring_alerting.windows import Window, Windows
from monitoring_core.clock import from_ms
from monitoring_core.errors import OutageError, StopError
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.revision import ALERT_NEEDS
from monitoring_core.targets import TargetRecord
from monitoring_runtime.postgres import RevisionGuard, Trouble, composed, diagnose, explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from monitoring_alerting.course import Span
    from monitoring_core.config import DatabaseConfig
    from monitoring_runtime.session import Session

STATEMENT_TIMEOUT_S = 600.0
_ROWS_A_FETCH = 5_000
# A query for a few spans takes little more than for one. Targets that are decided together have theirs in memory.
_SPANS_A_QUERY = 8
# The groups of a day: of 10,000 targets at three locations about 200 MB.
_WORK_MEM = "256MB"
# Results of more time than that are streamed.
_LONG_MS = 7 * 86_400_000
_STATUSES = {str(one): one for one in Status}
_REASONS = {str(one): one for one in Reason}

_TARGETS = "SELECT amc_id, amc_url, amc_check_interval_s, amc_labels FROM {alert_target} ORDER BY 1"
# PostgreSQL is told that ids are distinct, or it makes a hash of the results and not of the targets; and that hours are
# counted before they are sorted, or it sorts all results. Both together took 1.7 times as long.
_COURSES = """
WITH grid AS (
    SELECT DISTINCT ON (id) id, interval_ms * interval '1 millisecond' AS stride,
        to_timestamp(phase_ms / 1000.0) AS origin
    FROM unnest(%(ids)s::bigint[], %(intervals)s::bigint[], %(phases)s::bigint[]) AS given (id, interval_ms, phase_ms)
), hours AS MATERIALIZED (
    SELECT target_id, date_bin('1 hour', scheduled_at, 'epoch') AS hour, location, count(*) AS count,
        min(scheduled_at) AS first, max(scheduled_at) AS last,
        bool_and(date_bin(stride, scheduled_at, origin) = scheduled_at
            AND coalesce(finished_at, scheduled_at) >= scheduled_at
            AND coalesce(finished_at, scheduled_at) < scheduled_at + stride) AS even,
        min(coalesce(finished_at, scheduled_at)) AS earliest, max(coalesce(finished_at, scheduled_at)) AS latest,
        min(scheduled_at) FILTER (WHERE bad) AS first_bad, max(scheduled_at) FILTER (WHERE bad) AS last_bad,
        min(ends) AS first_end, max(ends) AS last_end, count(ends) IN (0, count(*)) AS all_ends
    FROM {alert_result} JOIN grid ON id = target_id,
        LATERAL (SELECT (status = 'up' AND response_time_s <= %(slow_s)s) IS NOT TRUE AS bad,
            CASE WHEN %(certificates)s THEN least(certificate_expires_at, chain_expires_at) END AS ends) more
    WHERE scheduled_at >= %(begin)s AND scheduled_at < %(end)s GROUP BY 1, 2, 3
)
SELECT target_id, location, floor(1000 * extract(epoch FROM first))::bigint,
    floor(1000 * extract(epoch FROM last))::bigint, count, even, floor(1000 * extract(epoch FROM earliest))::bigint,
    floor(1000 * extract(epoch FROM latest))::bigint, floor(1000 * extract(epoch FROM first_bad))::bigint,
    floor(1000 * extract(epoch FROM last_bad))::bigint, floor(1000 * extract(epoch FROM first_end))::bigint,
    floor(1000 * extract(epoch FROM last_end))::bigint, all_ends
FROM hours ORDER BY target_id, hour, location"""
# For each span, only the partitions of its days are looked into.
_RESULTS = """
SELECT target_id, scheduled_at, finished_at, location, status, reason, response_time_s, certificate_expires_at,
    chain_expires_at
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS span (begins_at, ends_at), LATERAL (
    SELECT * FROM {alert_result} WHERE target_id = %(target)s AND scheduled_at >= begins_at AND scheduled_at < ends_at
    OFFSET 0
) result
ORDER BY begins_at, date_trunc('milliseconds', coalesce(finished_at, scheduled_at)),
    date_trunc('milliseconds', scheduled_at), location COLLATE "C\""""
_WINDOWS = "SELECT window_id AS id, match, begins_at, ends_at, zone, recurrence, ended_at FROM {maintenance_window}"
_TOLD = """
SELECT transition_id, alert_id, target_id, policy, kind, severity, state, before, at, since, decided_at, locations,
    cause, silenced_by, step_s, url, labels
FROM {alert_transition} WHERE target_id = ANY (%(ids)s) AND at >= %(begin)s AND at < %(end)s
ORDER BY sequence"""


class PostgresHistory:
    """Opens its connection when it is first used.

    Raises, from every method:
        OutageError: PostgreSQL cannot be reached.
        StopError: it refuses.
    """

    def __init__(self, config: DatabaseConfig, check_interval_s: int) -> None:
        """Args: check_interval_s: of targets that state none."""
        self._config = config
        self._check_interval_s = check_interval_s
        self._connection: Session | None = None
        self._numbers = itertools.count()

    def targets(self, labels: Mapping[str, str]) -> list[Watched]:
        """What alert_svc.backtest.ports.History.targets promises."""
        records = (
            TargetRecord(id=number, url=url, check_interval_s=interval_s, labels=known)
            for number, url, interval_s, known in self._rows(_TARGETS, {})
            if matches(labels, known or {})
        )
        return [one for record in records if (one := Watched.of(record, self._check_interval_s))]

    def courses(self, targets: Iterable[Watched], span: Span, slow_s: float, certificates: bool) -> dict[int, Course]:
        """What alert_svc.backtest.ports.History.courses promises."""
        by_id = {target.id: target for target in targets}
        values: dict[str, object] = {
            "ids": list(by_id),
            "intervals": [target.interval for target in by_id.values()],
            "phases": [target.phase for target in by_id.values()],
            "slow_s": slow_s,
            "certificates": certificates,
        }
        found: dict[int, Course] = {}
        for row in self._rows(_COURSES, values | _between(span)):
            number, location, first, last, count, even, earliest, latest, *bad, first_end, last_end, all_ends = row
            stretch = Stretch(
                location=location,
                first=first,
                last=last,
                count=count,
                even=even,
                earliest=earliest,
                latest=latest,
                bad=None if bad[0] is None else (bad[0], bad[1]),
                ends=None if first_end is None else (first_end, last_end),
                all_ends=all_ends,
            )
            found.setdefault(number, Course()).add(by_id[number], stretch)
        return found

    def of(self, target_id: int, spans: Sequence[Span]) -> Iterator[CheckResult]:
        """What monitoring_alerting.replay.Results.of promises."""
        for first in range(0, len(spans), _SPANS_A_QUERY):
            yield from self._of(target_id, spans[first : first + _SPANS_A_QUERY])

    def _of(self, target_id: int, spans: Sequence[Span]) -> Iterator[CheckResult]:
        values = {
            "target": target_id,
            "begins": [from_ms(begin) for begin, _ in spans],
            "ends": [from_ms(end) for _, end in spans],
        }
        long = sum(end - begin for begin, end in spans) > _LONG_MS
        for row in self._rows(_RESULTS, values, streamed=long):
            number, scheduled_at, finished_at, location, status, reason, response_time_s, certificate, chain = row
            yield CheckResult(
                target_id=number,
                scheduled_at=scheduled_at,
                finished_at=finished_at,
                location=location,
                producer_id=1,
                status=_STATUSES[status],
                reason=reason and _REASONS.get(reason),
                response_time_s=response_time_s,
                certificate_expires_at=certificate,
                chain_expires_at=chain,
            )

    def windows(self) -> Windows:
        """What alert_svc.backtest.ports.History.windows promises."""
        names = ("id", "match", "begins_at", "ends_at", "zone", "recurrence", "ended_at")
        return Windows(Window(**dict(zip(names, row, strict=True))) for row in self._rows(_WINDOWS, {}))

    def told(self, targets: Sequence[Watched], span: Span) -> list[Transition]:
        """What alert_svc.backtest.ports.History.told promises."""
        rows = self._rows(_TOLD, {"ids": [target.id for target in targets]} | _between(span))
        return [_transition(*row) for row in rows]

    def _rows(self, query: str, values: Mapping[str, object], streamed: bool = True) -> Iterator[tuple[Any, ...]]:
        """The rows of a query: streamed a few thousand at a time, or all at once."""
        try:
            connection = self._opened()
            if streamed:
                with connection.cursor(f"backtest_{next(self._numbers)}") as cursor:
                    cursor.itersize = _ROWS_A_FETCH
                    yield from cursor.execute(composed(query, self._config.schema), values, binary=True)
            else:
                with connection.cursor(binary=True) as cursor:
                    # Planning for all partitions takes longer than reading.
                    cursor.execute(composed(query, self._config.schema), values, prepare=True)
                    rows = cursor.fetchall()
                yield from rows
        except psycopg.Error as error:
            away = diagnose(error).trouble is Trouble.UNREACHABLE
            raise (OutageError if away else StopError)(explain(error, self._config, "cannot read results")) from None

    def _opened(self) -> Session:
        if self._connection is None:
            guard = RevisionGuard(ALERT_NEEDS, self._config)
            self._connection = guard.connect("alert-svc", statement_timeout_s=STATEMENT_TIMEOUT_S)
            # Cursors need a transaction, whose results are read to their end; other processes use the other cores.
            self._connection.autocommit = False
            settings = {
                "work_mem": _WORK_MEM,
                "cursor_tuple_fraction": "1",
                "max_parallel_workers_per_gather": "0",
                "plan_cache_mode": "force_generic_plan",
                "jit": "off",
            }
            for name, value in settings.items():
                self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        return self._connection


def _between(span: Span) -> dict[str, object]:
    return {"begin": from_ms(span[0]), "end": from_ms(span[1])}


def _transition(*row: Any) -> Transition:
    names = (
        "id", "alert_id", "target_id", "policy", "kind", "severity", "state", "before", "at", "since", "decided_at",
        "locations", "cause", "silenced_by", "step_s", "url", "labels",
    )  # fmt: skip
    values = dict(zip(names, row, strict=True))
    return msgspec.convert(values | {"labels": values["labels"] or {}}, Transition)
