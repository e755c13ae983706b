"""Which ID this producer holds, and which targets it works: kept up to date without holding up the checks."""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

import attrs
import structlog

from monitoring_core.assignment import producers_needed, rank_range
from monitoring_core.clock import from_ms
from monitoring_core.errors import InvalidTargetError, OutageError
from monitoring_runtime.background import in_background
from monitoring_runtime.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from monitoring_core.clock import Clock
    from monitoring_core.target import CheckDefaults, Target, TargetRecord
    from producer_svc.ports import Registry

log = structlog.get_logger()

_RENEWALS_PER_LEASE = 3
_RELEASE_S = 2.0
_CANDIDATES = 5
# The first read of a range is told in parts, so that its checks begin meanwhile: so many targets, and then each time
# this share of those that are known, since the schedule takes in a part in the time of all.
_FIRST_PART = 2_000
_PART_SHARE = 8


@attrs.frozen
class Update:
    """What has changed.

    Attributes:
        producer_id: the ID that is held; None while standing by, and then there are no targets.
        given_up: whether nobody takes the ID that was held before: what was due then is still this producer's.
        added: targets that are new or have changed, each with the moment (milliseconds since the epoch) from which
            its slots are this producer's to account for.
        removed: ids of targets that are worked no more.
        targets: how many are worked now.
        invalid: how many of the range cannot be checked.
        complete: whether this is all; else the rest of the range is being read, and follows.
    """

    producer_id: int | None
    given_up: bool = False
    added: tuple[tuple[Target, int], ...] = ()
    removed: tuple[int, ...] = ()
    targets: int = 0
    invalid: int = 0
    complete: bool = True


@attrs.frozen
class Claim:
    """What a producer wants to hold.

    Attributes:
        producer_id: the ID; None for the lowest free one of those that the active targets need.
        websites_per_container: how many targets each ID works.
        max_look_back_ms: for how long before it began a producer accounts for the slots of one that died.
    """

    producer_id: int | None
    websites_per_container: int
    max_look_back_ms: int


class Assignment:
    """Holds a lease and reads its range, in a thread of its own.

    The lease is renewed three times while it lasts. Targets are read when they have changed, at most every `refresh_s`
    seconds. Once it holds an ID it keeps its targets while PostgreSQL is away, even past the lease: a check that two
    producers make is stored once, one that nobody makes is lost.
    """

    def __init__(
        self, registry: Registry, claim: Claim, defaults: CheckDefaults, lease_s: float, refresh_s: float, clock: Clock
    ) -> None:
        self._registry = registry
        self._claim = claim
        self._defaults = defaults
        self._lease_s = lease_s
        self._refresh_s = refresh_s
        self._clock = clock
        self._backoff = Backoff(maximum_s=min(10.0, lease_s / _RENEWALS_PER_LEASE))
        self._step_running: Future[Update | None] | None = None
        self._next_step = self._next_read = clock.monotonic()
        self._renewed = 0.0
        self._lapsed = False
        self._parts: deque[Update] = deque()
        # From when on slots of targets that are not read yet may be this producer's; None when all are read.
        self._unread_since_ms: int | None = None
        # What follows belongs to the thread. The version is that of the last whole read of the ID's range.
        self._held: int | None = None
        self._needed = 0
        self._version: int | None = None
        self._counted_version: int | None = None
        self._current_at_ms = 0
        self._known = _Known()
        self.outage: str | None = None
        self.standing_by: str | None = None

    def poll(self, accounted_until_ms: Callable[[], int]) -> Update | None:
        """What has changed, or None; never waits.

        `outage` says why nothing can be known, `standing_by` why no ID is held.

        Args:
            accounted_until_ms: gives the moment up to which every slot of this producer is accounted for.
        """
        self._note_lapse()
        if self._step_running is None:
            if self._clock.monotonic() >= self._next_step:
                until_ms = accounted_until_ms()
                try:
                    self._step_running = in_background("assignment", lambda: self._step(until_ms))
                except RuntimeError as error:  # this machine has no more threads
                    self._note_outage(str(error))
            return None
        done = self._step_running.done()
        if self._parts:
            return self._parts.popleft()
        if not done:
            return None
        step, self._step_running = self._step_running, None
        try:
            update = step.result()
        except OutageError as error:
            self._note_outage(str(error))
            return None
        if self.outage:
            log.info("targets can be read again")
        self.outage = None
        self._backoff.reset()
        self._next_step = self._clock.monotonic() + min(self._lease_s / _RENEWALS_PER_LEASE, self._refresh_s)
        if update is not None:
            self._unread_since_ms = None
        return update

    def close(self, accounted_until_ms: int) -> None:
        """Give the ID back, so that the next producer need not wait for the lease to run out."""

        step = self._step_running

        def release() -> None:
            if step is not None:
                step.exception()
            if self._held is not None:
                _, now_ms = self._registry.version()
                self._registry.release(self._held, self._accounted(accounted_until_ms, now_ms))

        with contextlib.suppress(OutageError, TimeoutError, RuntimeError):
            in_background("release", release).result(_RELEASE_S)

    def _note_outage(self, why: str) -> None:
        self._next_step = self._clock.monotonic() + self._backoff.next()
        if self.outage != why:
            log.warning("targets cannot be read, retrying", error=why)
        self.outage = why

    def _note_lapse(self) -> None:
        lapsed = self._held is not None and self._clock.monotonic() - self._renewed > self._lease_s
        if lapsed and not self._lapsed:
            log.warning("the lease has run out while PostgreSQL is away: checks go on, another producer may begin them")
        self._lapsed = lapsed

    def _accounted(self, accounted_until_ms: int, now_ms: int) -> int:
        """The moment up to which the slots of every target of the range are accounted for, read or not.

        Never later than `now_ms`, PostgreSQL's: this machine's clock may be ahead.
        """
        unread_since_ms = self._unread_since_ms
        return min(accounted_until_ms, now_ms if unread_since_ms is None else min(now_ms, unread_since_ms))

    def _step(self, accounted_until_ms: int) -> Update | None:
        began = self._clock.monotonic()
        version, now_ms = self._registry.version()
        if self._claim.producer_id is None and version != self._counted_version:
            self._needed = producers_needed(self._registry.count_active(), self._claim.websites_per_container)
            self._counted_version = version
        if self._held is not None and version != self._version:
            self._unread_since_ms = self._current_at_ms
        self._keep(self._accounted(accounted_until_ms, now_ms))
        if self._held is None:
            acquired = self._acquire()
            if acquired is None:
                return None
            self._begin(acquired, now_ms)
        self._renewed = began
        if version == self._version:
            self._current_at_ms = now_ms
        elif self._version is None or self._clock.monotonic() >= self._next_read:
            return self._read(version, now_ms)
        return None

    def _keep(self, accounted_until_ms: int) -> None:
        """Renew the lease, and tell of its end when it has ended."""
        if self._held is None:
            return
        given_up = self._claim.producer_id is None and self._held > self._needed
        if given_up:
            log.info("giving up an ID that is no longer needed", producer_id=self._held, needed=self._needed)
            self._registry.release(self._held, accounted_until_ms)
        elif self._registry.renew(self._held, accounted_until_ms, self._lease_s):
            return
        else:
            log.warning("another producer has taken over", producer_id=self._held)
        self._held, self._version, self._known = None, None, _Known()
        self._unread_since_ms = None
        self._parts.append(Update(None, given_up))

    def _acquire(self) -> int | None:
        """Take an ID; the moment up to which its slots are accounted for, None when none is free."""
        if self._claim.producer_id is not None:
            candidates = [self._claim.producer_id]
        else:
            candidates = self._registry.free(self._needed, _CANDIDATES)
        for producer_id in candidates:
            accounted_until_ms = self._registry.acquire(producer_id, self._lease_s)
            if accounted_until_ms is not None:
                self._held, self.standing_by = producer_id, None
                return accounted_until_ms
        holder = self._registry.holder(candidates[0]) if candidates else None
        why = (
            f"standing by: producer {candidates[0]} is held by {holder}"
            if candidates
            else f"standing by: all {self._needed} IDs that are needed are held"
        )
        if self.standing_by != why:
            log.info(why)
        self.standing_by = why
        return None

    def _begin(self, accounted_until_ms: int, now_ms: int) -> None:
        """An ID was just taken: the slots of its range since its last holder are this producer's."""
        # A holder whose clock was ahead may have accounted for slots that are not due yet.
        since_ms = max(min(accounted_until_ms, now_ms), now_ms - self._claim.max_look_back_ms)
        if since_ms > accounted_until_ms:
            until = f"{from_ms(since_ms):%Y-%m-%d %H:%M:%S} UTC"
            log.warning("slots before the look-back are not accounted for", producer_id=self._held, until=until)
        self._unread_since_ms = self._current_at_ms = since_ms

    def _read(self, version: int, now_ms: int) -> Update:
        """Read the range, and tell what has changed since it was known.

        A target that has been active since before then comes from another producer, which may have left it right
        after that moment: its slots count from then on, or from when a producer ended whose ID nobody holds now. A
        newer one begins now; but in the first read of an ID it counts since it has been active, for its last holder
        may have had it.
        """
        assert self._held is not None
        first, since_ms = self._version is None, self._current_at_ms
        newer_since_ms = since_ms if first else now_ms
        moved_since_ms = since_ms
        if not first and (unheld_ms := self._registry.unheld_since(self._claim.max_look_back_ms / 1000)) is not None:
            moved_since_ms = min(since_ms, unheld_ms)
        ranks = rank_range(self._held, self._claim.websites_per_container)
        before, known = self._known, _Known()
        added: list[tuple[Target, int]] = []
        try:
            for record, active_since_ms in self._registry.read(ranks):
                assert record.id is not None
                digest = _digest(record)
                changed = before.digest(record.id) != digest
                target = self._resolve(record) if changed else None
                known.add(record.id, digest, target is not None if changed else record.id not in before.invalid)
                if target is not None:
                    begin_ms = newer_since_ms if active_since_ms > since_ms else moved_since_ms
                    added.append((target, max(active_since_ms, begin_ms)))
                if first and len(added) >= max(_FIRST_PART, len(known) // _PART_SHARE):
                    self._parts.append(self._update(known, added, complete=False))
                    added = []
        except OutageError:
            # What is told must be known, and what may be gone must not be forgotten.
            self._known = known.with_others(before)
            self._parts.append(self._update(self._known, added, complete=False))
            raise
        removed = [*before.without(known), *known.invalid]
        self._known, self._version, self._current_at_ms = known, version, now_ms
        self._next_read = self._clock.monotonic() + self._refresh_s
        return self._update(known, added, removed, complete=True)

    def _update(
        self, known: _Known, added: list[tuple[Target, int]], removed: Sequence[int] = (), *, complete: bool
    ) -> Update:
        invalid = len(known.invalid)
        return Update(
            self._held,
            added=tuple(added),
            removed=tuple(removed),
            targets=len(known) - invalid,
            invalid=invalid,
            complete=complete,
        )

    def _resolve(self, record: TargetRecord) -> Target | None:
        try:
            if problems := record.problems():
                raise InvalidTargetError(problems)
            return record.resolve(self._defaults)
        except InvalidTargetError as error:
            log.error("target cannot be checked", target_id=record.id, problems=list(error.problems))
            return None


class _Known:
    """The targets of a range as they were read last, added in order of id. Little: there may be a million."""

    def __init__(self) -> None:
        self._ids, self._digests = array("q"), array("q")
        self.invalid: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, target_id: int, digest: int, valid: bool) -> None:
        self._ids.append(target_id)
        self._digests.append(digest)
        if not valid:
            self.invalid.add(target_id)

    def digest(self, target_id: int) -> int | None:
        """What `_digest` gave; None for one that is not there."""
        place = bisect_left(self._ids, target_id)
        found = place < len(self._ids) and self._ids[place] == target_id
        return self._digests[place] if found else None

    def with_others(self, others: _Known) -> _Known:
        """These, and of the others those that are not here."""
        together = _Known()
        for target_id in sorted({*self._ids, *others._ids}):
            here = self.digest(target_id)
            digest, known = (others.digest(target_id), others) if here is None else (here, self)
            together.add(target_id, digest or 0, target_id not in known.invalid)
        return together

    def without(self, others: _Known) -> Iterator[int]:
        """The ids that are not among the others."""
        return (target_id for target_id in self._ids if others.digest(target_id) is None)


def _digest(record: TargetRecord) -> int:
    """A number that changes when the record does; records themselves would take as much memory as the targets."""
    # PostgreSQL takes any JSON.
    headers, labels = (repr(value) if value else None for value in (record.headers, record.labels))
    return hash(
        (
            record.url,
            record.regexp,
            record.check_interval_s,
            record.timeout_s,
            record.method,
            record.expected_status,
            headers,
            record.follow_redirects,
            record.verify_tls,
            labels,
            record.body,
        )
    )
