"""What the commands about dead letters show, and what a replay sends."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from consumer_svc import wiring
from consumer_svc.adapters.topic_writer import Refusal
from consumer_svc.cli import main
from consumer_svc.ports import DeadLetter
from monitoring_core.settled import Settled

FIRST = DeadLetter(
    0,
    4,
    1_767_225_600_000,
    b"5",
    b"\xff\x1b[2J",
    {
        "reason": "not_json",
        "error": "first\nline",
        "original_topic": "t",
        "original_partition": "3",
        "original_offset": "41",
        "original_timestamp": "7",
    },
)
SECOND = DeadLetter(1, 7, 1_767_225_660_000, None, None, {"reason": "empty"})
THIRD = DeadLetter(1, 8, 1_767_225_661_000, b"6", b"{}", {})


@attrs.define
class FakeTopic:
    """The dead-letter topic in memory, and which of them are settled."""

    letters: list[DeadLetter]
    done: dict[int, Settled] = attrs.field(factory=dict)
    left: int = 0
    closed: bool = False

    def read(self, since: Mapping[int, int]) -> Iterator[DeadLetter]:
        return (letter for letter in self.letters if letter.offset >= since.get(letter.partition, 0))

    def at(self, partition: int, offset: int) -> DeadLetter:
        (letter,) = (one for one in self.letters if (one.partition, one.offset) == (partition, offset))
        return letter

    def settled(self) -> dict[int, Settled]:
        return self.done

    def settle(self, letters: Collection[DeadLetter]) -> int:
        for letter in letters:
            self.done[letter.partition] = self.done[letter.partition].add([letter.offset])
        return self.left

    def close(self) -> None:
        self.closed = True


@attrs.define
class FakeTopicWriter:
    """The topic of results, which takes no message with a key in `refused`."""

    sent: list[tuple[bytes | None, bytes | None]] = attrs.field(factory=list)
    refused: set[bytes | None] = attrs.field(factory=set)

    def offer(self, messages: list[tuple[bytes | None, bytes | None, dict[str, str | bytes | None]]]) -> list[Refusal]:
        refusals = []
        for number, (key, value, headers) in enumerate(messages):
            assert headers == {}
            if key in self.refused:
                refusals.append(Refusal(number, True, "Broker: Message size too large"))
            else:
                self.sent.append((key, value))
        return refusals


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> FakeTopic:
    topic = FakeTopic([FIRST, SECOND, THIRD], {0: Settled(4), 1: Settled(8)})
    monkeypatch.setattr(wiring, "dead_letter_topic", lambda _config: topic)
    return topic


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> FakeTopicWriter:
    writer = FakeTopicWriter()
    monkeypatch.setattr(wiring, "topic_writer", lambda _config: writer)
    return writer


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n")
    return path


def run(config: Path, *args: str) -> str:
    done = CliRunner().invoke(main, ["dead-letters", *args, "--config", str(config)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_shows_a_line_each_and_counts_them_by_reason(config: Path, topic: FakeTopic) -> None:
    """Below a heading, with where each came from, and whether it was replayed or discarded already."""
    assert [line.rstrip() for line in run(config, "list").splitlines()] == [
        "PLACE       SET ASIDE AT                      REASON               FROM                          ERROR",
        "0:4         2026-01-01 00:00:00 UTC           not_json             t 3:41                        first line",
        "1:7         2026-01-01 00:01:00 UTC  settled  empty                ? ?:?",
        "1:8         2026-01-01 00:01:01 UTC           ?                    ? ?:?",
        "3 dead letters: 1 not_json, 1 empty, 1 ?",
    ]
    assert topic.closed


def test_the_list_is_bounded_and_still_counts_all(config: Path, topic: FakeTopic) -> None:
    """The summary says how many of them are shown."""
    assert [line[:12] for line in run(config, "list", "--limit", "1").splitlines()] == [
        "PLACE       ",
        "0:4         ",
        "3 dead lette",
    ]
    assert run(config, "list", "--limit", "1").splitlines()[-1] == "3 dead letters, 1 shown: 1 not_json, 1 empty, 1 ?"
    assert run(config, "list", "--reason", "empty").splitlines()[-1] == "1 dead letter: 1 empty"


def test_the_list_as_json_is_for_programs(config: Path, topic: FakeTopic) -> None:
    """One object a line, and nothing else."""
    first, second, _ = map(json.loads, run(config, "list", "--json").splitlines())
    assert first == {
        "place": "0:4",
        "set_aside_at": "2026-01-01 00:00:00 UTC",
        "settled": False,
        "bytes": 5,
        **FIRST.headers,
    }
    assert (second["bytes"], second["settled"]) == (0, True)


def test_a_dead_letter_is_shown_without_what_a_terminal_obeys(config: Path, topic: FakeTopic) -> None:
    """Its headers, key and value, each on a line."""
    assert run(config, "show", "0:4").splitlines() == [
        "reason             not_json",
        "error              first line",
        "original_topic     t",
        "original_partition 3",
        "original_offset    41",
        "original_timestamp 7",
        "set aside at       2026-01-01 00:00:00 UTC",
        "key                5",
        "value              \\xff\\x1b[2J",
    ]
    assert run(config, "show", "1:7").splitlines()[-2:] == ["key                null", "value              null"]


def test_a_long_value_is_cut_unless_its_bytes_are_asked_for(config: Path, topic: FakeTopic) -> None:
    """4,000 bytes fit on a screen."""
    topic.letters = [attrs.evolve(FIRST, value=b"x" * 4_000), attrs.evolve(FIRST, offset=5, value=b"x" * 4_001)]
    assert run(config, "show", "0:4").endswith("value              " + "x" * 4_000 + "\n")
    assert run(config, "show", "0:5").endswith("x… (4001 bytes)\n")
    assert run(config, "show", "0:5", "--raw") == "x" * 4_001


@pytest.mark.parametrize(
    ("args", "sent", "left"),
    [
        ((), [b"5", b"6"], []),  # what was not settled before
        (("--again",), [b"5", None, b"6"], []),
        (("--reason", "not_json"), [b"5"], ["1:8"]),
        (("1:8",), [b"6"], ["0:4"]),
        (("1:7",), [None], ["0:4", "1:8"]),  # by name also one that is settled
        (("--dry-run",), [], ["0:4", "1:8"]),
    ],
)
def test_a_replay_sends_what_it_is_asked_to_and_remembers_it(
    config: Path, topic: FakeTopic, writer: FakeTopicWriter, args: tuple[str, ...], sent: list[bytes], left: list[str]
) -> None:
    """Also those that were named or have a reason: the next replay leaves them out."""
    output = run(config, "replay", *args)
    assert [key for key, _ in writer.sent] == sent
    assert unsettled(topic) == left
    count, words = (2, "would be sent") if "--dry-run" in args else (len(sent), "sent")
    assert output == f"{count} message{'' if count == 1 else 's'} {words} to topic website_availability\n"


def test_what_the_topic_refuses_for_good_holds_up_no_other(
    config: Path, topic: FakeTopic, writer: FakeTopicWriter
) -> None:
    """As one that is too large for it: it stays a dead letter, and is named, with status 1."""
    writer.refused = {b"5"}
    for _ in range(2):
        done = CliRunner().invoke(main, ["dead-letters", "replay", "--config", str(config)])
        assert done.exit_code == 1
        assert done.stderr == (
            "topic website_availability refuses 1 dead letter for good, the first 0:4: Broker: Message size too large\n"
        )
    assert [key for key, _ in writer.sent] == [b"6"]
    assert unsettled(topic) == ["0:4"]


@pytest.mark.parametrize(
    ("args", "said", "left"),
    [
        (("--all",), "2 dead letters discarded", []),
        (("--reason", "not_json"), "1 dead letter discarded", ["1:8"]),
        (("1:8",), "1 dead letter discarded", ["0:4"]),
        (("--all", "--dry-run"), "2 dead letters would be discarded", ["0:4", "1:8"]),
    ],
)
def test_what_is_discarded_is_not_replayed(
    config: Path, topic: FakeTopic, writer: FakeTopicWriter, args: tuple[str, ...], said: str, left: list[str]
) -> None:
    """It stays in the topic, and the list says that it is settled."""
    assert run(config, "discard", *args) == f"{said}\n"
    assert unsettled(topic) == left
    run(config, "replay")
    assert len(writer.sent) == len(left)


def unsettled(topic: FakeTopic) -> list[str]:
    return [letter.place for letter in topic.letters if not topic.done[letter.partition].has(letter.offset)]


def test_nothing_is_discarded_unless_it_is_named(config: Path, topic: FakeTopic) -> None:
    """All is meant only where it says so."""
    done = CliRunner().invoke(main, ["dead-letters", "discard", "--config", str(config)])
    assert done.exit_code == 2
    assert "name PARTITION:OFFSET, --reason or --all" in done.output
    assert unsettled(topic) == ["0:4", "1:8"]


@pytest.mark.parametrize("command", ["list", "replay", "discard"])
def test_a_reason_that_there_is_not_is_refused(config: Path, topic: FakeTopic, command: str) -> None:
    """With those that there are; a typing error once found nothing to do, and said so with status 0."""
    done = CliRunner().invoke(main, ["dead-letters", command, "--reason", "notjson", "--config", str(config)])
    assert done.exit_code == 2
    assert "'not_json'" in done.output
    assert "'refused_by_database'" in done.output


def test_what_cannot_be_remembered_is_said(config: Path, topic: FakeTopic, writer: FakeTopicWriter) -> None:
    """Kafka keeps a bounded text about which ones are settled beyond the first that is not."""
    topic.left = 3
    assert run(config, "replay", "--reason", "not_json").startswith(
        "3 dead letters cannot be remembered as settled, because too many before them are not: settle the oldest ones "
        "first\n"
    )


def test_a_long_replay_is_noted_a_thousand_messages_at_a_time(
    config: Path, topic: FakeTopic, writer: FakeTopicWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted replay continues near the place that it had reached."""
    topic.letters, topic.done = [attrs.evolve(FIRST, offset=offset) for offset in range(2_001)], {0: Settled(0)}
    settle, noted = topic.settle, list[int]()

    def noting(letters: Collection[DeadLetter]) -> int:
        noted.append(len(letters))
        return settle(letters)

    monkeypatch.setattr(FakeTopic, "settle", lambda _self, letters: noting(letters))
    run(config, "replay")
    assert noted == [1_000, 1_000, 1]
    assert len(writer.sent) == 2_001
    assert topic.done == {0: Settled(2_001)}


@pytest.mark.parametrize("place", ["0", "a:1", "0:", ":4", "0:-1", "0:٣x"])
def test_a_place_that_is_none_is_refused_as_wrong_usage(config: Path, place: str) -> None:
    """Before anything is connected."""
    done = CliRunner().invoke(main, ["dead-letters", "show", place, "--config", str(config)])
    assert done.exit_code == 2
    assert "is not PARTITION:OFFSET, as the list shows it" in done.output
