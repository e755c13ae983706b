"""How long to wait before the next try: the policy for outages, and each other policy with its reason."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs
import stamina

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen
class RetryPolicy:
    """Delays that double up to a maximum, each drawn at random from its upper half.

    The jitter keeps many processes that lost the same server from coming back at the same moment.
    """

    initial_s: float
    maximum_s: float

    def backoff(self) -> Backoff:
        """The delays of one series of tries."""
        return Backoff(self.initial_s, self.maximum_s)


# A server that is away may be back in a moment, or gone for hours.
OUTAGE = RetryPolicy(0.2, 10.0)
# A lock that others hold: writers queue behind whatever waits for it, so give up quickly and try again later.
LOCKED = RetryPolicy(0.5, 2.0)
# An entry that Kafka's client gave back: the client has already backed off itself.
RETURNED_BY_KAFKA = RetryPolicy(1.0, 1.0)
# A disk that is full or read-only: it belongs to this machine, so no other process comes back at the same moment.
DISK = RetryPolicy(5.0, 5.0)


class Backoff:
    """The delays of one policy, beginning with the shortest.

    The caller waits by itself, so that a request to stop can end the wait (docs/adr/0005).
    """

    def __init__(self, initial_s: float = OUTAGE.initial_s, maximum_s: float = OUTAGE.maximum_s) -> None:
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._ceiling_s = initial_s

    def next(self) -> float:
        """Seconds to wait before the next try."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(2 * ceiling_s, self._maximum_s)
        return ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Begin again with the shortest delay: the last try succeeded."""
        self._ceiling_s = self._initial_s


def attempts(on: type[Exception], timeout_s: float, policy: RetryPolicy = OUTAGE) -> Iterable[stamina.Attempt]:
    """The tries of a command that has nothing else to do: it sleeps between them.

    `for attempt in attempts(OutageError, 60): with attempt: …`. When the time is over, the last error is raised.

    Args:
        on: the errors after which there is another try.
        timeout_s: for all tries together; 0 allows a single try.
    """
    return stamina.retry_context(
        on=on,
        attempts=None if timeout_s else 1,
        timeout=timeout_s or None,
        wait_initial=policy.initial_s,
        wait_max=policy.maximum_s,
        wait_jitter=policy.initial_s,
    )
