"""How late a real producer starts its checks, and what it costs: the second part of `hatch run bench:schedule`."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from installation import MANY, Installation, installed
from measure import OTHERS_CORE, PROBER_CORE, cpu_s, on_core, quantiles_ms
from network import enter, website

from local_stack.processes import script
from monitoring_core.clock import to_ms
from monitoring_core.config import DatabaseConfig, EngineName, MonitorConfig
from monitoring_core.result import Status
from monitoring_core.schedule import slots_between
from monitoring_core.testing.builders import DEFAULTS, make_target
from monitoring_testkit.websites import fine_website
from producer_svc.adapters.leases import PostgresLeases
from producer_svc.adapters.postgres import ProducerConnection
from producer_svc.adapters.target_table import PostgresTargetTable
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine
from producer_svc.service import ITERATION_S

if TYPE_CHECKING:
    from collections.abc import Iterator

# The part of its greatest rate that the engine is given.
LOAD = 0.7


def engine_alone(name: str, url: str, rate: float, count: int) -> tuple[float, float]:
    """An engine with checks that become due at an even rate; an infinite one: whenever the engine has room.

    What becomes due or finishes within ITERATION_S is handled together, as in the producer's loop.

    Returns:
        Processor time, µs a check, and checks a second.
    """
    engine = build_engine(MonitorConfig(engine=EngineName(name), max_concurrent_checks=MANY, max_per_host=MANY))
    origin, targets = Origin(1, "bench"), [make_target(url=url.replace("{n}", str(n))) for n in range(1, 1_001)]
    submitted = finished = 0
    began, cpu = time.monotonic(), time.process_time()
    while finished < count:
        iteration = time.monotonic()
        due = count if math.isinf(rate) else min(count, int((iteration - began) * rate))
        while submitted < due and engine.free:
            engine.submit(Check(targets[submitted % len(targets)], submitted, time.monotonic()), origin)
            submitted += 1
        while (left_s := iteration + ITERATION_S - time.monotonic()) > 0 and finished < submitted:
            for result in engine.drain_finished(left_s):
                assert result.status is Status.UP, result
                finished += 1
        time.sleep(max(0.0, left_s))
    return 1e6 * (time.process_time() - cpu) / count, count / (time.monotonic() - began)


def in_own_process(engine: str, url: str, rate: float, count: int) -> tuple[float, float]:
    """`engine_alone` in a process of its own, with a core of its own."""
    command = on_core(PROBER_CORE, [sys.executable, __file__, "--engine-alone", engine, url, str(rate), str(count)])
    cost_us, per_s = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return float(cost_us), float(per_s)


def measure(
    installation: Installation, arguments: argparse.Namespace, targets: int, url: str, rate: float
) -> dict[str, float]:
    """One producer with this number of targets, as a process, at most at this rate.

    Intervals are whole seconds, so up to a third of the targets is left out to meet the rate.
    """
    name, seconds = f"lag_{targets}", arguments.seconds
    interval_s = max(1, round(targets / rate))
    if targets > 0.75 * rate * interval_s:
        targets = int(rate * interval_s)
    file = installation.set_up(name, targets, url, interval_s, arguments.engine)
    began_s = time.time()
    service = installation.start_producer(arguments.producer_svc, file)
    child = service.child
    service.wait_until_ready()
    since_ms = round(1000 * service.metric("producer_accounted_since_seconds"))
    # The checks that became due while the range was read come first.
    time.sleep(arguments.warm_up)
    begin_ms, cpu = time.time_ns() // 1_000_000, cpu_s(child.pid)
    time.sleep(seconds)
    end_ms, cpu = time.time_ns() // 1_000_000, cpu_s(child.pid) - cpu
    memory = psutil.Process(child.pid).memory_info().rss
    assert child.stop() == 0, child.last_lines(20)
    found = {(r.target_id, to_ms(r.scheduled_at)): r for r in installation.results(name)}
    due = {(i, slot) for i in range(1, targets + 1) for slot in slots_between(i, interval_s, since_ms, end_ms)}
    measured = [r for (_, slot), r in found.items() if begin_ms <= slot < end_ms]
    lags = [(r.started_at - r.scheduled_at).total_seconds() for r in measured if r.started_at]
    late = quantiles_ms(lags)
    first = min(r.started_at for r in found.values() if r.started_at)
    return {
        "targets": targets,
        "rate": len(measured) / seconds,
        "lag_p50_ms": late["p50"],
        "lag_p99_ms": late["p99"],
        "lag_max_ms": 1000 * max(lags),
        "not_up": sum(1 for r in measured if r.status is not Status.UP),
        "missing": len(due - found.keys()),
        "cpu_us": 1e6 * cpu / len(measured),
        "MB": memory / 1e6,
        "first_check_s": first.timestamp() - began_s,
    }


def refresh_ms(installation: Installation, targets: int, url: str) -> dict[str, float]:
    """What a producer asks of PostgreSQL, in milliseconds of its processor time, when no target has changed."""
    installation.set_up("refreshed", targets, url, 3600, EngineName.REQUESTS)
    postgres = installation.postgres
    config = DatabaseConfig(host=postgres.host, port=postgres.port, user=postgres.user, schema="refreshed")
    producer = ProducerConnection(config)
    table, leases = PostgresTargetTable(producer), PostgresLeases(producer, "bench", "me", DEFAULTS)
    times = 500
    assert leases.acquire(1, 60) is not None
    with installation.connect() as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'producer-svc'"
        ((backend,),) = connection.execute(query).fetchall()
    began, cpu = time.monotonic(), cpu_s(int(backend))
    for _ in range(times):
        table.version()
        leases.renew(1, 0, 60)
    return {
        "cpu_ms": 1e3 * (cpu_s(int(backend)) - cpu) / times,
        "elapsed_ms": 1e3 * (time.monotonic() - began) / times,
    }


@contextlib.contextmanager
def website_of(directory: Path, names: bool) -> Iterator[str]:
    """The URLs of the targets: names in a namespace of their own, or a website on this machine that costs the least."""
    if names:
        with website(directory, ttl_s=0) as found:
            yield found.url("http")
    else:
        with fine_website() as port:
            yield f"http://127.0.0.1:{port}/{{n}}"


def measure_with_engine(
    installation: Installation, arguments: argparse.Namespace, targets: int, url: str
) -> dict[str, float]:
    """A producer, and the engine alone before and after it."""
    engine = arguments.engine
    _, before = in_own_process(engine, url, math.inf, arguments.alone)
    result = measure(installation, arguments, targets, url, arguments.rate or LOAD * before)
    _, after = in_own_process(engine, url, math.inf, arguments.alone)
    # The machine may have become slower or faster meanwhile.
    result["of_capacity"] = result["rate"] / statistics.mean((before, after))
    result["engine_us"], _ = in_own_process(engine, url, result["rate"], round(5 * result["rate"]))
    result["added_us"] = result["cpu_us"] - result["engine_us"]
    return result


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--engine", default="native", help="[default: native]")
    parser.add_argument("--names", action="store_true", help="A name for each target, as whole.py does; needs root.")
    parser.add_argument("--warm-up", type=float, default=12.0, help="Seconds before measuring. [default: 12]")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rate", type=float, help="Checks a second. [default: 0.7 of the engine's capacity]")
    parser.add_argument("--alone", type=int, default=20_000, help="Checks of the engine alone. [default: 20000]")
    parser.add_argument(
        "--producer-svc",
        default=script("producer-svc"),
        metavar="FILE",
        help="The producer to measure. [default: that of this environment, in which are libraries of others, too]",
    )
    parser.add_argument("--json", type=Path, default=Path("bench-start-lag.json"), metavar="FILE")
    parser.add_argument("--engine-alone", nargs=4, metavar=("ENGINE", "URL", "RATE", "COUNT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    if arguments.engine_alone:
        engine, url, rate, count = arguments.engine_alone
        print(*engine_alone(engine, url, float(rate), int(count)))
        return
    if arguments.names:
        enter()
    found: dict[str, dict[str, float]] = {}
    os.sched_setaffinity(0, [OTHERS_CORE])
    with (
        tempfile.TemporaryDirectory() as folder,
        website_of(Path(folder), arguments.names) as url,
        installed(Path(folder)) as installation,
    ):
        for targets in arguments.targets:
            found[str(targets)] = result = measure_with_engine(installation, arguments, targets, url)
            print(f"{targets:>9,}: " + "  ".join(f"{key}: {value:,.2f}" for key, value in result.items()), flush=True)
        found["refresh"] = refresh_ms(installation, 1_000_000, url)
        print("a refresh with nothing changed, 1,000,000 targets  ", found["refresh"])
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
