"""What the loop needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_core.result import CheckResult
    from monitoring_core.target import TargetRecord
    from producer_svc.check import Check


class Targets(Protocol):
    """Where the targets are kept."""

    def read(self, ranks: range) -> Sequence[TargetRecord]:
        """The active targets of these zero-based ranks, in order of id.

        Raises:
            OutageError: they cannot be read for now.
        """
        ...


class Engine(Protocol):
    """What makes the checks."""

    @property
    def free(self) -> int:
        """How many more checks can be submitted now."""
        ...

    @property
    def running(self) -> int:
        """How many checks are submitted and not yet taken as finished."""
        ...

    def submit(self, check: Check) -> None:
        """Begin a check. It ends within its target's timeout."""
        ...

    def take_finished(self, wait_s: float) -> Sequence[CheckResult]:
        """The results since the last call; waits for the first at most `wait_s` seconds."""
        ...

    def abandon(self) -> Sequence[Check]:
        """Give up what is running, and return it: its results will never be taken."""
        ...


class Canaries(Protocol):
    """Hosts that answer when the producer's own network works."""

    def ask(self) -> None:
        """Begin to ask all of them."""
        ...

    def poll(self) -> bool | None:
        """Whether any has answered, once the asking is over; None before."""
        ...


class Publisher(Protocol):
    """Where the results go."""

    @property
    def unacknowledged(self) -> int:
        """How many published results Kafka has not yet acknowledged."""
        ...

    def publish(self, result: CheckResult) -> bool:
        """Hand a result over; False when there is no room and the result is lost."""
        ...

    def poll(self) -> None:
        """Let acknowledgements in."""
        ...

    def flush(self, timeout_s: float) -> int:
        """Wait until everything is acknowledged, at most `timeout_s` seconds; how many results are not."""
        ...
