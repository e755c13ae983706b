"""What a check costs in whole processes, beside other probers: `hatch run bench:whole`. See README.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import peers
from installation import Installation, Stored, installed
from measure import HEADING, OTHERS_CORE, PROBER_CORE, Measured, middle, on_core, quantiles_ms, table, window
from network import DELAYED_PORT, WEBSITE, Website, enter, in_its_namespace, website

from local_stack.processes import Child, script
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from monitoring_core.result import CheckResult

HTTP_RATES = [20, 50, 200, 1_000]
HTTPS_RATES = [20, 50, 200, 400]
PORTS = {"http": 80, "ecdsa": 443, "rsa": 444}
# What a result of a website that is up contains.
UP = b'"status":"up"'
DELAY_S = 0.02
# Full load is looked for from the highest rate on: what the cost there makes of a whole core, and once more.
FULL, STEPS = 0.95, 2
IDLE_TARGETS, IDLE_INTERVAL_S = 1_000, 60


@attrs.frozen
class Running:
    """A prober at work: its process, and its results in Kafka."""

    child: Child
    stored: Stored | None


@attrs.frozen
class Task:
    """What each prober is to do: so many names, each once an interval."""

    scheme: str
    names: int
    interval_s: int = 1


@attrs.define
class Bench:
    """The servers, and all that is measured on them."""

    arguments: argparse.Namespace
    installation: Installation
    site: Website
    _runs: int = attrs.field(init=False, default=0)

    def subjects(self) -> dict[str, Callable[[Task], contextlib.AbstractContextManager[Running]]]:
        """Floor, producers and peers, by the names in the table."""
        found: dict[str, Callable[[Task], contextlib.AbstractContextManager[Running]]] = {"floor": self.floor}
        found |= {f"producer-svc, {name}": partial(self.producer, name) for name in self.arguments.engine}
        return found | {peer.name: partial(self.peer, peer) for peer in peers.found()[0]}

    @contextlib.contextmanager
    def floor(self, task: Task) -> Iterator[Running]:
        """The least that a check can be."""
        file = str(Path(__file__).with_name("floor.py"))
        arguments = [task.scheme, str(PORTS[task.scheme]), str(task.names / task.interval_s), str(task.names)]
        with self._child("floor", [sys.executable, file, *arguments], self._trust(task)) as child:
            yield Running(child, None)

    @contextlib.contextmanager
    def producer(self, engine: str, task: Task) -> Iterator[Running]:
        """`producer-svc run`, with its targets in PostgreSQL."""
        name = self._name()
        url = self.site.url(task.scheme)
        file = self.installation.set_up(name, task.names, url, task.interval_s, engine)
        service = self.installation.start_producer(self.arguments.producer_svc, file, self._trust(task))
        try:
            service.wait_until_ready()
            yield Running(service.child, self.installation.stored(name, UP))
        finally:
            service.child.stop()

    @contextlib.contextmanager
    def peer(self, peer: peers.Peer, task: Task) -> Iterator[Running]:
        """Another prober, and whoever asks it for checks."""
        name = self._name()
        self.installation.make_topic(name)
        urls = [self.site.url(task.scheme, n) for n in range(1, task.names + 1)]
        kafka, directory = self.installation.kafka.bootstrap_servers, self.installation.directory
        authority = self.site.authorities.get(task.scheme, self.site.authorities["ecdsa"])
        job = peers.Job(urls, task.interval_s, authority, kafka, name, directory)
        assert peer.program is not None
        start = peer.configure(peer.program, job)
        with contextlib.ExitStack() as stack:
            child = stack.enter_context(self._child(peer.name, start.command, start.env | self._trust(task)))
            if start.asker:
                stack.enter_context(self._child("asker", start.asker, {}, OTHERS_CORE))
            yield Running(child, self.installation.stored(name, peer.up) if peer.up else None)

    @contextlib.contextmanager
    def _child(self, name: str, command: list[str], env: dict[str, str], core: int = PROBER_CORE) -> Iterator[Child]:
        child = Child(name, on_core(core, command), self.installation.directory / f"{self._name()}.log", env)
        try:
            yield child
        finally:
            child.stop(10)

    def _trust(self, task: Task) -> dict[str, str]:
        authority = self.site.authorities.get(task.scheme)
        return {"SSL_CERT_FILE": str(authority)} if authority else {}

    def _name(self) -> str:
        self._runs += 1
        return f"run_{self._runs}"

    def measure(self, subject: str, task: Task, seconds: float) -> Measured:
        """One subject at one task, in a process of its own.

        Raises:
            StopError: it ended before its time, or the website was asked for nothing.
        """
        with self.subjects()[subject](task) as running:
            child = running.child
            seen = window(child.pid, self.site.answered, running.stored, self.arguments.warm_up, seconds)
            if child.status is not None or not seen.checks:
                raise StopError(f"{subject}: no checks (status {child.status}): {child.last_lines()}")
            return seen

    def at_full_load(self, subject: str, scheme: str, before: Measured) -> Measured:
        """At the rate that takes the whole core, as far as what was seen before tells."""
        for _ in range(STEPS):
            if before.core >= FULL:
                return before
            names = round(FULL * 1e6 / before.cpu_us)
            before = self.measure(subject, Task(scheme, names), self.arguments.seconds)
        return before


def compare(bench: Bench, scheme: str, rates: list[int]) -> dict[str, Measured]:
    """Print the rows of a scheme: every subject at every rate in turn, then at full load."""
    found: dict[str, Measured] = {}
    last: dict[str, Measured] = {}
    for rate in rates:
        task = Task(scheme, rate)
        last = _in_turn(bench, partial(bench.measure, task=task, seconds=bench.arguments.seconds))
        _show(f"{scheme}, {rate:,}/s", last)
        found |= {f"{scheme} {rate} {subject}": seen for subject, seen in last.items()}
    if not bench.arguments.no_full_load:
        full = _in_turn(bench, lambda subject: bench.at_full_load(subject, scheme, last[subject]), list(last))
        _show(f"{scheme}, full load", full)
        found |= {f"{scheme} full {subject}": seen for subject, seen in full.items()}
    return found


def _in_turn(
    bench: Bench, measure: Callable[[str], Measured], subjects: list[str] | None = None
) -> dict[str, Measured]:
    """The middle of the rounds of each subject; one that cannot do it is said and left out."""
    rounds: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(bench.arguments.rounds):
        for subject in subjects or bench.subjects():
            try:
                seen = measure(subject)
                rounds[subject].append(seen)
            except StopError as error:
                print(f"{subject}: {error}", flush=True)
    return {subject: middle(all_seen) for subject, all_seen in rounds.items()}


def _show(title: str, found: dict[str, Measured]) -> None:
    print(f"\n{title}\n{HEADING}", *table(found), sep="\n", flush=True)


def idle(bench: Bench) -> dict[str, Measured]:
    """1,000 targets once a minute: the share of a core."""
    task = Task("http", IDLE_TARGETS, IDLE_INTERVAL_S)
    found = _in_turn(bench, lambda subject: bench.measure(subject, task, IDLE_INTERVAL_S))
    _show(f"idle: {IDLE_TARGETS:,} targets once in {IDLE_INTERVAL_S} s", found)
    return {f"idle {subject}": seen for subject, seen in found.items()}


def errors(bench: Bench, engine: str, rate: int) -> dict[str, float]:
    """How far first_byte_s of the results in Kafka is from what the delayed website did, in milliseconds."""
    directory, name = bench.installation.directory, f"errors_{engine}_{rate}"
    stamps = directory / f"{name}.stamps"
    file = bench.installation.set_up(name, rate, bench.site.url("delayed"), 1, engine)
    site = [sys.executable, str(Path(__file__).with_name("delayed_site.py")), WEBSITE, str(DELAYED_PORT)]
    delayed = Child("delayed", in_its_namespace([*site, str(DELAY_S), str(stamps)]), directory / f"{name}.site.log")
    try:
        service = bench.installation.start_producer(bench.arguments.producer_svc, file)
        try:
            service.wait_until_ready()
            time.sleep(bench.arguments.warm_up)
            began = dt.datetime.now(dt.UTC)
            time.sleep(bench.arguments.seconds)
        finally:
            service.child.stop()
    finally:
        delayed.stop(10)
    results = [r for r in bench.installation.results(name) if r.started_at and r.started_at >= began]
    return errors_ms(results, parse_stamps(stamps.read_text()))


def parse_stamps(text: str) -> dict[int, list[tuple[float, float]]]:
    """When requests came and were answered, by the number of the target, in order."""
    stamps: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for line in text.splitlines():
        path, came, answered = line.split()
        stamps[int(path.lstrip("/"))].append((float(came), float(answered)))
    return stamps


def errors_ms(results: Iterable[CheckResult], stamps: Mapping[int, list[tuple[float, float]]]) -> dict[str, float]:
    """The distances of measured times from true ones; a result's request is the one that came while it was checked."""
    found, lost = [], 0
    for result in results:
        assert result.started_at is not None
        began = result.started_at.timestamp()
        true = [answered - came for came, answered in stamps.get(result.target_id, []) if 0 <= came - began < 0.5]
        if result.first_byte_s is None or not true:
            lost += 1
        else:
            found.append(abs(result.first_byte_s - true[0]))
    if not found:
        raise StopError(f"none of {lost} results has a time and a request")
    return quantiles_ms(found) | {"checks": len(found), "without": lost}


def report_errors(bench: Bench) -> dict[str, dict[str, float]]:
    """Print how exact measured times are."""
    found: dict[str, dict[str, float]] = {}
    if not bench.arguments.error_rates:
        return found
    print(f"\n{'error of first_byte_s, ms':<28}{'checks/s':>10}{'p50':>9}{'p99':>9}{'checks':>10}{'without':>9}")
    for engine in bench.arguments.engine:
        for rate in bench.arguments.error_rates:
            try:
                found[f"errors {engine} {rate}"] = seen = errors(bench, engine, rate)
            except StopError as error:
                print(f"producer-svc, {engine}: {error}", flush=True)
                continue
            numbers = f"{seen['p50']:>9.2f}{seen['p99']:>9.2f}{seen['checks']:>10.0f}{seen['without']:>9.0f}"
            print(f"producer-svc, {engine:<14}{rate:>10,}{numbers}", flush=True)
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", nargs="+", default=["native"], help="[default: native]")
    parser.add_argument("--schemes", nargs="*", choices=[*PORTS], default=[*PORTS], help="[default: all]")
    parser.add_argument("--rates", type=int, nargs="+", default=HTTP_RATES, help="Checks a second over HTTP.")
    parser.add_argument("--tls-rates", type=int, nargs="+", default=HTTPS_RATES, help="Checks a second over HTTPS.")
    parser.add_argument("--no-full-load", action="store_true")
    parser.add_argument("--error-rates", type=int, nargs="*", default=[200, 1_000])
    parser.add_argument("--no-idle", action="store_true", help="Leave out 1,000 targets once a minute.")
    parser.add_argument("--rounds", type=int, default=1, help="The middle one counts. [default: 1]")
    parser.add_argument("--warm-up", type=float, default=8.0, help="Seconds before measuring. [default: 8]")
    parser.add_argument("--seconds", type=int, default=15, help="Seconds that are measured. [default: 15]")
    parser.add_argument("--ttl", type=int, default=0, help="Seconds that an address is valid. [default: 0]")
    parser.add_argument("--producer-svc", default=script("producer-svc"), metavar="FILE", help="As in start_lag.py.")
    parser.add_argument("--json", type=Path, default=Path("bench-whole.json"), metavar="FILE")
    return parser.parse_args()


def run(bench: Bench) -> dict[str, dict[str, float | None]]:
    """All parts that are asked for."""
    arguments = bench.arguments
    found: dict[str, Measured] = {}
    for scheme in arguments.schemes:
        found |= compare(bench, scheme, arguments.rates if scheme == "http" else arguments.tls_rates)
    if not arguments.no_idle:
        found |= idle(bench)
    shown: dict[str, dict[str, float | None]] = {
        name: attrs.asdict(seen) | {"cpu_us": seen.cpu_us, "core": seen.core} for name, seen in found.items()
    }
    return shown | {name: dict(errors) for name, errors in report_errors(bench).items()}


def main() -> None:
    arguments = parsed()
    enter()
    os.sched_setaffinity(0, [OTHERS_CORE])
    with (
        tempfile.TemporaryDirectory() as folder,
        website(Path(folder), arguments.ttl) as site,
        installed(Path(folder)) as installation,
    ):
        found = run(Bench(arguments, installation, site))
    if absent := peers.found()[1]:
        print(f"\nnot on PATH, so not measured: {', '.join(absent)}")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
