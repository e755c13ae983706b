"""One run of maintenance: partitions, roll-ups, retention. The next run does what this one leaves undone."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import attrs

from dbadmin import holders
from dbadmin.connect import connected, one_row
from dbadmin.history import (
    default_partition,
    dropping,
    incidents,
    mending,
    occurrences,
    owned,
    partitions,
    retention,
    runs,
    statistics,
    time_index,
    timescale,
)
from dbadmin.history.locking import LockedOutError
from dbadmin.history.rollups import dirty_days, dirty_hours, note_rolled_up, roll_up_day, roll_up_hour
from monitoring_core.errors import StopError
from monitoring_runtime.commands import counted
from monitoring_runtime.postgres import first_line

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import psycopg

    from monitoring_core.config import DatabaseConfig

# Any number that no other program uses for its advisory lock: "wama" in ASCII. The schema's hash is the second half.
LOCK = 0x77616D61
# How many runs in succession may find another at work that finishes no step.
PATIENCE = 3


@attrs.frozen
class Done:
    """One step of a run, done or left undone.

    Attributes:
        step: the kind of step, one word.
        text: the line for a person.
        seconds: how long it took.
    """

    step: str
    text: str
    seconds: float


def maintain(
    config: DatabaseConfig, now: dt.datetime, time_limit_s: float | None = None, since: dt.datetime | None = None
) -> Generator[Done, None, None]:
    """Do everything that is due, each step in a transaction of its own, so that a run may be killed at any moment.

    Args:
        time_limit_s: after how many seconds no further step begins; None for no limit.
        since: roll up all hours from this moment on, marked or not.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config, autocommit=True) as connection:
        (free,) = one_row(connection, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK, config.schema))
        if not free:
            yield _locked_out(connection, config.schema)
            return
        try:
            connection.execute("SET timezone = 'UTC'")
            # Compiling these statements would take longer than running them.
            connection.execute("SET jit = off")
            deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
            yield from _noted(_Run(connection, config, now, deadline, runs.begin(connection, config.schema)), since)
        finally:
            # PostgreSQL would release the lock only some time after the connection is closed, and the next run might
            # begin before that.
            if not connection.broken:
                connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (LOCK, config.schema))


def _locked_out(connection: psycopg.Connection[Any], schema: str) -> Done:
    holder = holders.of_keys(connection, LOCK, schema)
    count, first = runs.note_locked_out(connection, schema)
    if holder and count >= PATIENCE:
        raise StopError(
            f"schema {schema}: {holder} has held the lock of dbadmin maintain since before {first} UTC, and {count} "
            f"runs in succession saw it finish no step: end it with SELECT pg_terminate_backend({holder.pid}); if a "
            "connection pool is between, connect dbadmin to the server itself"
        )
    return Done("lock", f"another dbadmin maintain is at work: nothing to do; {holder or 'it has just ended'}", 0.0)


def _noted(run: _Run, since: dt.datetime | None) -> Iterator[Done]:
    """The steps of a run, whose end is noted in the database after its work."""
    try:
        yield from run.all(since)
    except Exception as error:
        if not run.connection.broken:
            runs.end(run.connection, run.schema, run.number, runs.FAILED, first_line(error))
        raise
    runs.end(run.connection, run.schema, run.number, runs.TIME_LIMIT if run.late else runs.DONE)


@attrs.define
class _Run:
    connection: psycopg.Connection[Any]
    config: DatabaseConfig
    now: dt.datetime
    deadline: float | None
    number: int
    _began: float = attrs.field(factory=time.monotonic)
    _reported: float = attrs.field(factory=time.monotonic)
    _hours: int = 0
    _days: int = 0

    @property
    def schema(self) -> str:
        return self.config.schema

    @property
    def horizon(self) -> dt.date:
        """The first day whose results are kept."""
        return self.now.date() - self.config.retention

    def all(self, since: dt.datetime | None) -> Iterator[Done]:
        native = partitions.is_partitioned(self.connection, self.schema)
        if native:
            yield from self._partitions()
        if since and (found := self._result_days(native)):
            first = max(self.horizon, found[0])
            retention.mark_since(self.connection, self.schema, max(since, retention.midnight(first)), self.now)
        yield from self._roll_up()
        yield from self._windows()
        statistics.analyze_small_tables(self.connection, self.schema)
        if not self.late:
            yield from self._expire_results(native)
            yield from self._expire_rollups()
        yield self._summary()

    def _partitions(self) -> Iterator[Done]:
        for name, why in owned.drop_owned(self.connection, self.schema):
            end = f"stays, {why}" if why else "dropped"
            yield self._done("retention", f"table {name}, which an earlier run left behind: {end}")
        for line in mending.mend(self.connection, self.schema):
            yield self._done("partitions", line)
        if mending.default_partition(self.connection, self.schema):
            yield from self._default_partition()
        ahead = self.config.partitions_ahead
        for line in partitions.make_ahead(self.connection, self.schema, self.now.date(), ahead):
            yield self._done("partitions", line)
        for line in time_index.index_times(self.connection, self.schema):
            yield self._done("partitions", line)
        time_index.summarize(self.connection, self.schema)

    def _default_partition(self) -> Iterator[Done]:
        if expired := default_partition.expire_default(self.connection, self.schema, self.horizon):
            yield self._done(
                "retention", f"default partition: {counted(expired, 'result')} older than database.retention deleted"
            )
        for line in default_partition.empty_default(self.connection, self.schema, self.now.date()):
            yield self._done("partitions", line)

    def _roll_up(self) -> Iterator[Done]:
        """Roll up the marked hours: the newest first, so that today is right soon, then the others, oldest first."""
        horizon = retention.midnight(self.horizon)
        if skipped := retention.forget_marks(self.connection, self.schema, horizon):
            yield self._done(
                "rollups", f"{counted(skipped, 'hour')} older than database.retention left as they are: too late"
            )
        incidents.resume_added_again(self.connection, self.schema)
        (began,) = one_row(self.connection, "SELECT clock_timestamp()")
        anew_from = retention.anew_from(self.connection, self.schema)
        hours = [hour for hour in dirty_hours(self.connection, self.schema) if hour >= horizon]
        for hour in hours[-1:] + hours[:-1]:
            if self.late:
                return
            roll_up_hour(self.connection, self.schema, hour, anew_from is not None and hour >= anew_from)
            self._hours += 1
            yield self._done("hour", f"hour {hour:%Y-%m-%d %H:00}: rolled up")
        note_rolled_up(self.connection, self.schema, began)
        if anew_from:
            retention.forget_anew(self.connection, self.schema)
        yield from self._roll_up_days()

    def _roll_up_days(self) -> Iterator[Done]:
        for day in dirty_days(self.connection, self.schema):
            if self.late:
                return
            roll_up_day(self.connection, self.schema, day)
            self._days += 1
            yield self._done("day", f"day {day:%Y-%m-%d}: rolled up")

    def _windows(self) -> Iterator[Done]:
        """Write down when maintenance windows hold, and say which cannot be used."""
        for written in occurrences.write_occurrences(self.connection, self.schema, self.now):
            if written.problem:
                text = f"maintenance window {written.window_id}: left out, {written.problem}"
                yield self._done("windows", text)
            if self.late:
                return

    def _expire_results(self, native: bool) -> Iterator[Done]:
        """Drop each day before the horizon once its roll-ups are right, and audit yesterday, which has just ended."""
        old = [day for day in self._result_days(native) if day < self.horizon]
        yesterday = self.now.date() - dt.timedelta(days=1)
        if retention.audit_once(self.connection, self.schema, yesterday):
            yield from self._roll_up_audited(yesterday)
        for day in old:
            if self.late:
                return
            if retention.audit(self.connection, self.schema, day):
                yield from self._roll_up_audited(day)
            yield from self._drop(day, native)
        # A day that could not be dropped may be rolled up once more, which needs the day's runs of downs.
        first = min([self.horizon, *self._result_days(native)])
        retention.forget_runs(self.connection, self.schema, retention.midnight(first))

    def _result_days(self, native: bool) -> list[dt.date]:
        """The days that have a partition or a chunk, oldest first."""
        return (partitions.attached_days if native else timescale.days)(self.connection, self.schema)

    def _roll_up_audited(self, day: dt.date) -> Iterator[Done]:
        for hour in dirty_hours(self.connection, self.schema):
            if hour.date() != day:
                continue
            if day < self.horizon and retention.forget_dropped(self.connection, self.schema, hour):
                yield self._done("hour", f"hour {hour:%Y-%m-%d %H:00}: left as it is, its results were dropped before")
                continue
            roll_up_hour(self.connection, self.schema, hour)
            yield self._done("hour", f"hour {hour:%Y-%m-%d %H:00}: rolled up, it differed from its results")
        yield from self._roll_up_days()

    def _drop(self, day: dt.date, native: bool) -> Iterator[Done]:
        if not native:
            timescale.drop_before(self.connection, self.schema, retention.midnight(day + dt.timedelta(days=1)))
            yield self._done("retention", f"chunk of {day}: dropped")
            return
        try:
            detached = dropping.detach(
                self.connection, self.schema, day, lambda: not retention.is_dirty(self.connection, self.schema, day)
            )
        except LockedOutError:
            yield self._done("retention", f"results of {day}: kept, a long query holds them; the next run tries again")
            return
        if detached:
            why = dict(owned.drop_owned(self.connection, self.schema)).get(partitions.name_of(day))
            end = f"detached, their table stays, {why}" if why else "dropped"
            yield self._done("retention", f"results of {day}: {end}")
        else:
            yield self._done("retention", f"results of {day}: kept, more came just now; the next run rolls them up")

    def _expire_rollups(self) -> Iterator[Done]:
        moment = retention.midnight(self.now.date() - self.config.rollup_retention)
        rows = 0
        for count in retention.expire_rollups(self.connection, self.schema, moment):
            rows += count
            if self.late:
                break
        if rows:
            yield self._done("retention", f"{rows} roll-ups and incidents older than database.rollup_retention deleted")

    def _summary(self) -> Done:
        left = len(dirty_hours(self.connection, self.schema))
        did = f"{counted(self._hours, 'hour')} and {counted(self._days, 'day')} rolled up"
        hours, seconds = counted(left, "hour"), time.monotonic() - self._began
        if self.late:
            return Done("end", f"stopped at the time limit: {did}, {hours} left for the next run", seconds)
        return Done("end", f"done: {did}, {hours} marked since", seconds)

    @property
    def late(self) -> bool:
        """Whether the time for this run is over."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def _done(self, step: str, text: str) -> Done:
        runs.step(self.connection, self.schema, self.number)
        before, self._reported = self._reported, time.monotonic()
        return Done(step, text, self._reported - before)
