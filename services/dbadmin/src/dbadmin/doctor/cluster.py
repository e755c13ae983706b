"""The Kafka cluster that is examined, and its errors in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from confluent_kafka import KafkaError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

    from monitoring_core.config import Config


@attrs.frozen
class Cluster:
    """A cluster that can be reached.

    Attributes:
        properties: the settings of `admin`, for further clients.
        timeout_s: the timeout of each request.
    """

    config: Config
    admin: AdminClient
    properties: dict[str, Any]
    timeout_s: float


def plain(error: object) -> str:
    """An error of Kafka, or any other error, in one line."""
    if isinstance(error, KafkaError):
        error = f"{error.str()} ({error.name()})"
    return " ".join(str(error).split())[:200]
