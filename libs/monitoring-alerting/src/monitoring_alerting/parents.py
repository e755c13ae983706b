"""What is behind what: a parent that is down silences the targets that depend on it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from monitoring_alerting.policies import matches
from monitoring_alerting.transition import Parent, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from monitoring_alerting.policies import Policies, Policy
    from monitoring_alerting.quorum import QuorumTrack
    from monitoring_alerting.targets import Watched


class Parents:
    """The parents that each policy names, and the targets that wait for one of them.

    Attributes:
        waits: by parent, the targets that wait for it.
    """

    def __init__(self) -> None:
        self._parents: dict[str, list[int]] = {}
        self.waits: defaultdict[int, set[int]] = defaultdict(set)

    @classmethod
    def of(
        cls, policies: Policies, targets: Sequence[Watched], waits: Mapping[int, Collection[int]] | None = None
    ) -> Parents:
        """The parents among these targets, and what waits for them already."""
        parents = cls()
        for parent, waiting in (waits or {}).items():
            parents.waits[parent] = set(waiting)
        for policy in policies.all:
            if policy.depends_on and policy.depends_on.labels:
                labels = policy.depends_on.labels
                parents._parents[policy.name] = [one.id for one in targets if matches(labels, one.labels)]
            elif policy.depends_on and policy.depends_on.target:
                parents._parents[policy.name] = [policy.depends_on.target]
        return parents

    def is_parent(self, target_id: int) -> bool:
        """Whether something waits for a target."""
        return bool(self.waits.get(target_id))

    def waiting(self, target_id: int) -> list[int]:
        """What waits for a target; it waits no longer."""
        return sorted(self.waits.pop(target_id, ()))

    def above(
        self,
        target: Watched,
        policy: Policy,
        since: int,
        now: int | None,
        down: Callable[[int], tuple[Watched, QuorumTrack] | None],
    ) -> tuple[Parent | None, bool]:
        """The parent of a target that is down, if one is; else whether one may be and must be waited for.

        A parent may be down when its newest results are bad or when it has not been decided since the target's own
        first bad slot. It is waited for as long as its own policy needs to find it down.
        """
        maybe = False
        for parent_id in self._parents.get(policy.name, ()):
            found = down(parent_id)
            if parent_id == target.id or found is None:
                continue
            parent, track = found
            silent = track.standing.silenced_by if track.standing else None
            root = silent or Parent(target_id=parent.id, name=parent.name)
            told = track.standing and (
                silent or track.standing.told in (State.FIRING, State.RECOVERING, State.FLAPPING)
            )
            if track.down_since is not None and told and root.target_id != target.id:
                self.waits[parent_id].add(target.id)
                return root, False
            patience = (track.terms.rule.window.bit_length() + 2) * parent.interval
            undecided = track.doubtful() or parent.moment(track.closed) < since
            if undecided and now is not None and now < since + 2 * patience:
                self.waits[parent_id].add(target.id)
                maybe = True
        return None, maybe
