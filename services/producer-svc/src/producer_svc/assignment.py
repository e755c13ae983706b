"""Which ID this producer holds, and which targets it works: kept up to date without holding up the checks."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

import structlog

from monitoring_core.assignment import producers_needed
from monitoring_core.clock import for_people, from_ms
from monitoring_core.errors import OutageError
from monitoring_runtime.background import in_background
from monitoring_runtime.retry import OUTAGE, RetryPolicy
from producer_svc.range_reader import RangeReader
from producer_svc.updates import Update

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from monitoring_core.clock import Clock
    from monitoring_core.targets import CheckDefaults
    from producer_svc.claim import Claim
    from producer_svc.ports import Leases, TargetTable

log = structlog.get_logger()

# Two renewals may fail before a lease runs out.
RENEWALS_PER_LEASE = 3
# How long a stop waits until the lease is released.
_RELEASE_S = 2.0
# How often to look whether a step has ended or has read a part of the range.
_LOOK_S = 0.05
# How many free IDs one step tries: producers that start together may try the same one first.
_CANDIDATES = 5


class Assignment:
    """Holds a lease and reads its range, in a thread of its own.

    The lease is renewed three times while it lasts. Targets are read when they have changed, at most every `refresh_s`
    seconds. A producer that holds an ID keeps its targets while PostgreSQL is away, even past the end of the lease: a
    check that two producers make is stored once, but a check that nobody makes is lost.

    Attributes:
        outage: why PostgreSQL cannot be asked; None while it can.
        standing_by: why no ID is held; None while one is held.
    """

    def __init__(
        self,
        targets: TargetTable,
        leases: Leases,
        claim: Claim,
        defaults: CheckDefaults,
        lease_s: float,
        refresh_s: float,
        clock: Clock,
    ) -> None:
        self._targets = targets
        self._leases = leases
        self._claim = claim
        self._lease_s = lease_s
        self._refresh_s = refresh_s
        self._clock = clock
        # Shorter than the lease: it must not run out in a wait that outlasts the outage.
        longest_s = min(OUTAGE.maximum_s, lease_s / RENEWALS_PER_LEASE)
        self._backoff = RetryPolicy(OUTAGE.initial_s, longest_s).backoff()
        self._step_running: Future[Update | None] | None = None
        self._next_step = self._next_read = clock.monotonic()
        self._renewed = 0.0
        self._lapsed = False
        self._parts: deque[Update] = deque()
        # The moment from which slots of targets that are not read yet may be this producer's; None when all are read.
        self._unread_since_ms: int | None = None
        # Changed by the step's thread alone.
        self._held: int | None = None
        self._needed = 0
        self._counted_version: int | None = None
        self._reader = RangeReader(targets, leases, claim, defaults, self._parts.append)
        self.outage: str | None = None
        self.standing_by: str | None = None

    @property
    def seconds_to_poll(self) -> float:
        """Seconds until the next call of `poll` should come; 0 while there are changes that it has not returned."""
        if self._step_running is None:
            return max(0.0, self._next_step - self._clock.monotonic())
        return 0.0 if self._parts or self._step_running.done() else _LOOK_S

    @property
    def ids_needed(self) -> int | None:
        """How many IDs the active targets need; None while that is not known, and with a fixed ID."""
        return None if self._counted_version is None else self._needed

    def poll(self, accounted_until_ms: Callable[[], int]) -> Update | None:
        """What has changed since the last call, or None; never waits.

        Args:
            accounted_until_ms: returns the moment up to which every slot of this producer is accounted for.
        """
        self._note_lapse()
        if self._step_running is None:
            self._begin_step(accounted_until_ms)
            return None
        done = self._step_running.done()
        if self._parts:
            return self._parts.popleft()
        return self._end_step(self._step_running) if done else None

    def close(self, accounted_until_ms: int) -> None:
        """Release the ID, so that the next producer need not wait until the lease runs out."""
        step = self._step_running

        def release() -> None:
            if step is not None:
                step.exception()
            if self._held is not None:
                _, now_ms = self._targets.version()
                self._leases.release(self._held, self._accounted(accounted_until_ms, now_ms))

        with contextlib.suppress(OutageError, TimeoutError, RuntimeError):
            in_background("release", release).result(_RELEASE_S)

    def _begin_step(self, accounted_until_ms: Callable[[], int]) -> None:
        if self._clock.monotonic() < self._next_step:
            return
        until_ms = accounted_until_ms()
        try:
            self._step_running = in_background("assignment", lambda: self._step(until_ms))
        except RuntimeError as error:  # this machine has no more threads
            self._note_outage(str(error))

    def _end_step(self, step: Future[Update | None]) -> Update | None:
        self._step_running = None
        try:
            update = step.result()
        except OutageError as error:
            self._note_outage(str(error))
            return None
        if self.outage:
            log.info("targets can be read again")
        self.outage = None
        self._backoff.reset()
        self._next_step = self._clock.monotonic() + min(self._lease_s / RENEWALS_PER_LEASE, self._refresh_s)
        if update is not None:
            self._unread_since_ms = None
        return update

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

        Never later than `now_ms` by PostgreSQL's clock, because this machine's clock may be ahead.
        """
        unread_since_ms = self._unread_since_ms
        return min(accounted_until_ms, now_ms if unread_since_ms is None else min(now_ms, unread_since_ms))

    def _step(self, accounted_until_ms: int) -> Update | None:
        """Renew or acquire the lease, and read the range when it has changed. Runs in the thread."""
        began = self._clock.monotonic()
        version, now_ms = self._targets.version()
        if self._claim.producer_id is None and version != self._counted_version:
            self._needed = producers_needed(self._targets.count_active(), self._claim.websites_per_container)
            self._counted_version = version
        if self._held is not None and version != self._reader.version:
            self._unread_since_ms = self._reader.current_at_ms
        if self._held is not None:
            self._keep(self._held, self._accounted(accounted_until_ms, now_ms))
        if self._held is None:
            acquired = self._acquire()
            if acquired is None:
                return None
            self._begin(acquired, now_ms)
        self._renewed = began
        return self._read(version, now_ms)

    def _read(self, version: int, now_ms: int) -> Update | None:
        """Read the range when it has changed and `refresh_s` has passed; returns what has changed."""
        assert self._held is not None
        if version == self._reader.version:
            self._reader.current_at_ms = now_ms
            return None
        if self._reader.version is not None and self._clock.monotonic() < self._next_read:
            return None
        update = self._reader.read(self._held, version, now_ms)
        self._next_read = self._clock.monotonic() + self._refresh_s
        return update

    def _keep(self, held: int, accounted_until_ms: int) -> None:
        """Renew the lease, or release one that is no longer needed; an update tells the loop when the lease ended."""
        given_up = self._claim.producer_id is None and held > self._needed
        if given_up:
            log.info("giving up an ID that is no longer needed", producer_id=held, needed=self._needed)
            self._leases.release(held, accounted_until_ms)
        elif self._leases.renew(held, accounted_until_ms, self._lease_s):
            return
        else:
            log.warning("another producer has taken over", producer_id=held)
        self._held = None
        self._reader.forget()
        self._unread_since_ms = None
        self._parts.append(Update(None, given_up))

    def _acquire(self) -> int | None:
        """Acquire an ID; returns the moment up to which its slots are accounted for, or None when no ID is free."""
        if self._claim.producer_id is not None:
            candidates = [self._claim.producer_id]
        else:
            candidates = self._leases.free(self._needed, _CANDIDATES)
        for producer_id in candidates:
            accounted_until_ms = self._leases.acquire(producer_id, self._lease_s)
            if accounted_until_ms is not None:
                self._held, self.standing_by = producer_id, None
                return accounted_until_ms
        self._note_standing_by(candidates)
        return None

    def _note_standing_by(self, candidates: list[int]) -> None:
        if candidates:
            holder = self._leases.holder(candidates[0])
            why = f"standing by: producer {candidates[0]} is held by {holder}"
        elif not self._needed:
            why = "standing by: no target is active"
        else:
            why = f"standing by: all {self._needed} IDs that are needed are held"
        if self.standing_by != why:
            log.info(why)
        self.standing_by = why

    def _begin(self, accounted_until_ms: int, now_ms: int) -> None:
        """After acquiring an ID: the slots of its range since its last holder are now this producer's."""
        # A holder whose clock was ahead may have accounted for slots that are not due yet.
        since_ms = max(min(accounted_until_ms, now_ms), now_ms - self._claim.max_look_back_ms)
        if since_ms > accounted_until_ms > 0:
            until = for_people(from_ms(since_ms))
            log.warning("slots before the look-back are not accounted for", producer_id=self._held, until=until)
        self._unread_since_ms = self._reader.current_at_ms = since_ms
