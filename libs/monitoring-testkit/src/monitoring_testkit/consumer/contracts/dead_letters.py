"""What the way to the dead letters promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs
import pytest

from consumer_svc.ports import Poison
from monitoring_core.errors import OutageError
from monitoring_testkit.consumer.messages import FakeMessage

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from consumer_svc.ports import DeadLetters


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
