"""Sends poison to the dead-letter topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from consumer_svc.adapters.topic_writer import TopicWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumer_svc.adapters.topic_writer import Content, Headers, Refusal
    from consumer_svc.ports import Poison
    from monitoring_core.config import KafkaConfig

log = structlog.get_logger()

# What is kept of a key and of a value that are too large for the topic; every topic takes this much.
_KEPT_BYTES = 64 * 1024


class KafkaDeadLetters:
    """Sends poison to the dead-letter topic, with its reason in the headers."""

    def __init__(self, config: KafkaConfig) -> None:
        self._topic = config.topic_name
        self._writer = TopicWriter(config, config.dead_letter_topic)

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison, its bytes unchanged. All of it is acknowledged when this returns.

        What the topic finds too large is cut short, and a header says how large it was. What it refuses for another
        reason is left where it is, in the topic of results, and its place is logged: one message must not stop all.

        Raises:
            OutageError: Kafka cannot be reached, or does not take messages now.
        """
        whole = [(one.message.key(), one.message.value(), self._headers(one)) for one in poison]
        refusals = self._writer.offer(whole)
        large = [one.number for one in refusals if one.too_large]
        refused = [one for one in refusals if not one.too_large]
        refused += [_renumbered(one, large) for one in self._writer.offer([_cut(whole[number]) for number in large])]
        for one in refused:
            message = poison[one.number].message
            log.error(
                "the dead-letter topic refuses a message for good: it is only where it was",
                topic=self._topic,
                partition=message.partition(),
                offset=message.offset(),
                reason=poison[one.number].reason,
                error=one.why,
            )

    def _headers(self, poison: Poison) -> Headers:
        """Why the message could not be stored, and where it was."""
        return {
            "reason": poison.reason,
            "error": poison.error,
            "original_topic": self._topic,
            "original_partition": str(poison.message.partition()),
            "original_offset": str(poison.message.offset()),
            "original_timestamp": str(poison.message.timestamp()[1]),
        }


def _cut(content: Content) -> Content:
    key, value, headers = content
    size = len(key or b"") + len(value or b"")
    return _begin(key), _begin(value), headers | {"cut_from_bytes": str(size)}


def _begin(content: bytes | None) -> bytes | None:
    return None if content is None else content[:_KEPT_BYTES]


def _renumbered(refusal: Refusal, numbers: Sequence[int]) -> Refusal:
    return attrs.evolve(refusal, number=numbers[refusal.number])
