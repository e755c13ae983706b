"""Sends poison to the dead-letter topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumer_svc.adapters.topic_writer import TopicWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumer_svc.ports import Poison
    from monitoring_core.config import KafkaConfig


class KafkaDeadLetters:
    """Sends poison to the dead-letter topic, with its reason in the headers."""

    def __init__(self, config: KafkaConfig) -> None:
        self._topic = config.topic_name
        self._writer = TopicWriter(config, config.dead_letter_topic)

    def send(self, poison: Sequence[Poison]) -> None:
        """Send poison, its bytes unchanged. All of it is acknowledged when this returns.

        Raises:
            OutageError: Kafka cannot be reached, or refuses a message.
        """
        self._writer.send((one.message.key(), one.message.value(), self._headers(one)) for one in poison)

    def _headers(self, poison: Poison) -> dict[str, str | bytes | None]:
        """Why the message could not be stored, and where it was."""
        return {
            "reason": poison.reason,
            "error": poison.error,
            "original_topic": self._topic,
            "original_partition": str(poison.message.partition()),
            "original_offset": str(poison.message.offset()),
            "original_timestamp": str(poison.message.timestamp()[1]),
        }
