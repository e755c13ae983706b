"""What the outbox promises: nothing that was measured is lost while there is room, and nothing silently past that."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from monitoring_core.clock import from_ms
from monitoring_core.codec import decode
from monitoring_core.errors import OutageError
from monitoring_core.result import Reason
from monitoring_core.testing.builders import make_result
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.retry import DISK
from monitoring_testkit.producer.fakes.outbox import FakeKafka
from producer_svc import outbox as outbox_module
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.metrics import Metrics
from producer_svc.outbox import REMOVE_S, Outbox
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitoring_core.result import CheckResult

# After which the file is tried again at the latest.
RETRY_S = DISK.maximum_s


@attrs.define
class Rig:
    directory: Path
    kafka: FakeKafka = attrs.field(factory=FakeKafka)
    max_bytes: int = 1 << 30
    clock: FakeClock = attrs.field(factory=FakeClock)
    metrics: Metrics = attrs.field(factory=Metrics)
    # How often each slot was accounted for.
    done: Counter[int] = attrs.field(factory=Counter)
    outbox: Outbox = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        store, done = SqliteStore(self.directory), self.done
        self.outbox = Outbox(
            store, self.kafka, self.clock, self.metrics, self.max_bytes, lambda slot_ms: done.update([slot_ms])
        )

    def put(self, *target_ids: int, reason: Reason | None = None) -> None:
        for target_id in target_ids:
            self.outbox.put(result(target_id, reason))

    def flush(self, times: int = 3, seconds: float = 0.2) -> None:
        for _ in range(times):
            self.clock.advance(seconds)
            self.outbox.flush()

    @property
    def dropped(self) -> float:
        return self.metrics.registry.get_sample_value("producer_results_dropped_total") or 0


def result(target_id: int, reason: Reason | None = None) -> CheckResult:
    return make_result(target_id=target_id, scheduled_at=from_ms(1_000 * target_id), reason=reason)


def kill(rig: Rig) -> None:
    """What a SIGKILL leaves: the file as it is, without its lock."""
    rig.outbox.close()


def test_a_result_is_saved_before_it_is_sent_and_forgotten_once_it_is_acknowledged(tmp_path: Path) -> None:
    """Kafka never hears of a result that a crash could take back."""
    rig = Rig(tmp_path, FakeKafka(away=True))
    rig.put(1, 2)
    assert (rig.kafka.sent, rig.outbox.unsaved) == ([], 2)
    rig.flush()
    assert (rig.kafka.targets, rig.outbox.unsaved, rig.outbox.waiting) == ([1, 2], 0, 2)
    rig.kafka.away = False
    rig.flush()
    assert (rig.kafka.targets, rig.outbox.waiting) == ([1, 2], 0)
    rig.flush(seconds=REMOVE_S)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    kill(rig)
    assert Rig(tmp_path).outbox.waiting == 0


def test_what_a_crash_left_is_sent_at_the_next_start(tmp_path: Path) -> None:
    """Older results first, and newer ones after them."""
    first = Rig(tmp_path, FakeKafka(away=True))
    first.put(1, 2, 3)
    first.flush()
    kill(first)
    second = Rig(tmp_path)
    assert second.outbox.waiting == 3
    second.put(4)
    second.flush(5)
    assert (second.kafka.targets, second.outbox.waiting) == ([1, 2, 3, 4], 0)


def test_a_long_outage_is_bounded_in_memory_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into Kafka's client or into memory is read back from the file, in order."""
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 50)
    monkeypatch.setattr(outbox_module, "IN_MEMORY", 30)
    rig = Rig(tmp_path, FakeKafka(away=True))
    for begin in range(1, 1_001, 20):
        rig.put(*range(begin, begin + 20))
        rig.flush(1)
    assert len(rig.kafka.sent) == 60  # whole batches
    assert sum(batch.size for batch in rig.outbox._unsent) <= 50
    rig.kafka.away = False
    rig.flush(100)
    assert rig.kafka.targets == list(range(1, 1_001))
    assert (rig.outbox.waiting, rig.dropped) == (0, 0)


def test_past_its_bound_the_oldest_up_results_go_first_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What websites did wrong is kept the longest."""
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 100)
    rig = Rig(tmp_path, FakeKafka(away=True), max_bytes=300_000)
    number = 0
    for _ in range(60):
        number += 100
        rig.put(*range(number - 99, number - 4))
        rig.put(*range(number - 4, number + 1), reason=Reason.TIMEOUT)
        rig.flush(1)
    assert rig.dropped > 1_000
    assert capsys.readouterr().out.count("the outbox is giving up its oldest results") == 1
    kill(rig)
    again = Rig(tmp_path)
    again.flush(200)
    sent = Counter(str(decode(entry.value).status) for entry in again.kafka.sent)
    assert sent["down"] == 300
    assert sum(sent.values()) + rig.dropped == 6_000
    ups = [target for target in again.kafka.targets if target % 100 in range(1, 96)]
    assert max(ups) == 5_995


def test_a_full_disk_leaves_results_in_memory_until_it_has_room_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checks and sending go on; what was in memory alone is saved as soon as that is possible."""
    rig = Rig(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 13, hard))
    try:
        rig.kafka.away = True
        rig.put(*range(1, 201))
        rig.flush()
        assert rig.outbox.unsaved == 200
        assert rig.kafka.targets == list(range(1, 201))
        rig.kafka.away = False
        rig.flush()
        assert rig.outbox.unsaved == 0
        rig.kafka.away = True
        rig.put(*range(201, 301))
        rig.flush()
        assert rig.outbox.unsaved == 100
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    rig.flush(3, RETRY_S)
    assert rig.outbox.unsaved == 0
    rig.kafka.away = False
    rig.flush(5)
    assert (set(rig.kafka.targets), rig.outbox.waiting, rig.dropped) == (set(range(1, 301)), 0, 0)
    said = capsys.readouterr().out
    assert said.count("the outbox cannot be written: results are in memory alone") == 1
    assert said.count("the outbox is written again") == 1


def test_what_an_earlier_run_left_is_sent_though_the_file_opens_late(tmp_path: Path) -> None:
    """A directory that comes after the start, such as a volume, may hold results."""
    first = Rig(tmp_path / "volume", FakeKafka(away=True))
    first.put(1, 2)
    first.flush()
    kill(first)
    (tmp_path / "volume").rename(tmp_path / "elsewhere")
    (tmp_path / "volume").write_text("")
    later = FakeClock()
    later.advance(60)
    second = Rig(tmp_path / "volume", clock=later)
    second.put(3)
    second.flush()
    assert second.kafka.targets == [3]
    (tmp_path / "volume").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "volume")
    second.put(4)
    second.flush(3, RETRY_S)
    assert (sorted(second.kafka.targets), second.outbox.waiting) == ([1, 2, 3, 4], 0)


def test_a_file_whose_size_cannot_be_asked_is_trouble_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent twice for it, nothing is left."""

    def fails(_: SqliteStore) -> int:
        raise OutageError("disk I/O error")

    rig = Rig(tmp_path, FakeKafka(away=True))
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "used_bytes", property(fails))
        rig.put(1, 2)
        rig.flush()
        rig.put(3)
        rig.flush()
    rig.flush(3, RETRY_S)
    rig.kafka.away = False
    rig.flush(3, RETRY_S)
    assert (rig.kafka.targets, rig.outbox.waiting) == ([1, 2, 3], 0)


def test_each_result_is_accounted_for_once_when_the_file_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of unaccounted slots must not go down twice for one."""
    rig = Rig(tmp_path, FakeKafka(away=True), max_bytes=100_000)
    done = rig.done
    write, broken = SqliteStore.write, False

    def sometimes(store: SqliteStore, batches: Sequence[OutboxBatch], remove: Sequence[int]) -> None:
        if broken:
            raise OutageError("disk full")
        write(store, batches, remove)

    monkeypatch.setattr(SqliteStore, "write", sometimes)
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 200)
    for begin in range(1, 1_001, 50):
        broken = begin % 150 == 1
        rig.put(*range(begin, begin + 50))
        rig.flush(2, RETRY_S)
    broken = False
    rig.kafka.away = False
    rig.flush(30, RETRY_S)
    assert rig.outbox.waiting == 0
    assert done == Counter(1_000 * target for target in range(1, 1_001))
    assert len(rig.kafka.sent) == len(set(rig.kafka.targets)) == 1_000 - rig.dropped
    assert rig.dropped > 0


def test_what_kafka_acknowledges_after_trouble_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file still holds it for a moment. Accounted for twice, it would hide a slot that is not in Kafka."""
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 100)
    rig = Rig(tmp_path, FakeKafka(away=True))
    done = rig.done

    def full(*_: object) -> None:
        raise OutageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "write", full)
        rig.put(*range(1, 301))
        rig.flush(1)
    rig.flush(1, RETRY_S)
    assert (rig.kafka.targets, rig.outbox.unsaved) == (list(range(1, 101)), 0)
    rig.kafka.away, late = False, rig.kafka.unacknowledged[50:]
    rig.kafka.unacknowledged = rig.kafka.unacknowledged[:50]
    rig.flush(1, 0.0)
    rig.kafka.unacknowledged += late
    rig.flush(5)
    assert rig.kafka.targets == list(range(1, 301))
    assert done == Counter(1_000 * target for target in range(1, 301))
    assert rig.outbox.waiting == 0


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_accounted_for_twice_in_any_history(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka acknowledges what it likes when it likes, the file fails and comes back, and the producer crashes."""
    chance = random.Random(seed)
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 30)
    monkeypatch.setattr(outbox_module, "IN_MEMORY", 20)
    monkeypatch.setattr(outbox_module, "GROUP_ENTRIES", 7)
    monkeypatch.setattr(outbox_module, "READ_TOGETHER", 3)
    failing: set[str] = set()

    def breakable(name: str) -> Callable[..., object]:
        real: Callable[..., object] = getattr(SqliteStore, name)

        def method(store: SqliteStore, *what: object) -> object:
            if name in failing:
                raise OutageError("the disk is away")
            return real(store, *what)

        return method

    for name in ("write", "first"):
        monkeypatch.setattr(SqliteStore, name, breakable(name))
    has, made, lost = set[int](), 0, set[int]()
    for _ in range(3):
        kafka = FakeKafka(away=True)
        rig = Rig(tmp_path, kafka)
        done = rig.done
        first = made + 1
        for _ in range(chance.randint(1, 40)):
            for _ in range(chance.choice((0, 1, 5, 40))):
                made += 1
                rig.put(made, reason=chance.choice((None, None, Reason.TIMEOUT)))
            failing = {name for name in failing ^ {chance.choice(("write", "first"))} if chance.random() < 0.5}
            chance.shuffle(kafka.unacknowledged)
            some = chance.randint(0, len(kafka.unacknowledged))
            rest, kafka.unacknowledged = kafka.unacknowledged[some:], kafka.unacknowledged[:some]
            kafka.away = False
            rig.clock.advance(chance.choice((0.001, 0.1, RETRY_S)))
            rig.outbox.flush()
            kafka.unacknowledged += rest
            kafka.away = True
            has |= {decode(entry.value).target_id for entry in kafka.sent if entry not in kafka.unacknowledged}
            assert rig.outbox.waiting >= len(kafka.unacknowledged)
            assert max((batch.size for batch in rig.outbox._handed.values()), default=0) <= 7
        failing.clear()
        if chance.random() < 0.5:
            kafka.away = False
            rig.flush(100, RETRY_S)
            assert rig.outbox.waiting == 0
            has |= set(kafka.targets)
        lost |= {decode(entry.value).target_id for entry in rig.outbox._unsaved} - has
        assert len(kafka.targets) == len(set(kafka.targets))
        assert set(done.values()) <= {1}
        assert set(done) == {1_000 * target for target in has if target >= first}
        kill(rig)
    last = Rig(tmp_path)
    last.flush(200, 1.0)
    assert last.outbox.waiting == 0
    assert has | set(last.kafka.targets) == set(range(1, made + 1)) - lost


@pytest.mark.parametrize("damage", ["zeroblob(length(entries))", "substr(entries, 1, 9)", "NULL"])
def test_a_damaged_batch_is_given_up_and_said(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other batches are sent."""
    first = Rig(tmp_path, FakeKafka(away=True))
    for number in (1, 2, 3):
        first.put(number, number + 10)
        first.flush(1)
    kill(first)
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox-1.sqlite")) as database, database:
        second = "SELECT id FROM batches ORDER BY id LIMIT 1 OFFSET 1"
        database.execute(f"UPDATE batches SET entries = {damage} WHERE id = ({second})")
    rig = Rig(tmp_path)
    rig.put(4)
    rig.flush(3)
    assert (rig.kafka.targets, rig.dropped, rig.outbox.waiting) == ([1, 11, 3, 13, 4], 2, 0)
    assert capsys.readouterr().out.count("a batch of the outbox is damaged") == 1
    rig.flush(seconds=REMOVE_S)
    kill(rig)
    assert Rig(tmp_path).outbox.waiting == 0


def test_memory_is_bounded_while_neither_kafka_nor_the_disk_takes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest up results are given up, and counted."""
    monkeypatch.setattr(outbox_module, "UNSAVED", 1_000)
    monkeypatch.setattr(outbox_module, "IN_FLIGHT", 100)
    rig = Rig(tmp_path, FakeKafka(away=True))

    def full(*_: object) -> None:
        raise OutageError("disk full")

    monkeypatch.setattr(SqliteStore, "write", full)
    for begin in range(1, 5_001, 100):
        rig.put(*range(begin, begin + 90))
        rig.put(*range(begin + 90, begin + 100), reason=Reason.TIMEOUT)
        rig.flush(1, RETRY_S)
    assert rig.outbox.unsaved <= 1_100
    assert rig.outbox.unsaved + rig.dropped == 5_000
    kept = Counter(entry.up for entry in rig.outbox._unsaved)
    assert kept[False] == 500


def test_files_of_dead_processes_are_taken_over_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    """Producers share a directory; one that gets another ID, or never comes back, leaves its results to the others."""
    living, dead = Rig(tmp_path, FakeKafka(away=True)), Rig(tmp_path, FakeKafka(away=True))
    living.put(1)
    dead.put(2, 3)
    living.flush()
    dead.flush()
    kill(dead)
    new = Rig(tmp_path)
    new.flush()
    assert new.kafka.targets == [2, 3]
    another = Rig(tmp_path)
    another.flush()
    assert another.kafka.targets == []
    kill(new)
    kill(living)
    last = Rig(tmp_path)
    last.flush()
    assert last.kafka.targets == [1]


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_file_that_cannot_be_read_is_put_aside(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file neither stops the producer nor disappears."""
    (tmp_path / "outbox-1.sqlite").write_bytes(content)
    rig = Rig(tmp_path)
    rig.put(1)
    rig.flush()
    assert (rig.kafka.targets, rig.outbox.waiting, rig.outbox.unsaved) == ([1], 0, 0)
    assert "cannot be read and is put aside" in capsys.readouterr().out
    (aside,) = tmp_path.glob("*.unreadable-*")
    assert aside.read_bytes() == content


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_that_is_damaged_in_its_middle_is_put_aside(tmp_path: Path, number: int) -> None:
    """This holds for the producer's own file and for the file of a producer that has ended."""
    stores = [SqliteStore(tmp_path) for _ in range(number)]
    stores[-1].write(
        [OutboxBatch(i, True, [OutboxEntry(0, b"k", b"v" * 400, up=True)] * 10, 10) for i in range(1, 51)], []
    )
    for store in stores:
        store.close()
    file = tmp_path / f"outbox-{number}.sqlite"
    content = bytearray(file.read_bytes())
    content[10 * 4096 : 11 * 4096] = b"\xff" * 4096
    file.write_bytes(content)
    rig = Rig(tmp_path)
    rig.put(1)
    rig.flush()
    assert (rig.kafka.targets, rig.outbox.waiting, rig.outbox.unsaved) == ([1], 0, 0)
    assert rig.outbox._trouble is None
    (aside,) = tmp_path.glob("*.unreadable-*")
    assert aside.read_bytes() == content


def test_a_directory_that_cannot_be_made_is_an_outage_and_not_the_end(tmp_path: Path) -> None:
    """The producer checks and sends; the log says that results are in memory alone."""
    (tmp_path / "file").write_text("")
    rig = Rig(tmp_path / "file" / "outbox")
    rig.put(1)
    rig.flush()
    assert (rig.kafka.targets, rig.outbox.waiting) == ([1], 0)


def test_a_directory_without_locks_costs_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is tried again and again, and checks need descriptors, too."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    gc.collect()  # else the descriptors of tests before this one may go while it runs
    before = len(list(Path("/proc/self/fd").iterdir()))
    rig = Rig(tmp_path)
    for number in range(1, 21):
        rig.put(number)
        rig.flush(1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert rig.kafka.targets == list(range(1, 21))


# Imports once, and writes in a new child for each line of its standard input until the child is killed.
WRITER = """
import os
import sys
from pathlib import Path
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry


def write():
    store = SqliteStore(Path(sys.argv[1]))
    number = store.last_id
    print(os.getpid(), flush=True)
    while True:
        entries = [OutboxEntry(0, b"k", b"v" * 400, True) for _ in range(20)]
        store.write([OutboxBatch(number + i, True, entries, 20) for i in (1, 2)], [number] if number % 4 else [])
        number += 2
        os.write(1, b"%d\\n" % number)  # a line whole: print may write its end apart, which SIGKILL can come before


for _ in sys.stdin:
    child = os.fork()
    if not child:
        write()
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


def test_what_was_written_survives_a_sigkill_at_any_moment(tmp_path: Path) -> None:
    """Five rounds: all that the file took is there, and the file is whole."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(5):
            print(file=process.stdin, flush=True)
            child = int(process.stdout.readline())
            written = [int(process.stdout.readline()) for _ in range(random.randint(1, 300))][-1]
            os.kill(child, signal.SIGKILL)
            while process.stdout.readline() != "ended\n":
                pass
            store = SqliteStore(tmp_path)
            assert store.last_id >= written
            last = store.first(written - 2, written)
            assert last is not None
            assert (last.id, len(last.entries)) == (written - 1, 20)
            store.close()
