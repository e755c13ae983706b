"""What alert-svc decides and remembers, and how soon people are told: `hatch run bench:alerts`. See README.md."""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import attrs
import psutil
import yaml
from confluent_kafka import Producer
from measure import cpu_s

from local_stack.servers import connect
from local_stack.stack import DATABASE, Stack, running_stack
from monitoring_alerting.decider import Decider
from monitoring_alerting.policies import DownPolicy, Kind, Locations, Policies
from monitoring_alerting.targets import Watched
from monitoring_core.clock import from_ms
from monitoring_core.codec import encode, encode_key
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.schedule import phase_ms, slot_at_or_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_stack.processes import Service

TOPIC = "website_availability"
INTERVAL_S = 60
MINUTE_MS = 1000 * INTERVAL_S
# When each location's result of a slot is finished, in milliseconds after it.
LOCATIONS = {"berlin": 100, "tokyo": 200, "virginia": 300}
DECIDING = "tokyo"  # the second of three, of which two must agree
TAKEN = 'alert_results_total{outcome="taken"}'
# Of so many targets one goes down, so that fewer alerts come at once than are held back as a burst.
ONE_IN = 100
GAP_MS = 5 * MINUTE_MS


Due = list[tuple[int, int]]


def due_from(targets: int, begin: int) -> Due:
    """The first slot of each target from a moment (ms) on, and the target, in the order of the slots."""
    return sorted((slot_at_or_after(number, INTERVAL_S, begin), number) for number in range(1, targets + 1))


def results(due: Due, begin: int, end: int, down_from: float = float("inf")) -> Iterator[CheckResult]:
    """The results of all slots of a time (ms), in their order.

    One target of ONE_IN is down from a moment on, and another one always.
    """
    for turn in range(0, end - begin, MINUTE_MS):
        for first, number in due:
            if first + turn >= end:
                continue
            slot = from_ms(first + turn)
            down = number % ONE_IN == 0 or (number % ONE_IN == 1 and first + turn >= down_from)
            for location, late_ms in LOCATIONS.items():
                yield CheckResult(
                    target_id=number,
                    scheduled_at=slot,
                    location=location,
                    producer_id=1,
                    status=Status.DOWN if down else Status.UP,
                    reason=Reason.STATUS_MISMATCH if down else None,
                    started_at=slot + dt.timedelta(milliseconds=1),
                    finished_at=slot + dt.timedelta(milliseconds=late_ms),
                    queue_delay_s=0.001,
                    connect_s=0.012345,
                    tls_s=0.023456,
                    first_byte_s=0.1,
                    response_time_s=late_ms / 1000,
                    http_status=503 if down else 200,
                    body_bytes=54_321,
                    remote_address="203.0.113.7",
                    certificate_expires_at=slot + dt.timedelta(days=60),
                )


@attrs.define
class Published:
    """Sends results, and keeps when Kafka had those that decide."""

    producer: Producer
    at: dict[int, float] = attrs.field(factory=dict)
    count: int = 0

    def send(self, result: CheckResult, live: bool) -> None:
        """Send a result; with `live`, when its check has finished."""
        noted: Callable[..., None] | None = None
        if live:
            assert result.finished_at
            time.sleep(max(0.0, result.finished_at.timestamp() - time.time()))
            if result.location == DECIDING and result.target_id % ONE_IN == 1:

                def noted(*_: object) -> None:
                    self.at[result.target_id] = time.time()

        while True:
            try:
                self.producer.produce(TOPIC, encode(result), encode_key(result), on_delivery=noted)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)
        self.count += 1


class Receiver:
    """Keeps when it was told of each target that is down."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 (self is the receiver)
                said = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                for alert in said["data"].get("alerts", ()):
                    if alert["state"] == "firing":
                        self.at.setdefault(alert["target_id"], time.time())
                handler.send_response(204)
                handler.end_headers()

            def log_message(handler, *_: object) -> None:  # noqa: N805 (the same)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()


def started(stack: Stack, receiver: Receiver) -> Service:
    """alert-svc with a policy and a webhook; all that is not asked for has its default."""
    secret = stack.directory / "secret"
    secret.write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}")
    policy = {"name": "down", "kind": "down", "locations": {"at_least": 2, "of": list(LOCATIONS)}}
    channel = {"name": "ops", "type": "webhook", "url": receiver.url, "secret": {"file": str(secret)}}
    file = stack.directory / "alerts.yaml"
    file.write_text(yaml.safe_dump({"policies": [policy], "channels": [channel]}))
    return stack.start("alert-svc", "--policies", str(file))


def until_taken(service: Service, number: float) -> tuple[float, float, float]:
    """Wait until so many results are taken; how many they are, processor time and time."""
    while True:
        page = service.get("/metrics") or ""
        found = [float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{TAKEN} ")]
        if found and found[0] >= number:
            return found[0], cpu_s(service.child.pid), time.monotonic()
        if service.child.status is not None:
            raise SystemExit(service.child.last_lines())
        time.sleep(0.05)


def add_windows(stack: Stack, count: int) -> None:
    """Maintenance windows, recurring ones among them, which hold now for other targets than these."""
    with connect(stack.postgres, DATABASE) as connection:
        connection.execute(
            "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, recurrence) "
            "SELECT jsonb_build_object('team', 'other-' || n), now() - interval '1 hour', now() + interval '1 hour', "
            "CASE WHEN n %% 10 = 0 THEN 'FREQ=WEEKLY' END FROM generate_series(1, %s) n",
            (count,),
        )


def whole(targets: int, slots: int, windows: int, live: bool) -> dict[str, Any]:
    """alert-svc as a process: how fast it catches up, and, live, how soon a receiver is told."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_stack(Path(directory), interval_s=INTERVAL_S, timeout_s=10) as stack,
    ):
        stack.import_targets([{"url": f"https://website-{n}.example.org/"} for n in range(targets)])
        add_windows(stack, windows)
        settings = {"bootstrap.servers": stack.bootstrap_servers, "queue.buffering.max.messages": 200_000}
        published = Published(Producer(settings))
        begin = round(time.time() * 1000) - GAP_MS - slots * MINUTE_MS
        for result in results(due_from(targets, begin), begin, begin + slots * MINUTE_MS):
            published.send(result, live=False)
        published.producer.flush()
        receiver = Receiver()
        service = started(stack, receiver)
        first = until_taken(service, 0.2 * published.count)
        last = until_taken(service, 0.9 * published.count)
        taken, cpu, seconds = (after - before for after, before in zip(last, first, strict=True))
        row: dict[str, Any] = {
            "windows": windows,
            "results_per_core_s": round(taken / cpu),
            "results_per_s": round(taken / seconds),
            "cpu_us": round(1e6 * cpu / taken, 1),
        }
        if live:
            until_taken(service, published.count)
            row |= told(published, receiver, service, targets, begin + slots * MINUTE_MS)
        return row


def told(published: Published, receiver: Receiver, service: Service, targets: int, since: int) -> dict[str, Any]:
    """One minute of results at the pace of their checks, after those up to now; seconds until a receiver is told."""
    now = round(time.time() * 1000) + 20_000
    for result in results(due_from(targets, since), since, now, now - 2 * MINUTE_MS):
        published.send(result, live=False)
    published.producer.flush()
    until_taken(service, published.count)
    receiver.at.clear()
    time.sleep(max(0.0, now / 1000 - time.time()))
    for result in results(due_from(targets, now), now, now + MINUTE_MS, now):
        published.send(result, live=True)
    published.producer.flush()
    deadline = time.monotonic() + 30
    while len(receiver.at) < len(published.at) and time.monotonic() < deadline:
        time.sleep(0.1)
    took = sorted(receiver.at[target] - at for target, at in published.at.items() if target in receiver.at)
    return {
        "alerts": len(published.at),
        "not_told": len(published.at) - len(took),
        "p50_s": round(took[len(took) // 2], 2),
        "p99_s": round(took[min(len(took) - 1, 99 * len(took) // 100)], 2),
    }


def memory(targets: int) -> float:
    """Bytes that a decider holds for a target and location, in a process that holds nothing else."""
    policy = DownPolicy(name="down", kind=Kind.DOWN, locations=Locations(at_least=2, of=tuple(LOCATIONS)))
    process, begin = psutil.Process(), 1_700_000_000_000
    due = due_from(targets, begin)
    before = process.memory_info().rss
    decider = Decider(
        Policies((policy,)),
        (
            Watched(n, f"https://website-{n}.example.org/", {}, MINUTE_MS, phase_ms(n, INTERVAL_S))
            for n in range(1, targets + 1)
        ),
    )
    for result in results(due, begin, begin + 2 * MINUTE_MS):
        decider.take(result)
    return (process.memory_info().rss - before) / targets / len(LOCATIONS)


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument("--windows", type=int, nargs="*", default=[0, 10_000])
    parser.add_argument("--rounds", type=int, default=1, help="How often the speed is measured with each number.")
    parser.add_argument("--remembered", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(memory(options.memory))
        return
    found: dict[str, Any] = {"whole": [], "bytes": {}}
    for number, windows in enumerate(options.windows * options.rounds):
        live = not windows and number < len(options.windows)
        found["whole"].append(whole(options.targets, options.slots, windows, live))
        print(found["whole"][-1], flush=True)
    for number in options.remembered:
        command = [sys.executable, __file__, "--memory", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found["bytes"][number] = round(float(done.stdout))
        print(f"{number:,} targets: {found['bytes'][number]} bytes a target and location", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
