"""Targets, the producers that check them, and every row that there must be in the end."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import TYPE_CHECKING

import attrs

from monitoring_core.clock import to_ms
from monitoring_core.schedule import slots_between
from monitoring_testkit.waiting import until
from monitoring_testkit.websites import fine_website

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_stack.processes import Service

    from .pipeline import Pipeline

TARGETS = 20
_ALMOST_A_MS = dt.timedelta(microseconds=999)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@attrs.define
class Checks:
    """Targets of a website that answers, their producers, and what must be in the table at the end.

    Attributes:
        ready_ms: from when the first producer was ready. Slots are due since the targets were added; those before it
            are missed.
    """

    pipeline: Pipeline
    targets: int = TARGETS
    interval_s: int = 1
    ready_ms: int = 0
    began_ms: int = attrs.field(factory=lambda: now_ms())

    def start(self, name: str, producer_id: str = "1", env: Mapping[str, str] | None = None) -> Service:
        """Start a producer; from when the first one is ready, every slot must be checked."""
        service = self.pipeline.producer(name, producer_id, env)
        if not self.ready_ms:
            service.wait_until_ready()
            self.ready_ms = now_ms()
        return service

    def statuses(self) -> dict[tuple[int, int], str]:
        with self.pipeline.postgres.connect() as connection:
            query = f"SELECT target_id, scheduled_at, status || coalesce(' ' || reason, '') FROM {self.pipeline.table}"
            return {(int(row[0]), to_ms(row[1])): str(row[2]) for row in connection.execute(query)}

    def due(self, end_ms: int) -> set[tuple[int, int]]:
        """Every slot of every target from when it was added until a moment."""
        with self.pipeline.postgres.connect() as connection:
            query = f"SELECT amc_id, amc_active_since FROM {self.pipeline.name}.availability_monitor_config"
            # A slot in the millisecond in which a target was added, before it was, is not due.
            added = {int(row[0]): to_ms(row[1] + _ALMOST_A_MS) for row in connection.execute(query)}
        assert len(added) == self.targets
        return {
            (target_id, slot)
            for target_id, added_ms in added.items()
            for slot in slots_between(target_id, self.interval_s, added_ms, end_ms)
        }

    def compare(self, end_ms: int | None = None, latest_ms: int | None = None) -> set[str]:
        """Stop the producers in order, and compare the rows with the slots that were due.

        Returns the verdicts found since the first producer was ready. Before that every slot is missed or checked.

        Args:
            end_ms: every slot before it must have a row; now by default.
            latest_ms: no slot after it may have one; the moment at which all producers have stopped by default.
        """
        end_ms = end_ms or now_ms()
        for name, service in self.pipeline.services.items():
            if name.startswith("producer") and service.child.status is None:
                assert service.child.stop() == 0, self.pipeline.logs()
        due = self.due(end_ms)
        until(lambda: not due - self.statuses().keys(), what=self.pipeline.logs)
        rows = self.statuses()
        assert len(due) >= 2 * self.targets
        latest_ms = latest_ms or now_ms()
        assert all(self.began_ms <= slot <= latest_ms for _, slot in rows.keys() - due), self.pipeline.logs()
        early = {status for (_, slot), status in rows.items() if slot < self.ready_ms}
        assert early <= {"unknown missed_window", "up", "down timeout"}
        return {status for (_, slot), status in rows.items() if slot >= self.ready_ms}


@contextlib.contextmanager
def checked(pipeline: Pipeline) -> Iterator[Checks]:
    """Targets that are due each second, and a consumer."""
    with fine_website() as port:
        pipeline.monitor = {
            "check_interval": "1s",
            "timeout": "800ms",
            "lease_duration": "2s",
            "refresh_interval": "1s",
            "outbox_directory": str(pipeline.directory / "outbox"),
        }
        with pipeline.postgres.connect() as connection:
            connection.execute(
                f"INSERT INTO {pipeline.name}.availability_monitor_config (amc_url) "
                "SELECT %s || n FROM generate_series(1, %s) n",
                (f"http://127.0.0.1:{port}/", TARGETS),
            )
        pipeline.consumer()
        yield Checks(pipeline)
