"""The Kafka cluster that is examined, its groups' coordinators that start, and its errors in one line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka.admin import AdminClient

    from monitoring_core.config import Config

# The errors that a group's coordinator answers while it starts.
_STARTING = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR)
T = TypeVar("T")


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


def when_started(cluster: Cluster, ask: Callable[[], T]) -> T:
    """Ask a group's coordinator, and again while it starts.

    Raises:
        KafkaException: another error, or it starts for longer than the cluster's timeout.
    """
    until = time.monotonic() + cluster.timeout_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _STARTING or time.monotonic() > until:
                raise
        time.sleep(0.1)


def plain(error: object) -> str:
    """An error of Kafka, or any other error, in one line."""
    if isinstance(error, KafkaError):
        error = f"{error.str()} ({error.name()})"
    return " ".join(str(error).split())[:200]
