"""A consumer's service that has its partitions already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring_testkit.consumer.fakes import PARTITIONS, FakeSource
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from consumer_svc.service import ConsumerService


def place(service: ConsumerService) -> None:
    """Let a service on fakes read all partitions from where the database says; it has received no message then."""
    assert isinstance(service.source, FakeSource)
    service.source.assigned = True
    service.source.subscribe(service.placement.assign, service.drop)
    service.placement.assign(PARTITIONS)
    service._advance()

    def placed() -> bool:
        service._advance()
        return service._in_hand is None

    until(placed)
