"""What the table of results promises."""

from __future__ import annotations

import datetime as dt
from itertools import permutations
from typing import TYPE_CHECKING, Protocol

import attrs
import pytest

from consumer_svc.places import Asked, Gap, Places, Progress, Span
from consumer_svc.ports import BehindError, RefusedError, WriteCounts
from monitoring_core.errors import OutageError
from monitoring_core.result import Reason, Status
from monitoring_core.testing.builders import make_result
from monitoring_runtime.topics import TopicState
from monitoring_testkit.consumer.fakes import TOPIC

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager

    from consumer_svc.ports import Writer
    from monitoring_core.result import CheckResult

_AT = dt.datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=dt.UTC)
_UP = make_result(scheduled_at=_AT, response_time_s=0.25)
_DOWN = make_result(scheduled_at=_AT, reason=Reason.STATUS_MISMATCH, http_status=503)
_MISSED = make_result(scheduled_at=_AT, reason=Reason.MISSED_WINDOW)


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

    def test_a_partition_that_is_new_to_the_database_is_read_from_its_beginning(self, stage: WriterStage) -> None:
        """From the first message that Kafka still has; that older ones are gone is no gap."""
        assert stage.writer.place(_state(0, 7), _waiting(0, 1)) == Places(TOPIC, {0: 0, 1: 7})
        assert stage.writer.place(_state(0, 9), _reading(0, 1)) == Places(TOPIC, {0: 0, 1: 7})

    def test_what_is_stored_is_noted_with_the_results(self, stage: WriterStage) -> None:
        """By whichever way they are stored, and with no result at all."""
        stage.writer.place(_state(0, 0), _waiting(0, 1))
        stage.writer.write([_UP], _progress({0: (0, 5)}))
        stage.writer.write([_UP, _UP.replace(target_id=2)], _progress({0: (5, 8), 1: (0, 2)}))
        stage.writer.write([], _progress({1: (2, 4)}))
        assert stage.writer.place(_state(0, 0), _waiting(0, 1)).offsets == {0: 8, 1: 4}

    def test_a_batch_that_is_refused_is_not_noted(self, stage: WriterStage) -> None:
        """Both or neither."""
        stage.writer.place(_state(0), _waiting(0))
        stage.refuse(7)
        with pytest.raises(RefusedError):
            stage.writer.write([_UP.replace(target_id=7)], _progress({0: (0, 5)}))
        assert stage.writer.place(_state(0), _waiting(0)).offsets == {0: 0}

    def test_a_batch_after_what_the_database_lacks_is_not_stored(self, stage: WriterStage) -> None:
        """Neither when it is behind, nor when it has never heard of the partition; and no other partition of it."""
        stage.writer.place(_state(0, 0), _waiting(0, 1))
        stage.writer.write([_UP], _progress({0: (0, 5)}))
        for spans in ({0: (5, 9), 1: (1, 2)}, {0: (6, 7)}, {2: (0, 1)}):
            with pytest.raises(BehindError):
                stage.writer.write([_UP.replace(target_id=2)], _progress(spans))
        assert list(stage.rows()) == [_UP]
        assert stage.writer.place(_state(0, 0), _waiting(0, 1)).offsets == {0: 5, 1: 0}

    def test_a_late_writer_lowers_nothing(self, stage: WriterStage) -> None:
        """What it stores is stored already."""
        stage.writer.place(_state(0), _waiting(0))
        stage.writer.write([_UP], _progress({0: (0, 9)}))
        assert stage.writer.write([_UP], _progress({0: (0, 5)})) == WriteCounts(duplicates=1)
        assert stage.writer.place(_state(0), _waiting(0)).offsets == {0: 9}

    def test_what_expired_before_it_was_read_is_a_gap_once(self, stage: WriterStage) -> None:
        """It is none for a partition that is being read: what was read may still be stored."""
        stage.writer.place(_state(0), _waiting(0))
        stage.writer.write([_UP], _progress({0: (0, 5)}))
        assert stage.writer.place(_state(8), _reading(0)) == Places(TOPIC, {0: 5})
        assert stage.writer.place(_state(8), _waiting(0)) == Places(TOPIC, {0: 8}, (Gap(0, "expired", 5, 8, 3),))
        assert stage.writer.place(_state(8), _waiting(0)) == Places(TOPIC, {0: 8})

    def test_a_partition_that_was_set_back_is_read_from_its_beginning(self, stage: WriterStage) -> None:
        """Nobody can tell how many of its messages are new."""
        stage.writer.place(_state(0), _waiting(0))
        stage.writer.write([_UP], _progress({0: (0, 5)}))
        asked = Asked(frozenset({0}), set_back=frozenset({0}))
        assert stage.writer.place(_state(2), asked) == Places(TOPIC, {0: 2}, (Gap(0, "set_back", 5, 5, 0),))
        stage.writer.write([_UP], _progress({0: (2, 4)}))
        assert stage.writer.place(_state(2), _waiting(0)) == Places(TOPIC, {0: 4})

    def test_a_topic_that_was_made_anew_is_read_from_its_beginning(self, stage: WriterStage) -> None:
        """How much of the former one was not stored, nobody can tell. It is said once."""
        stage.writer.place(_state(0), _waiting(0))
        stage.writer.write([_UP], _progress({0: (0, 5)}))
        anew = attrs.evolve(_state(0), topic=attrs.evolve(TOPIC, id="second"))
        assert stage.writer.place(anew, _reading(0)) == Places(anew.topic, {0: 0}, (Gap(0, "topic_replaced", 5, 5, 0),))
        assert stage.writer.place(anew, _waiting(0)) == Places(anew.topic, {0: 0})

    def test_positions_cannot_be_told_while_the_database_is_away(self, stage: WriterStage) -> None:
        """It is an outage."""
        with stage.away(), pytest.raises(OutageError):
            stage.writer.place(_state(0), _waiting(0))
        assert stage.writer.place(_state(0), _waiting(0)).offsets == {0: 0}


def _state(*begins: int) -> TopicState:
    return TopicState(TOPIC, dict(enumerate(begins)))


def _waiting(*partitions: int) -> Asked:
    return Asked(frozenset(partitions))


def _reading(*partitions: int) -> Asked:
    return Asked(frozenset(), frozenset(partitions))


def _progress(spans: Mapping[int, tuple[int, int]]) -> Progress:
    return Progress(TOPIC, {number: Span(*span) for number, span in spans.items()})


def _by_target(stage: WriterStage) -> dict[int, CheckResult]:
    """The rows of a table that has one for each target."""
    rows = {result.target_id: result for result in stage.rows()}
    assert len(rows) == len(stage.rows())
    return rows
