"""The port: what a backtest needs of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from monitoring_alerting.replay import Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitoring_alerting.course import Course, Span
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Transition
    from monitoring_alerting.windows import Windows


class History(Results, Protocol):
    """Targets, results, windows and transitions that are stored.

    Raises, from every method:
        OutageError: PostgreSQL cannot be reached.
        StopError: it refuses.
    """

    def targets(self, labels: Mapping[str, str]) -> list[Watched]:
        """The active targets with these labels."""
        ...

    def courses(
        self, targets: Iterable[Watched], span: Span, slow_s: float, certificates: bool
    ) -> Mapping[int, Course]:
        """The course of the results that were due in a time, by target.

        Args:
            slow_s: a response time above which a result is not good.
            certificates: whether it matters when certificates end.
        """
        ...

    def windows(self) -> Windows:
        """The maintenance windows."""
        ...

    def told(self, targets: Sequence[Watched], span: Span) -> list[Transition]:
        """What alert-svc told of these targets in a time, in order; a repetition after a window is left out."""
        ...
