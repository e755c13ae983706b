"""Why no messages can be read, each reason logged once until it is over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError

from monitoring_runtime.kafka import Trouble, diagnose, explain

if TYPE_CHECKING:
    from monitoring_core.config import KafkaConfig

log = structlog.get_logger()

# The part of an error's text that differs at every try.
_VARYING = re.compile(r" \(after \d+ms in state .*|\d+")


class ReadOutages:
    """Remembers the reasons that have been logged and still hold."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config
        # Refusals in plain words, by their texts without the part that differs at every try.
        self._refusals: dict[str, str] = {}
        self._away: str | None = None
        # That Kafka refuses to let this account read, whether or not it assigns partitions to it.
        self._forbidden: str | None = None

    def present(self, assigned: bool) -> str | None:
        """Why no messages can be read now, in one line: an absence, or the refusal that was the last to begin.

        Args:
            assigned: whether a partition is assigned. Then all but the lack of a right is taken to be over soon, since
                Kafka says of no other error when it is over.
        """
        return self._forbidden if assigned else self._away or next(reversed(self._refusals.values()), None)

    def note(self, error: KafkaError) -> None:
        """Log an error of the client, unless its reason was logged already."""
        # These concern one broker or one try; _ALL_BROKERS_DOWN follows when no broker can be reached.
        if error.code() in (KafkaError._TRANSPORT, KafkaError._RESOLVE):
            return
        why = explain(error, self._config)
        if diagnose(error) is Trouble.UNREACHABLE:
            known, self._away = bool(self._away), why
        else:
            reason = why if diagnose(error) is Trouble.TOPIC_MISSING else _VARYING.sub("", error.str())
            known = reason in self._refusals
            self._refusals.setdefault(reason, why)
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                self._forbidden = why
        if not known:
            log.warning("no messages can be read, retrying", error=why)

    def end_refusals(self) -> None:
        """Forget the refusals, because Kafka has given what it refused; it may still be away at this moment."""
        self._refusals.clear()
        self._forbidden = None

    def end_absence(self) -> None:
        """Record that a broker is connected."""
        if self._away:
            log.info("Kafka is reached again", kafka=self._config.bootstrap_servers)
        self._away = None
