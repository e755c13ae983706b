"""Section `consumer`: how results are taken from Kafka in batches."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.values import Between, Matching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config.faults import Rule


@attrs.frozen(kw_only=True)
class ConsumerConfig:
    """Settings of the consumers."""

    group_id: Annotated[str, Matching(r"[^\s\0]{1,249}", "1 to 249 characters without spaces")] = "monitoring-consumer"
    batch_max_rows: Annotated[int, Between(1, 100_000)] = 5_000
    batch_max_age: Annotated[dt.timedelta, Between(dt.timedelta(milliseconds=1), dt.timedelta(minutes=1))] = (
        dt.timedelta(milliseconds=500)
    )
    session_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=2), dt.timedelta(minutes=5))] = dt.timedelta(
        seconds=45
    )
    shutdown_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=10))] = (
        dt.timedelta(seconds=20)
    )

    def broken_rules(self) -> Iterator[Rule]:
        """The rules between the settings that do not hold: there are none."""
        yield from ()
