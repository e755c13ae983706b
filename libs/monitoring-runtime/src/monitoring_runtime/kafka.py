"""What every client of Kafka shares: a silent log, and what its errors mean."""

from __future__ import annotations

import enum
import logging
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError

from monitoring_core.clock import SystemClock
from monitoring_core.result import one_line

if TYPE_CHECKING:
    from monitoring_core.clock import Clock
    from monitoring_core.config import KafkaConfig

# Given to each client as its logger: librdkafka's own lines would mix with ours, and its callbacks already report what
# matters.
SILENT = logging.getLogger("monitoring_runtime.librdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


# How often the files of secrets are read to see whether they were replaced.
_LOOK_S = 5.0


class ClientProperties:
    """The connection as librdkafka's properties, and whether it was changed because somebody replaced secrets.

    librdkafka keeps the secrets that a client began with, so a client whose secrets were replaced must be replaced too.
    """

    def __init__(self, config: KafkaConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._given: dict[str, str] = {}
        self._next_look = 0.0

    def read(self) -> dict[str, str]:
        """The properties for a client that begins now. They hold secrets: never log them."""
        self._given = self._config.client_properties()
        return dict(self._given)

    def changed(self) -> bool:
        """Whether the properties differ from those that were read last; looks every few seconds at most."""
        if self._clock.monotonic() < self._next_look:
            return False
        self._next_look = self._clock.monotonic() + _LOOK_S
        return self._config.client_properties() != self._given


class Trouble(enum.Enum):
    """What kind of trouble an error of Kafka is.

    TIMED_OUT means that nothing answered in time. For a call that has its own timeout that is the same as UNREACHABLE;
    for a client that works in the background only one of many requests timed out.
    """

    UNREACHABLE = enum.auto()
    TIMED_OUT = enum.auto()
    TOPIC_MISSING = enum.auto()
    OTHER = enum.auto()


_BY_CODE = {
    KafkaError._TRANSPORT: Trouble.UNREACHABLE,
    KafkaError._ALL_BROKERS_DOWN: Trouble.UNREACHABLE,
    KafkaError._RESOLVE: Trouble.UNREACHABLE,
    KafkaError._TIMED_OUT: Trouble.TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART: Trouble.TOPIC_MISSING,
    KafkaError._UNKNOWN_TOPIC: Trouble.TOPIC_MISSING,
}


def diagnose(error: KafkaError) -> Trouble:
    """The trouble that an error's code stands for; OTHER for every code without a known remedy."""
    return _BY_CODE.get(error.code(), Trouble.OTHER)


def explain(error: KafkaError, config: KafkaConfig, topic: str | None = None) -> str:
    """An error in one plain line, with the address or the topic and, where it is known, the command that mends it.

    Args:
        topic: the topic that is used, where it is not the one of the results.
    """
    match diagnose(error):
        case Trouble.UNREACHABLE:
            return f"{where(config)} cannot be reached"
        case Trouble.TOPIC_MISSING:
            return f"topic {topic or config.topic_name} does not exist: run dbadmin create-topics"
    return f"{where(config)}: {detail(error)}"


def detail(error: KafkaError) -> str:
    """What librdkafka says about an error, one line."""
    return one_line(error.str(), 300)


def where(config: KafkaConfig) -> str:
    """The cluster as messages for people name it."""
    return f"Kafka at {config.bootstrap_servers}"
