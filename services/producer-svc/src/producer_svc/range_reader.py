"""The targets of one ID's range: read when they have changed, and compared with those of the last read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from monitoring_core.assignment import rank_range
from monitoring_core.errors import InvalidTargetError, OutageError
from producer_svc.known_targets import KnownTargets, digest
from producer_svc.updates import Update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring_core.targets import CheckDefaults, Target, TargetRecord
    from producer_svc.claim import Claim
    from producer_svc.ports import Leases, TargetTable

log = structlog.get_logger()

# The first read of a range is delivered in parts, so that checks begin before it ends. A part has at least FIRST_PART
# targets and at least 1/PART_SHARE of those read so far, because each part makes the schedule sort all its targets.
FIRST_PART = 2_000
PART_SHARE = 8


class RangeReader:
    """Knows the range of one ID. Not for more than one thread at once.

    Attributes:
        version: the table's version when the range was last read as a whole; None before.
        current_at_ms: the moment of PostgreSQL's clock at which the range was last known as a whole; before the first
            read, the moment from which its slots are this producer's.
    """

    def __init__(
        self,
        targets: TargetTable,
        leases: Leases,
        claim: Claim,
        defaults: CheckDefaults,
        deliver: Callable[[Update], None],
    ) -> None:
        """Args: deliver: receives the parts of a read before its end."""
        self._targets = targets
        self._leases = leases
        self._claim = claim
        self._defaults = defaults
        self._deliver = deliver
        self._known = KnownTargets()
        self.version: int | None = None
        self.current_at_ms = 0

    def forget(self) -> None:
        """Forget the range, because its ID is no longer held."""
        self._known, self.version = KnownTargets(), None

    def read(self, producer_id: int, version: int, now_ms: int) -> Update:
        """Read the range of an ID; returns what has changed since the last read.

        Args:
            version: the table's version before the read.
            now_ms: the moment at which the table had that version.

        Raises:
            OutageError: the read broke off; what was read so far is delivered.
        """
        first = self.version is None
        newer_since_ms, moved_since_ms = self._beginnings(first, now_ms)
        ranks = rank_range(producer_id, self._claim.websites_per_container)
        known = KnownTargets()
        added: list[tuple[Target, int]] = []
        try:
            for record, active_since_ms in self._targets.read(ranks):
                if (target := self._compare(record, known)) is not None:
                    begin_ms = newer_since_ms if active_since_ms > self.current_at_ms else moved_since_ms
                    added.append((target, max(active_since_ms, begin_ms)))
                if first and len(added) >= max(FIRST_PART, len(known) // PART_SHARE):
                    self._deliver(_update(producer_id, known, added, complete=False))
                    added = []
        except OutageError:
            # Keep targets already handed out, and old ones not read again yet, so that a later read can remove them.
            self._known = known.with_others(self._known)
            self._deliver(_update(producer_id, self._known, added, complete=False))
            raise
        removed = [*self._known.without(known)]
        self._known, self.version, self.current_at_ms = known, version, now_ms
        return _update(producer_id, known, added, removed, complete=True)

    def _beginnings(self, first: bool, now_ms: int) -> tuple[int, int]:
        """The moments (ms) from which slots count: of targets activated since the last read, and of older targets.

        In the first read of an ID both are `current_at_ms`, because the last holder may have had the target. Later, the
        slots of a newer target count from now. An older target has come from another producer's range. That producer
        may have dropped it right after our last read, so its slots count from there, or from the lowest watermark of
        expired leases if that is earlier.
        """
        since_ms = self.current_at_ms
        if first:
            return since_ms, since_ms
        unheld_ms = self._leases.unheld_since(self._claim.max_look_back_ms / 1000)
        return now_ms, since_ms if unheld_ms is None else min(since_ms, unheld_ms)

    def _compare(self, record: TargetRecord, known: KnownTargets) -> Target | None:
        """Add a record to `known`; returns its target if it is new or changed, else None."""
        assert record.id is not None
        its_digest = digest(record)
        if self._known.digest(record.id) == its_digest:
            known.add(record.id, its_digest, record.id not in self._known.invalid)
            return None
        target = self._resolve(record)
        known.add(record.id, its_digest, target.problem is None)
        return target

    def _resolve(self, record: TargetRecord) -> Target:
        try:
            if problems := record.problems():
                raise InvalidTargetError(problems)
            return record.resolve(self._defaults)
        except InvalidTargetError as error:
            log.error("target cannot be checked", target_id=record.id, problems=list(error.problems))
            return record.unfit(self._defaults, str(error))


def _update(
    producer_id: int,
    known: KnownTargets,
    added: Sequence[tuple[Target, int]],
    removed: Sequence[int] = (),
    *,
    complete: bool,
) -> Update:
    invalid = len(known.invalid)
    return Update(
        producer_id,
        added=tuple(added),
        removed=tuple(removed),
        targets=len(known) - invalid,
        invalid=invalid,
        complete=complete,
    )
