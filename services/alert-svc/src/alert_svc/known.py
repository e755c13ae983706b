"""What is known of the surroundings: the topic, the targets and the policies, and whether they have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from alert_svc.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from alert_svc.ports import PolicyFile, Targets, TopicStates
    from monitoring_alerting.policies import Policies
    from monitoring_alerting.targets import Watched
    from monitoring_runtime.topics import TopicState

log = structlog.get_logger()


@attrs.define
class Known:
    """Looks when it is told to.

    Attributes:
        topic: the topic as it was at the last look; None before the first.
        anew: whether it was made anew between the last two looks.
        changed: whether policies, targets or the number of partitions have changed since whoever acts on that set this
            to False.
    """

    states: TopicStates
    targets: Targets
    policy_file: PolicyFile
    topic: TopicState | None = attrs.field(default=None, init=False)
    anew: bool = attrs.field(default=False, init=False)
    changed: bool = attrs.field(default=False, init=False)
    _version: int | None = attrs.field(default=None, init=False)
    _told_of_misplaced: set[int] = attrs.field(factory=set, init=False)

    @property
    def policies(self) -> Policies:
        """The policies that hold."""
        return self.policy_file.policies

    def look(self) -> None:
        """Find out how things are now.

        Raises:
            OutageError: Kafka or PostgreSQL does not answer.
        """
        # First, and for itself: the file tells of a change only once, and channels may change in an outage.
        self.changed = self.policy_file.changed() or self.changed
        topic, version = self.states.now(), self.targets.version()
        before = self.topic
        self.anew = before is not None and before.topic != topic.topic
        more = before is not None and len(before.begins) != len(topic.begins)
        self.changed = self.changed or more or version != self._version
        self.topic, self._version = topic, version

    def watched(self, partitions: Collection[int]) -> dict[int, list[Watched]]:
        """The active targets of each of these partitions, read now.

        Raises:
            OutageError: PostgreSQL does not answer.
        """
        watched: dict[int, list[Watched]] = {number: [] for number in partitions}
        count = len(self.topic.begins) if self.topic else 0
        for target in self.targets.read():
            number = partition_of(target.id, count)
            if number in watched:
                watched[number].append(target)
        return watched

    def is_misplaced(self, target_id: int, partition: int) -> bool:
        """Whether a result of this target does not belong in this partition; told once for each partition."""
        misplaced = self.partition_of(target_id) != partition
        if misplaced and partition not in self._told_of_misplaced:
            self._told_of_misplaced.add(partition)
            log.error(
                "results are in another partition than librdkafka's partitioner puts them in: they do not count",
                partition=partition,
                target=target_id,
            )
        return misplaced

    def partition_of(self, target_id: int) -> int | None:
        """The partition that a target's results belong in; None before the first look."""
        return partition_of(target_id, len(self.topic.begins)) if self.topic else None
