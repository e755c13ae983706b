"""What the source of messages promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from consumer_svc.ports import Source
    from monitoring_runtime.topics import Received

_POLL_S = 0.2


class SourceStage(Protocol):
    """A topic with a partition 0, and a consumer group; both new when a test begins."""

    def join(self) -> Source:
        """A member of the group that has not subscribed. It is the only one that is not closed."""
        ...

    def produce(self, *values: bytes) -> None:
        """Append messages with the key `key` to partition 0."""
        ...

    def committed(self) -> int | None:
        """The offset in partition 0 that the group has committed; None without one."""
        ...


class SourceContract:
    """What consumer_svc.ports.Source promises."""

    @pytest.fixture
    def stage(self) -> SourceStage:
        raise NotImplementedError

    def test_a_poll_gives_at_most_limit_messages_in_the_order_of_the_partition(self, stage: SourceStage) -> None:
        """None is skipped and none comes twice."""
        stage.produce(*(b"%d" % number for number in range(7)))
        source = _subscribed(stage)
        polls = _poll_until(source, 7, limit=3)
        assert all(len(messages) <= 3 for messages in polls)
        received = [message for messages in polls for message in messages]
        assert [(m.partition(), m.offset(), m.key(), m.value()) for m in received] == [
            (0, number, b"key", b"%d" % number) for number in range(7)
        ]
        source.close()

    def test_a_source_is_assigned_from_the_assignment_of_its_partitions_until_it_is_closed(
        self, stage: SourceStage
    ) -> None:
        """Messages come from assigned partitions alone."""
        stage.produce(b"a")
        source = stage.join()
        assigned = [source.assigned]
        _subscribe(source)
        _poll_until(source, 1)
        assigned.append(source.assigned)
        source.close()
        assert [*assigned, source.assigned] == [False, True, False]

    def test_what_comes_while_a_source_is_paused_is_given_afterwards(self, stage: SourceStage) -> None:
        """All of it, once, after what came before."""
        stage.produce(b"a")
        source = _subscribed(stage)
        _poll_until(source, 1)
        source.pause(True)
        stage.produce(b"b", b"c")
        assert [message for _ in range(3) for message in source.poll(10, _POLL_S)] == []
        source.pause(False)
        assert _values(_poll_until(source, 2)) == [b"b", b"c"]
        source.close()

    def test_a_source_that_is_paused_before_it_is_assigned_gives_nothing(self, stage: SourceStage) -> None:
        """The first assignment does not resume it."""
        stage.produce(b"a")
        source = stage.join()
        source.pause(True)
        _subscribe(source)

        def assigned() -> bool:
            assert source.poll(10, _POLL_S) == []
            return source.assigned

        until(assigned)
        assert source.poll(10, _POLL_S) == []
        source.pause(False)
        assert _values(_poll_until(source, 1)) == [b"a"]
        source.close()

    def test_an_assigned_partition_gives_nothing_until_it_is_started(self, stage: SourceStage) -> None:
        """Where it begins is not for the group to say."""
        stage.produce(b"a", b"b", b"c")
        source, assigned = stage.join(), list[int]()
        source.subscribe(assigned.extend, lambda _: None)

        def told() -> bool:
            assert source.poll(10, _POLL_S) == []
            return 0 in assigned

        until(told)
        assert source.poll(10, _POLL_S) == []
        source.start({0: 1})
        assert _values(_poll_until(source, 2)) == [b"b", b"c"]
        source.close()

    def test_a_member_begins_where_it_is_told_whatever_is_committed(self, stage: SourceStage) -> None:
        """Before the committed offset or after it."""
        stage.produce(b"a", b"b", b"c")
        first = _subscribed(stage)
        _poll_until(first, 3)
        first.commit({0: 2})
        first.close()
        assert stage.committed() == 2
        second = _subscribed(stage)
        stage.produce(b"d")
        assert _values(_poll_until(second, 4)) == [b"a", b"b", b"c", b"d"]
        second.close()
        third = _subscribed(stage, 3)
        assert _values(_poll_until(third, 1)) == [b"d"]
        third.close()

    def test_a_partition_that_is_held_gives_nothing_and_can_be_started_anywhere(self, stage: SourceStage) -> None:
        """Before what it has given already, too; what a pause has left is as good as any other."""
        stage.produce(b"a", b"b", b"c")
        source = _subscribed(stage)
        _poll_until(source, 3)
        source.hold()
        stage.produce(b"d")
        assert [message for _ in range(3) for message in source.poll(10, _POLL_S)] == []
        source.start({0: 1})
        source.pause(True)
        source.pause(False)
        assert _values(_poll_until(source, 3)) == [b"b", b"c", b"d"]
        source.start({0: 2})
        assert _values(_poll_until(source, 2)) == [b"c", b"d"]
        source.close()

    def test_partitions_can_be_committed_until_they_are_given_up(self, stage: SourceStage) -> None:
        """`on_revoked` is told them before; a commit that comes after is left out, without an error."""
        stage.produce(b"a", b"b")
        source, revoked = stage.join(), list[int]()

        def commit(partitions: Collection[int]) -> None:
            source.commit({0: 1})
            revoked.extend(partitions)

        _subscribe(source, on_revoked=commit)
        _poll_until(source, 2)
        assert revoked == []
        source.close()
        assert revoked.count(0) == 1
        source.commit({0: 2})
        assert stage.committed() == 1


def _subscribed(stage: SourceStage, begin: int = 0) -> Source:
    source = stage.join()
    _subscribe(source, begin)
    return source


def _subscribe(source: Source, begin: int = 0, on_revoked: Callable[[Collection[int]], None] = lambda _: None) -> None:
    """Subscribe; each partition is started at once."""
    source.subscribe(lambda partitions: source.start(dict.fromkeys(partitions, begin)), on_revoked)


def _poll_until(source: Source, count: int, limit: int = 100) -> list[list[Received]]:
    """The messages of each poll until there are `count` of them, and of one poll more, which finds nothing new."""
    polls: list[list[Received]] = []

    def enough() -> bool:
        polls.append(list(source.poll(limit, _POLL_S)))
        return sum(map(len, polls)) >= count

    until(enough)
    polls.append(list(source.poll(limit, _POLL_S)))
    return polls


def _values(polls: list[list[Received]]) -> list[bytes | None]:
    return [message.value() for messages in polls for message in messages]
