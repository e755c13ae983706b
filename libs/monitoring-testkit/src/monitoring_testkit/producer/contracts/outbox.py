"""What the outbox's file and the way to Kafka promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from monitoring_core.errors import OutageError
from monitoring_testkit.waiting import until
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from producer_svc.ports import Sender, Store


def _entries(first: int, last: int, *, up: bool = True, size_bytes: int = 1) -> list[OutboxEntry]:
    """An entry for each of these numbers, which are their slots."""
    return [OutboxEntry(n, b"k%d" % n, b"%d\xff" % n * size_bytes, up) for n in range(first, last + 1)]


def _batch(batch_id: int, results: int, *, up: bool = True, size_bytes: int = 1) -> OutboxBatch:
    first = 100 * batch_id
    return OutboxBatch(batch_id, up, _entries(first, first + results - 1, up=up, size_bytes=size_bytes), results)


class StoreStage(Protocol):
    """A place for batches, empty when a test begins."""

    @property
    def store(self) -> Store:
        """What keeps them there."""
        ...

    def reopen(self) -> Store:
        """Close the store, and open another in the same place. It is closed after the test."""
        ...

    def damage(self, batch_id: int) -> None:
        """Make the entries of a batch unreadable."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """The place can neither be written nor read within the block."""
        ...

    def removal_fails(self) -> AbstractContextManager[None]:
        """Batches can be written and not removed within the block."""
        ...


class StoreContract:
    """What producer_svc.ports.Store promises."""

    @pytest.fixture
    def stage(self) -> StoreStage:
        raise NotImplementedError

    def test_a_batch_is_read_as_it_was_written(self, stage: StoreStage) -> None:
        """Its bytes, whether it is up, and its id in each of its entries."""
        written = _batch(3, 2, up=False)
        stage.store.write([_batch(2, 1), written], [])
        found = stage.store.first(2, None)
        assert found is not None
        assert (found.id, found.up, found.size, found.unacknowledged) == (3, False, 2, 2)
        assert [(e.slot_ms, e.key, e.value, e.up, e.batch, e.handed) for e in found.entries] == [
            (e.slot_ms, e.key, e.value, False, 3, False) for e in written.entries
        ]

    @pytest.mark.parametrize(
        ("after", "before", "found"),
        [
            (0, None, 2),
            (2, None, 5),
            (2, 9, 5),
            (5, 9, None),
            (4, 5, None),
            (1, 2, None),
            (9, None, None),
            (8, None, 9),
        ],
    )
    def test_the_first_batch_between_two_ids_is_found(
        self, stage: StoreStage, after: int, before: int | None, found: int | None
    ) -> None:
        """Neither of them is included, and the order of writing does not matter."""
        stage.store.write([_batch(9, 1), _batch(2, 1)], [])
        stage.store.write([_batch(5, 1)], [])
        batch = stage.store.first(after, before)
        assert (batch and batch.id) == found

    def test_results_are_counted(self, stage: StoreStage) -> None:
        """Not batches: those that were written and neither removed nor dropped."""
        counts = [stage.store.count]
        for written, removed in (([_batch(1, 2), _batch(2, 3)], []), ([_batch(3, 4)], [1]), ([], [2, 3, 77])):
            stage.store.write(written, removed)
            counts.append(stage.store.count)
        assert counts == [0, 5, 7, 0]
        assert stage.store.first(0, None) is None

    def test_batches_take_room_until_they_are_removed(self, stage: StoreStage) -> None:
        """At least what their bytes take; the room is used again."""
        empty = stage.store.used_bytes
        stage.store.write([_batch(1, 10, size_bytes=10_000)], [])
        full = stage.store.used_bytes
        assert full - empty >= 100_000
        stage.store.write([_batch(2, 10, size_bytes=10_000)], [1])
        stage.store.write([], [2])
        assert stage.store.used_bytes <= full - 100_000

    def test_what_was_written_is_there_when_it_is_opened_again(self, stage: StoreStage) -> None:
        """The next process gives its batches higher ids."""
        assert stage.store.last_id == 0
        stage.store.write([_batch(4, 2), _batch(7, 3)], [])
        stage.store.write([_batch(9, 1)], [4])
        again = stage.reopen()
        assert (again.last_id, again.count) == (9, 4)
        found = again.first(0, None)
        assert found is not None
        assert [(e.slot_ms, e.value) for e in found.entries] == [(e.slot_ms, e.value) for e in _batch(7, 3).entries]

    def test_a_damaged_batch_has_its_size_and_no_entries(self, stage: StoreStage) -> None:
        """The others are as they were, and it can be removed."""
        stage.store.write([_batch(1, 5), _batch(2, 1)], [])
        stage.damage(1)
        damaged, whole = stage.store.first(0, None), stage.store.first(1, None)
        assert damaged is not None
        assert whole is not None
        assert (damaged.id, damaged.size, list(damaged.entries)) == (1, 5, [])
        assert len(whole.entries) == 1
        stage.store.write([], [1])
        assert stage.store.count == 1

    @pytest.mark.parametrize(
        ("after", "results", "dropped"),
        [
            (0, 0, []),
            (0, 1, [2]),
            (0, 2, [2]),
            (0, 3, [2, 4]),
            (0, 5, [2, 4, 1]),
            (2, 3, [4, 3]),
            (0, 99, [2, 4, 1, 3]),
            (4, 9, []),
        ],
    )
    def test_the_oldest_batches_are_dropped_those_that_are_up_first(
        self, stage: StoreStage, after: int, results: int, dropped: list[int]
    ) -> None:
        """Whole batches past an id, until that many results are gone. They are given back, and no more found."""
        stage.store.write([_batch(number, 2, up=number % 2 == 0) for number in (1, 2, 3, 4)], [])
        gone = stage.store.drop(after, results)
        assert [(batch.id, batch.up, len(batch.entries)) for batch in gone] == [(n, n % 2 == 0, 2) for n in dropped]
        assert stage.store.count == 8 - 2 * len(dropped)
        assert _ids(stage.store) == [number for number in (1, 2, 3, 4) if number not in dropped]

    def test_a_place_that_is_away_is_an_outage_and_holds_the_same_afterwards(self, stage: StoreStage) -> None:
        """For every method, but that a store can be closed."""
        stage.store.write([_batch(1, 2)], [])
        with stage.away():
            for attempt in (
                lambda: stage.store.write([_batch(2, 1)], [1]),
                lambda: stage.store.first(0, None),
                lambda: stage.store.drop(0, 1),
                lambda: stage.store.used_bytes,
            ):
                with pytest.raises(OutageError):
                    attempt()
        assert (_ids(stage.store), stage.store.count) == ([1], 2)
        stage.store.write([_batch(2, 1)], [1])
        assert (_ids(stage.store), stage.store.count) == ([2], 1)

    def test_nothing_is_written_when_what_goes_with_it_cannot_be_removed(self, stage: StoreStage) -> None:
        """Both or nothing: no batch is lost, and none is there twice."""
        stage.store.write([_batch(1, 2)], [])
        with stage.removal_fails(), pytest.raises(OutageError):
            stage.store.write([_batch(2, 2)], [1])
        assert (_ids(stage.store), stage.store.count) == ([1], 2)


def _ids(store: Store) -> list[int]:
    found, last = list[int](), 0
    while batch := store.first(last, None):
        last = batch.id
        found.append(last)
    return found


class SenderStage(Protocol):
    """A topic, empty when a test begins."""

    @property
    def sender(self) -> Sender:
        """What brings entries to it."""
        ...

    def arrived(self) -> Collection[tuple[bytes | None, bytes | None]]:
        """The key and the value of all that is in the topic."""
        ...

    def away(self) -> AbstractContextManager[None]:
        """Kafka or the topic is away within the block, in which the first entry is sent."""
        ...


class SenderContract:
    """What producer_svc.ports.Sender promises."""

    @pytest.fixture
    def stage(self) -> SenderStage:
        raise NotImplementedError

    def test_what_is_acknowledged_is_in_the_topic(self, stage: SenderStage) -> None:
        """Once, its bytes unchanged."""
        entries = _entries(1, 50)
        for entry in entries:
            stage.sender.send(entry)
        assert _slots(_drain(stage.sender)) == list(range(1, 51))
        assert sorted(stage.arrived(), key=repr) == sorted(((e.key, e.value) for e in entries), key=repr)

    def test_an_entry_is_acknowledged_once_and_as_the_same_object(self, stage: SenderStage) -> None:
        """Who sent it knows it again."""
        entries = _entries(1, 2)
        stage.sender.send(entries[0])
        assert _drain(stage.sender) == entries[:1]
        stage.sender.send(entries[1])
        assert _drain(stage.sender) == entries[1:]
        assert list(stage.sender.drain_acknowledged()) == []

    def test_what_is_sent_is_in_flight_until_it_is_acknowledged(self, stage: SenderStage) -> None:
        """However many there are."""
        counts = [stage.sender.in_flight]
        for entry in _entries(1, 3):
            stage.sender.send(entry)
            counts.append(stage.sender.in_flight)
        assert counts == [0, 1, 2, 3]
        _drain(stage.sender)
        assert stage.sender.in_flight == 0

    def test_nothing_is_given_up_while_the_topic_is_away(self, stage: SenderStage) -> None:
        """It is in flight, is acknowledged when the topic is there again, and a wait in between has an end."""
        with stage.away():
            for entry in _entries(1, 20):
                stage.sender.send(entry)
            for _ in range(10):
                stage.sender.wait(0.2)
                assert list(stage.sender.drain_acknowledged()) == []
            assert stage.sender.in_flight == 20
            assert stage.sender.outage
        assert _slots(_drain(stage.sender)) == list(range(1, 21))
        assert {key for key, _ in stage.arrived()} == {b"k%d" % number for number in range(1, 21)}
        assert stage.sender.outage is None


def _drain(sender: Sender) -> list[OutboxEntry]:
    """What is acknowledged until nothing is in flight any more."""
    acknowledged: list[OutboxEntry] = []

    def all_acknowledged() -> bool:
        sender.wait(0.1)
        acknowledged.extend(sender.drain_acknowledged())
        return not sender.in_flight

    until(all_acknowledged)
    return acknowledged


def _slots(entries: Sequence[OutboxEntry]) -> list[int]:
    return sorted(entry.slot_ms for entry in entries)
