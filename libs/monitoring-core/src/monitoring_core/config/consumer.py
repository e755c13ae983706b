"""Section `consumer`: how results are read from Kafka in batches."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.values import Between, Matching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config.faults import Rule


class Assignor(enum.StrEnum):
    """How the members of a group share out the partitions; Kafka's own names."""

    RANGE = "range"
    COOPERATIVE_STICKY = "cooperative-sticky"


class GroupProtocol(enum.StrEnum):
    """Who assigns partitions: a member of the group, or the broker (KIP-848, Apache Kafka 4); Kafka's own names."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


@attrs.frozen(kw_only=True)
class ConsumerConfig:
    """Settings of the consumers."""

    group_id: Annotated[str, Matching(r"[^\s\0]{1,249}", "1 to 249 characters without spaces")] = "monitoring-consumer"
    batch_max_rows: Annotated[int, Between(1, 100_000)] = 5_000
    batch_max_age: Annotated[dt.timedelta, Between(dt.timedelta(milliseconds=1), dt.timedelta(minutes=1))] = (
        dt.timedelta(milliseconds=500)
    )
    max_dead_letter_ratio: Annotated[float, Between(0.0, 1.0)] = 0.1
    group_protocol: GroupProtocol = GroupProtocol.CLASSIC
    assignor: Assignor = Assignor.RANGE
    session_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=2), dt.timedelta(minutes=5))] = dt.timedelta(
        seconds=45
    )
    shutdown_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=10))] = (
        dt.timedelta(seconds=20)
    )

    @property
    def alert_group_id(self) -> str:
        """The group in which alert-svc reads the same topic, unless it is told another one."""
        return f"{self.group_id}-alerts"

    def broken_rules(self) -> Iterator[Rule]:
        """None: no rule connects these settings."""
        yield from ()
