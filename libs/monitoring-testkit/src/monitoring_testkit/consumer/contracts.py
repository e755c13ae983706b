"""What each port of the consumer promises, as tests that its fake and its real adapter pass.

A subclass named Test… provides the fixture of its contract: a stage with the port, and with what a test must see or do
behind the port's back.
"""

from __future__ import annotations

import datetime as dt
from itertools import permutations
from typing import TYPE_CHECKING, Protocol

import attrs
import pytest

from consumer_svc.ports import Poison, RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.result import Reason, Status
from monitoring_core.testing.builders import make_result
from monitoring_testkit.consumer.messages import FakeMessage
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from consumer_svc.ports import DeadLetters, Received, Source, Writer
    from monitoring_core.result import CheckResult

_AT = dt.datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=dt.UTC)
_UP = make_result(scheduled_at=_AT, response_time_s=0.25)
_DOWN = make_result(scheduled_at=_AT, reason=Reason.STATUS_MISMATCH, http_status=503)
_MISSED = make_result(scheduled_at=_AT, reason=Reason.MISSED_WINDOW)
_POLL_S = 0.2


class WriterStage(Protocol):
    """A table of results, empty when a test begins."""

    @property
    def writer(self) -> Writer:
        """What writes into it."""
        ...

    def rows(self) -> Collection[CheckResult]:
        """What is in it."""
        ...

    def refuse(self, target_id: int) -> None:
        """From now on the database refuses the results of this target."""
        ...

    def fill_default_partition(self, rows: int) -> None:
        """Put this many rows into an empty default partition."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """The database is away within the block."""
        ...


class WriterContract:
    """What consumer_svc.ports.Writer promises."""

    @pytest.fixture
    def stage(self) -> WriterStage:
        raise NotImplementedError

    def test_results_are_stored_as_they_are(self, stage: WriterStage) -> None:
        """Times to the microsecond, text of any script, and None for what was not measured."""
        full = _UP.replace(
            started_at=_AT,
            finished_at=_AT + dt.timedelta(microseconds=1),
            http_status=599,
            body_bytes=2**31 - 1,
            regexp_matched=False,
            remote_address="2001:db8::1",
            error="größer 💥",
            queue_delay_s=0.5,
        )
        bare = _UP.replace(target_id=2, response_time_s=None)
        assert stage.writer.write([full, bare]) == WriteCounts(stored=2)
        assert _by_target(stage) == {1: full, 2: bare}

    def test_a_second_write_of_the_same_results_changes_nothing(self, stage: WriterStage) -> None:
        """They are counted as duplicates."""
        batch = [_UP, _DOWN.replace(target_id=2), _MISSED.replace(target_id=3)]
        stage.writer.write(batch)
        before = _by_target(stage)
        assert stage.writer.write(batch) == WriteCounts(duplicates=3)
        assert _by_target(stage) == before

    def test_a_batch_may_repeat_what_is_there_beside_what_is_new(self, stage: WriterStage) -> None:
        """Each result is counted once."""
        stage.writer.write([_UP, _MISSED.replace(target_id=2)])
        batch = [_UP, _DOWN.replace(target_id=2), _UP.replace(target_id=3)]
        assert stage.writer.write(batch) == WriteCounts(stored=1, replaced=1, duplicates=1)
        assert _by_target(stage) == {result.target_id: result for result in batch}

    def test_the_key_is_the_target_the_slot_and_the_location(self, stage: WriterStage) -> None:
        """Results that differ in one of them are different results."""
        batch = [_UP, _UP.replace(target_id=2), _UP.replace(location="there")]
        batch.append(_UP.replace(scheduled_at=_AT + dt.timedelta(milliseconds=1)))
        assert stage.writer.write(batch) == WriteCounts(stored=4)
        assert sorted(result.key for result in stage.rows()) == sorted(result.key for result in batch)

    @pytest.mark.parametrize("in_one_batch", [True, False])
    def test_a_real_result_replaces_an_unknown_one_and_never_the_reverse(
        self, stage: WriterStage, in_one_batch: bool
    ) -> None:
        """In any order the row ends as the first real result."""
        expected, counts = {}, WriteCounts()
        for target_id, order in enumerate(permutations([_MISSED, _UP, _DOWN]), 1):
            results = [result.replace(target_id=target_id) for result in order]
            for batch in [results] if in_one_batch else [[result] for result in results]:
                counts += stage.writer.write(batch)
            expected[target_id] = next(result for result in results if result.status is not Status.UNKNOWN)
        assert _by_target(stage) == expected
        replaced = 0 if in_one_batch else 2  # in two of the six orders the unknown one comes first
        assert counts == WriteCounts(stored=6, replaced=replaced, duplicates=12 - replaced)

    @pytest.mark.parametrize("others", [[], [_UP.replace(target_id=2)]], ids=["new", "known"])
    def test_nothing_of_a_batch_is_stored_when_a_result_in_it_is_refused(
        self, stage: WriterStage, others: list[CheckResult]
    ) -> None:
        """Whether or not other results of the batch are there already. The writer goes on with the next batch."""
        if others:
            stage.writer.write(others)
        stage.refuse(7)
        with pytest.raises(RefusedError):
            stage.writer.write([_UP, *others, _UP.replace(target_id=7), _UP.replace(target_id=8)])
        assert list(stage.rows()) == others
        assert stage.writer.write([_UP]) == WriteCounts(stored=1)

    def test_nothing_is_stored_while_the_database_is_away(self, stage: WriterStage) -> None:
        """It is an outage, not a refusal, and the same batch is stored afterwards."""
        stage.writer.write([_UP])
        batch = [_UP, _UP.replace(target_id=2)]
        with stage.away():
            for _ in range(2):
                with pytest.raises(OutageError):
                    stage.writer.write(batch)
        assert list(stage.rows()) == [_UP]
        assert stage.writer.write(batch) == WriteCounts(stored=1, duplicates=1)

    def test_a_writer_is_prepared_when_the_database_is_there(self, stage: WriterStage) -> None:
        """Before that it is an outage; to prepare it again does no harm."""
        with stage.away(), pytest.raises(OutageError):
            stage.writer.prepare()
        stage.writer.prepare()
        stage.writer.prepare()
        assert stage.writer.write([_UP]) == WriteCounts(stored=1)

    @pytest.mark.parametrize(("rows", "counted"), [(0, 0), (3, 3), (1_000, 1_000), (1_001, 1_000)])
    def test_rows_in_the_default_partition_are_counted_up_to_a_thousand(
        self, stage: WriterStage, rows: int, counted: int
    ) -> None:
        """To count more would cost more than it tells."""
        stage.fill_default_partition(rows)
        assert stage.writer.rows_by_default() == counted

    def test_rows_in_the_default_partition_cannot_be_counted_while_the_database_is_away(
        self, stage: WriterStage
    ) -> None:
        """Afterwards they can."""
        stage.fill_default_partition(1)
        with stage.away(), pytest.raises(OutageError):
            stage.writer.rows_by_default()
        assert stage.writer.rows_by_default() == 1


def _by_target(stage: WriterStage) -> dict[int, CheckResult]:
    """The rows of a table that has one for each target."""
    rows = {result.target_id: result for result in stage.rows()}
    assert len(rows) == len(stage.rows())
    return rows


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
        source.subscribe(lambda _: None)
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
        source.subscribe(lambda _: None)

        def assigned() -> bool:
            assert source.poll(10, _POLL_S) == []
            return source.assigned

        until(assigned)
        assert source.poll(10, _POLL_S) == []
        source.pause(False)
        assert _values(_poll_until(source, 1)) == [b"a"]
        source.close()

    def test_the_next_member_gets_what_was_not_committed_and_nothing_else(self, stage: SourceStage) -> None:
        """The group goes on at the committed offset."""
        stage.produce(b"a", b"b", b"c")
        first = _subscribed(stage)
        _poll_until(first, 3)
        first.commit({0: 2})
        first.close()
        assert stage.committed() == 2
        second = _subscribed(stage)
        stage.produce(b"d")
        assert _values(_poll_until(second, 2)) == [b"c", b"d"]
        second.close()

    def test_without_a_commit_the_next_member_gets_everything_again(self, stage: SourceStage) -> None:
        """To receive a message is not to have stored it."""
        stage.produce(b"a", b"b")
        first = _subscribed(stage)
        _poll_until(first, 2)
        first.close()
        assert stage.committed() is None
        second = _subscribed(stage)
        assert _values(_poll_until(second, 2)) == [b"a", b"b"]
        second.close()

    def test_partitions_can_be_committed_until_they_are_given_up(self, stage: SourceStage) -> None:
        """`on_revoked` is told them before; a commit that comes after is left out, without an error."""
        stage.produce(b"a", b"b")
        source, revoked = stage.join(), list[int]()

        def commit(partitions: Collection[int]) -> None:
            source.commit({0: 1})
            revoked.extend(partitions)

        source.subscribe(commit)
        _poll_until(source, 2)
        assert revoked == []
        source.close()
        assert revoked.count(0) == 1
        source.commit({0: 2})
        assert stage.committed() == 1


def _subscribed(stage: SourceStage) -> Source:
    source = stage.join()
    source.subscribe(lambda _: None)
    return source


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


@attrs.frozen
class Letter:
    """What a dead letter must hold so that a person understands it and `replay` can send it back."""

    key: bytes | None
    value: bytes | None
    reason: str
    error: str
    partition: int
    offset: int
    timestamp_ms: int


class DeadLettersStage(Protocol):
    """A dead-letter topic, empty when a test begins."""

    @property
    def dead_letters(self) -> DeadLetters:
        """What sends to it."""
        ...

    def letters(self) -> Collection[Letter]:
        """What is in it, in order."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """Kafka or the topic is away within the block."""
        ...


class DeadLettersContract:
    """What consumer_svc.ports.DeadLetters promises."""

    @pytest.fixture
    def stage(self) -> DeadLettersStage:
        raise NotImplementedError

    @pytest.mark.parametrize(
        ("key", "value"), [(b"1", b"{}"), (b"k\xff", b"\xff\x00"), (None, b"x"), (b"1", None), (b"", b"")]
    )
    def test_a_dead_letter_has_the_bytes_of_the_message_and_says_why_and_where_it_was(
        self, stage: DeadLettersStage, key: bytes | None, value: bytes | None
    ) -> None:
        """It is there when send returns."""
        message = FakeMessage(partition=1, offset=41, key=key, value=value, timestamp=(1, 7))
        stage.dead_letters.send([Poison(message, "not_json", "größer")])
        assert list(stage.letters()) == [Letter(key, value, "not_json", "größer", 1, 41, 7)]

    def test_dead_letters_keep_their_order(self, stage: DeadLettersStage) -> None:
        """Within one call and from call to call: those of one key are in one partition."""
        messages = [FakeMessage(partition=0, offset=offset, key=b"1", value=b"?") for offset in range(4)]
        stage.dead_letters.send([Poison(message, "not_json", "") for message in messages[:3]])
        stage.dead_letters.send([])
        stage.dead_letters.send([Poison(messages[3], "wrong_key", "")])
        assert [letter.offset for letter in stage.letters()] == [0, 1, 2, 3]

    def test_nothing_counts_as_sent_while_the_topic_is_away(self, stage: DeadLettersStage) -> None:
        """It is an outage; sent again afterwards, the poison arrives."""
        poison = [Poison(FakeMessage(partition=0, offset=3, key=b"1", value=b"?"), "not_json", "")]
        with stage.away(), pytest.raises(OutageError):
            stage.dead_letters.send(poison)
        stage.dead_letters.send(poison)
        assert {letter.offset for letter in stage.letters()} == {3}
