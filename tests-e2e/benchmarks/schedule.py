"""What a producer costs beside its engine: `hatch run bench:schedule`. See README.md."""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from monitoring_core.result import CheckResult, Status
from monitoring_core.targets import CheckDefaults, StatusSet, TargetRecord
from monitoring_core.testing.clock import FakeClock
from monitoring_runtime.health import Health
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.assignment import Assignment
from producer_svc.blame import Blame
from producer_svc.check import Check, Origin
from producer_svc.claim import Claim
from producer_svc.clock_steps import ClockSteps
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.outbox_entries import OutboxEntry
from producer_svc.overload import Overload
from producer_svc.schedule import Schedule
from producer_svc.service import ProducerService
from producer_svc.unaccounted import UnaccountedSlots
from producer_svc.waiting import WaitingChecks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.clock import Clock

DEFAULTS = CheckDefaults(interval_s=60, timeout_s=10.0, expected_status=StatusSet.parse("200-299"))
ITERATION_S = 0.02


class NoEngine:
    """Every check is up at once."""

    lead_s = 0.0

    def __init__(self) -> None:
        self._done: list[CheckResult] = []
        self.free = 1_000_000
        self.running = 0

    def submit(self, check: Check, origin: Origin) -> None:
        self._done.append(
            CheckResult(
                target_id=check.target.id,
                scheduled_at=check.scheduled_at,
                location=origin.location,
                producer_id=origin.producer_id,
                status=Status.UP,
                queue_delay_s=0.001,
                response_time_s=0.1,
                http_status=200,
            )
        )

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        done, self._done = self._done, []
        return done

    def abandon(self) -> list[Check]:
        return []


class NoKafka:
    """Acknowledges everything at once."""

    def __init__(self) -> None:
        self._sent: list[OutboxEntry] = []

    outage: str | None = None

    @property
    def in_flight(self) -> int:
        return len(self._sent)

    def send(self, entry: OutboxEntry) -> None:
        self._sent.append(entry)

    def drain_acknowledged(self) -> list[OutboxEntry]:
        sent, self._sent = self._sent, []
        return sent

    def wait(self, timeout_s: float) -> None:
        pass


class Range:
    """A table of `count` targets, and the lease of one ID."""

    def __init__(self, count: int, clock: Clock) -> None:
        self._count = count
        self._clock = clock

    def version(self) -> tuple[int, int]:
        return 1, self._clock.now_ms()

    def count_active(self) -> int:
        return self._count

    def read(self, ranks: range) -> Iterator[tuple[TargetRecord, int]]:
        for number in range(1, self._count + 1):
            yield TargetRecord(id=number, url=f"https://website-{number}.example.com/status"), 0

    def acquire(self, producer_id: int, lease_s: float) -> int | None:
        return self._clock.now_ms()

    def renew(self, producer_id: int, accounted_until_ms: int, lease_s: float) -> bool:
        return True

    def release(self, producer_id: int, accounted_until_ms: int) -> None:
        pass

    def free(self, needed: int, limit: int) -> list[int]:
        return []

    def unheld_since(self, look_back_s: float) -> int | None:
        return None

    def holder(self, producer_id: int) -> str | None:
        return None


def producer(count: int, directory: Path, clock: FakeClock) -> ProducerService:
    """A producer whose engine and Kafka cost nothing; its outbox is a real file."""
    metrics, unaccounted, held = Metrics(), UnaccountedSlots(), Range(count, clock)
    return ProducerService(
        origin=Origin(1, "bench"),
        assignment=Assignment(held, held, Claim(1, count, 0), DEFAULTS, 15.0, 30.0, clock),
        schedule=Schedule(clock),
        waiting=WaitingChecks(10, clock),
        engine=NoEngine(),
        blame=Blame(None, clock),
        outbox=Outbox(SqliteStore(directory), NoKafka(), clock, metrics, 1 << 30, unaccounted.remove),
        unaccounted=unaccounted,
        clock=clock,
        health=Health(),
        metrics=metrics,
        overload=Overload(clock, 50),
        clock_steps=ClockSteps(clock),
        shutdown_timeout_s=1.0,
    )


def measure(count: int, checks: int) -> dict[str, float]:
    """One producer with `count` targets, in this process."""
    keep_memory_together()
    collect_garbage_seldom()
    clock = FakeClock()
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as folder:
        service = producer(count, Path(folder), clock)
        began = time.monotonic()
        while len(service.schedule) < count:
            service.run_once(0)
            time.sleep(0.001)
        ready_s = time.monotonic() - began
        gc.collect()
        held = psutil.Process().memory_info().rss
        done = service.metrics.registry.get_sample_value
        cpu = time.process_time()
        while (finished := done("producer_checks_total", {"status": "up", "reason": ""}) or 0) < checks:
            clock.advance(ITERATION_S)
            service.run_once(0)
        cpu = time.process_time() - cpu
        iterations = (clock.now_ms() - FakeClock().now_ms()) / 1000 / ITERATION_S
        service.outbox.close()
    return {
        "us_per_check": 1e6 * cpu / finished,
        "checks_per_iteration": finished / iterations,
        "ready_s": ready_s,
        "bytes_per_target": (held - before) / count,
        "MB": held / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--checks", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=Path("bench-schedule.json"), metavar="FILE")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.checks)))
        return
    found = {}
    for count in arguments.targets:
        # In a process of its own: a process does not give back its memory.
        checks = min(arguments.checks, 20 * count)
        command = [sys.executable, __file__, "--one", str(count), "--checks", str(checks)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        found[count] = json.loads(lines[-1])
        print(f"{count:>9,} targets  " + "  ".join(f"{key}: {value:,.1f}" for key, value in found[count].items()))
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
