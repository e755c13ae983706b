"""What the loop of a producer costs at an even rate: a part of `hatch run bench:schedule`. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from schedule import DEFAULTS, Range

from monitoring_core.clock import SystemClock, from_ms
from monitoring_core.config import KafkaConfig
from monitoring_core.result import CheckResult, Status
from monitoring_runtime.health import Health
from monitoring_runtime.memory import collect_garbage_seldom, keep_memory_together
from monitoring_runtime.stop import Stop
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from producer_svc.adapters.kafka import KafkaSender
from producer_svc.adapters.sqlite import SqliteStore
from producer_svc.assignment import Assignment
from producer_svc.blame import Blame
from producer_svc.check import Check, Origin
from producer_svc.checks.stalls import StallWatch
from producer_svc.claim import Claim
from producer_svc.clock_steps import ClockSteps
from producer_svc.metrics import Metrics
from producer_svc.outbox import Outbox
from producer_svc.overload import Overload
from producer_svc.schedule import Schedule
from producer_svc.service import ProducerService
from producer_svc.unaccounted import UnaccountedSlots
from producer_svc.waiting import WaitingChecks

# How long a check takes.
TOOK_S = 0.005
INTERVAL_S = 60
LOCATION = "bench"


class IdleEngine:
    """Every check is up `TOOK_S` after it began, which is when it was due or, submitted later, at once."""

    def __init__(self, lead_s: float, places: int) -> None:
        self.lead_s = lead_s
        self._places = places
        self.lags: list[float] = []
        self._stalls = StallWatch()
        self._running: deque[tuple[float, Check, Origin]] = deque()

    @property
    def free(self) -> int:
        return self._places - len(self._running)

    @property
    def running(self) -> int:
        return len(self._running)

    def submit(self, check: Check, origin: Origin) -> None:
        began = max(time.monotonic(), check.due)
        self.lags.append(began - check.due)
        self._running.append((began + TOOK_S, check, origin))

    def drain_finished(self, wait_s: float, enough: int = 1) -> list[CheckResult]:
        if wait_s > 0:
            first_s = self._running[0][0] - time.monotonic() if self._running and enough == 1 else wait_s
            time.sleep(max(0.0, min(wait_s, first_s)))
        now, finished = time.monotonic(), []
        while self._running and self._running[0][0] <= now:
            finished.append(_up(*self._running.popleft()[1:]))
        return finished

    def abandon(self) -> list[Check]:
        return []


def _up(check: Check, origin: Origin) -> CheckResult:
    return CheckResult(
        target_id=check.target.id,
        scheduled_at=check.scheduled_at,
        started_at=from_ms(check.scheduled_ms + 1),
        finished_at=from_ms(check.scheduled_ms + 6),
        location=origin.location,
        producer_id=origin.producer_id,
        status=Status.UP,
        queue_delay_s=0.001,
        response_time_s=0.005,
        http_status=200,
    )


def producer(count: int, directory: Path, engine: IdleEngine, kafka: KafkaConfig) -> ProducerService:
    """A producer whose engine costs next to nothing, with a real outbox and a real Kafka."""
    clock, metrics, unaccounted = SystemClock(), Metrics(), UnaccountedSlots()
    held = Range(count, clock)
    return ProducerService(
        origin=Origin(1, LOCATION),
        assignment=Assignment(held, held, Claim(1, max(1, count), 0), DEFAULTS, 15.0, 5.0, clock),
        schedule=Schedule(clock),
        waiting=WaitingChecks(10, clock),
        engine=engine,
        blame=Blame(None, clock),
        outbox=Outbox(SqliteStore(directory), KafkaSender(kafka), clock, metrics, 1 << 30, unaccounted.remove),
        unaccounted=unaccounted,
        clock=clock,
        health=Health(),
        metrics=metrics,
        overload=Overload(clock, 50),
        clock_steps=ClockSteps(clock),
        shutdown_timeout_s=2.0,
    )


def threads_s() -> dict[str, float]:
    """The processor time of each thread of this process, in seconds: by the name that librdkafka or Python gave it."""
    found: dict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        name = (task / "comm").read_text().strip()
        known = {str(thread.native_id): thread.name for thread in threading.enumerate()}
        found[known.get(task.name, name)] += int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def measure(rate: float, lead_s: float, places: int, seconds: float, kafka: KafkaConfig) -> dict[str, object]:
    """One producer with `rate` checks a second, in this process."""
    keep_memory_together()
    collect_garbage_seldom()
    count = round(rate * INTERVAL_S)
    engine, stop = IdleEngine(lead_s, places), Stop()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        service = producer(count, Path(folder), engine, kafka)

        def watch() -> None:
            while len(service.schedule) < count:
                time.sleep(0.1)
            time.sleep(3)
            engine.lags.clear()
            before, whole = threads_s(), time.process_time()
            time.sleep(seconds)
            cpu = time.process_time() - whole
            spent = {name: round(100 * (s - before[name]) / seconds, 3) for name, s in threads_s().items()}
            lags = sorted(engine.lags) or [0.0]
            found["percent_of_a_core"] = 100 * cpu / seconds
            found["us_per_check"] = 1e6 * cpu / max(1, len(engine.lags))
            found["checks_per_second"] = len(engine.lags) / seconds
            found["lag_p99_ms"] = 1000 * statistics.quantiles(lags, n=100)[98] if len(lags) > 1 else 0.0
            found["percent_by_thread"] = {name: s for name, s in spent.items() if s and name != "watch"}
            stop.request()

        threading.Thread(target=watch, name="watch", daemon=True).start()
        service.run(stop)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[0, 17, 50, 200, 1_000], help="Checks a second.")
    parser.add_argument("--lead", type=float, default=0.1, help="Seconds. [default: 0.1]")
    parser.add_argument("--places", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--json", type=Path, default=Path("bench-loop.json"), metavar="FILE")
    parser.add_argument("--one", metavar="BROKER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kafka_config = KafkaConfig(bootstrap_servers=arguments.one, topic_name="loop")
        rate, lead_s, places, seconds = arguments.rates[0], arguments.lead, arguments.places, arguments.seconds
        print(json.dumps(measure(rate, lead_s, places, seconds, kafka_config)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        kafka = ApacheKafka(Path(folder), optimised=True)
        kafka.start()
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        for made in admin.create_topics([NewTopic("loop", 8, 1)]).values():
            made.result()
        for rate in arguments.rates:
            # In a process of its own, whose threads are the producer's alone.
            command = [sys.executable, __file__, "--one", kafka.bootstrap_servers, "--rates", str(rate)]
            command += ["--lead", str(arguments.lead), "--seconds", str(arguments.seconds)]
            command += ["--places", str(arguments.places)]
            lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ).stdout
            results[rate] = json.loads(lines.splitlines()[-1])
            print(f"{rate:>7,g}/s  {results[rate]}")
        kafka.stop()
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
