"""The producer's own range of targets, read again and again without holding up the checks."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.errors import InvalidTargetError, OutageError
from monitoring_runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_core.clock import Clock
    from monitoring_core.target import CheckDefaults, Target, TargetRecord
    from producer_svc.ports import Targets

log = structlog.get_logger()


@attrs.frozen
class Range:
    """What was read: the targets to work, and how many of the range cannot be checked."""

    targets: tuple[Target, ...]
    invalid: int


class Assignment:
    """Reads the range in a thread of its own, every `refresh_s` seconds; after a failure sooner, with back-off."""

    def __init__(self, source: Targets, ranks: range, defaults: CheckDefaults, refresh_s: float, clock: Clock) -> None:
        self._source = source
        self._ranks = ranks
        self._refresh_s = refresh_s
        self._clock = clock
        self._resolver = _Resolver(defaults)
        self._backoff = Backoff(maximum_s=min(10.0, refresh_s))
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="targets")
        self._reading: Future[Sequence[TargetRecord]] | None = None
        self._next_read = clock.monotonic()
        self.outage: str | None = None

    def poll(self) -> Range | None:
        """The range when it has just been read, else None; never waits. `outage` says why it cannot be read."""
        if self._reading is None:
            if self._clock.monotonic() >= self._next_read:
                self._reading = self._reader.submit(self._source.read, self._ranks)
            return None
        if not self._reading.done():
            return None
        reading, self._reading = self._reading, None
        try:
            records = reading.result()
        except OutageError as error:
            self._next_read = self._clock.monotonic() + self._backoff.next()
            if self.outage != str(error):
                log.warning("targets cannot be read, retrying", error=str(error))
            self.outage = str(error)
            return None
        if self.outage:
            log.info("targets can be read again")
        self.outage = None
        self._backoff.reset()
        self._next_read = self._clock.monotonic() + self._refresh_s
        return self._resolver.resolve(records)

    def close(self) -> None:
        """Read no more."""
        self._reader.shutdown(wait=False, cancel_futures=True)


class _Resolver:
    """Records to targets; a record that has not changed is not looked at again, a bad one is reported once."""

    def __init__(self, defaults: CheckDefaults) -> None:
        self._defaults = defaults
        self._known: dict[int | None, tuple[TargetRecord, Target | None]] = {}

    def resolve(self, records: Iterable[TargetRecord]) -> Range:
        before, self._known = self._known, {}
        for record in records:
            known = before.get(record.id)
            target = known[1] if known and known[0] == record else self._resolve(record)
            self._known[record.id] = (record, target)
        targets = tuple(target for _, target in self._known.values() if target)
        return Range(targets, len(self._known) - len(targets))

    def _resolve(self, record: TargetRecord) -> Target | None:
        try:
            if problems := record.problems():
                raise InvalidTargetError(problems)
            return record.resolve(self._defaults)
        except InvalidTargetError as error:
            log.error("target cannot be checked", target_id=record.id, problems=list(error.problems))
            return None
