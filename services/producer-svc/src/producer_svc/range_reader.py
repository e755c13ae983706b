"""The targets of one ID's range: read when they have changed, and compared with what was known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from monitoring_core.assignment import rank_range
from monitoring_core.errors import InvalidTargetError, OutageError
from producer_svc.known_targets import KnownTargets, digest
from producer_svc.updates import Update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring_core.target import CheckDefaults, Target, TargetRecord
    from producer_svc.claim import Claim
    from producer_svc.ports import Leases, TargetTable

log = structlog.get_logger()

# The first read of a range is delivered in parts, so that checks begin meanwhile. Each has at least FIRST_PART targets,
# and one in PART_SHARE of those read so far, since the schedule needs as long for a part as for all its targets.
FIRST_PART = 2_000
PART_SHARE = 8


class RangeReader:
    """Knows the range of one ID. Not for more than one thread at once.

    Attributes:
        version: of the table, when the range was last read as a whole; None before.
        current_at_ms: the moment at which the range was last known as a whole, PostgreSQL's clock; before that, the
            moment from which its slots are this producer's.
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
        """Another range comes next, or none."""
        self._known, self.version = KnownTargets(), None

    def read(self, producer_id: int, version: int, now_ms: int) -> Update:
        """Read the range of an ID: what has changed since it was known.

        Args:
            version: of the table, before the read.
            now_ms: when it had that version.

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
        removed = [*self._known.without(known), *known.invalid]
        self._known, self.version, self.current_at_ms = known, version, now_ms
        return _update(producer_id, known, added, removed, complete=True)

    def _beginnings(self, first: bool, now_ms: int) -> tuple[int, int]:
        """From when on slots count of targets that became active since the range was known, and of those before.

        A newer target begins now; but in the first read of an ID it counts since it has been active, for the last
        holder may have had it. An older one comes from another producer, which may have left it right after that
        moment: its slots count from then on, or from the watermark of a producer that ended and whose ID nobody holds.
        """
        since_ms = self.current_at_ms
        if first:
            return since_ms, since_ms
        unheld_ms = self._leases.unheld_since(self._claim.max_look_back_ms / 1000)
        return now_ms, since_ms if unheld_ms is None else min(since_ms, unheld_ms)

    def _compare(self, record: TargetRecord, known: KnownTargets) -> Target | None:
        """Add a record to the known ones; its target when it is new or has changed, and can be checked."""
        assert record.id is not None
        its_digest = digest(record)
        if self._known.digest(record.id) == its_digest:
            known.add(record.id, its_digest, record.id not in self._known.invalid)
            return None
        target = self._resolve(record)
        known.add(record.id, its_digest, target is not None)
        return target

    def _resolve(self, record: TargetRecord) -> Target | None:
        try:
            if problems := record.problems():
                raise InvalidTargetError(problems)
            return record.resolve(self._defaults)
        except InvalidTargetError as error:
            log.error("target cannot be checked", target_id=record.id, problems=list(error.problems))
            return None


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
