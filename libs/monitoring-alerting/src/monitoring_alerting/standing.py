"""What has been told of a target and a policy: the state, its alert, and what holds the next word back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_alerting.transition import Evidence, Parent, State, Transition, identity
from monitoring_core.clock import from_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring_alerting.desk import Desk
    from monitoring_alerting.policies import Policy
    from monitoring_alerting.targets import Watched

QUIET = frozenset({State.OK, State.RESOLVED})
LOUD = frozenset({State.FIRING, State.UNDETERMINED, State.FLAPPING})


@attrs.define
class Standing:
    """What was told last.

    Attributes:
        loud: whether this alert has been told as more than a suspicion.
    """

    told: State = State.OK
    alert_id: str = ""
    since: int = 0
    loud: bool = False
    silenced_by: Parent | None = None

    def tell(
        self,
        state: State,
        target: Watched,
        policy: Policy,
        desk: Desk,
        *,
        at: int,
        since: int,
        locations: Sequence[str] = (),
        results: Sequence[Evidence] = (),
        cause: str | None = None,
        silenced_by: Parent | None = None,
        step_s: int | None = None,
        end: int | None = None,
    ) -> None:
        """Tell a state.

        Args:
            since: when an alert began that begins with this state.
            end: when a certificate ends that is told of, in milliseconds; another one may be seen at the same moment.
        """
        before, self.told, self.silenced_by = self.told, state, silenced_by
        if not self.alert_id:
            self.since = since
            self.alert_id = identity(target.id, policy.name, policy.kind, since if end is None else at)
        self.loud = self.loud or state in LOUD
        desk.tell(
            Transition(
                id=identity(self.alert_id, state, at, *(() if end is None else (end, step_s))),
                alert_id=self.alert_id,
                target_id=target.id,
                policy=policy.name,
                kind=policy.kind,
                severity=policy.severity,
                state=state,
                before=before,
                at=from_ms(at),
                since=from_ms(self.since),
                decided_at=None if desk.now is None else from_ms(desk.now),
                locations=list(locations),
                results=list(results),
                cause=cause,
                silenced_by=silenced_by,
                step_s=step_s,
                url=target.name,
                labels=target.labels,
            )
        )
        if state in QUIET:
            self.told, self.alert_id, self.loud = State.OK, "", False
