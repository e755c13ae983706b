"""What a replay must tell the same as: each result is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_alerting.decider import Decider
from monitoring_alerting.replay import key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_alerting.course import Span
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_alerting.transition import Transition
    from monitoring_core.result import CheckResult


def replay_all(
    policies: Policies, targets: Sequence[Watched], results: Iterable[CheckResult], period: Span
) -> list[Transition]:
    """What is told when each result is taken; they must be in the order of `key`."""
    begin, end = period
    decider = Decider(policies, targets)
    said = decider.advance(begin)
    for result in results:
        if key(result)[0] >= end:
            break
        said += decider.advance(key(result)[0])
        said += decider.take(result)
    said += decider.advance(end)
    return said + decider.finish()
