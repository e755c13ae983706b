"""The memory that checks hold: `hatch run bench:probe-memory`. The method is described in README.md."""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.config.values import Size
from monitoring_core.targets import CheckDefaults, StatusSet, TargetRecord
from monitoring_core.testing.builders import make_target
from monitoring_testkit.websites import RawWebsite
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.targets import Target
    from producer_svc.ports import Engine

HERE = Path(__file__).resolve().parent
HOSTILE = HERE.parents[1] / "services/producer-svc/tests"
ORIGIN = Origin(1, "bench")
IN_FLIGHT = 1_000
DEFAULTS = CheckDefaults(interval_s=60, timeout_s=0.5, expected_status=StatusSet.parse("200-299"))


def memory_bytes() -> int:
    """The resident memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def in_flight(name: EngineName, url: str) -> dict[str, float]:
    """Megabytes that checks in flight add to an engine that has made one check before."""
    engine = build_engine(MonitorConfig(engine=name, max_concurrent_checks=IN_FLIGHT, max_per_host=IN_FLIGHT))
    work(engine, [make_target(url=url)])
    before = memory_bytes()
    for number in range(IN_FLIGHT):
        engine.submit(Check(make_target(id=number, url=url), 0, time.monotonic()), ORIGIN)
    assert not engine.drain_finished(1.0)
    assert engine.running == IN_FLIGHT
    return {"MB": (memory_bytes() - before) / 1e6}


def soak(name: EngineName, table: list[dict[str, Any]], count: int) -> dict[str, float]:
    """Memory and descriptors after a tenth of the checks of hostile websites, and after all of them."""
    limits: dict[str, Any] = {"max_body": Size(10_000), "max_redirects": 3, "max_per_host": IN_FLIGHT}
    config = MonitorConfig(engine=name, max_concurrent_checks=IN_FLIGHT, **limits)
    engine = build_engine(config)
    targets = [TargetRecord.parse(entry | {"id": n}).resolve(DEFAULTS) for n, entry in enumerate(table, 1)]
    work(engine, islice(cycle(targets), count // 10))
    before, opened = memory_bytes(), descriptors()
    work(engine, islice(cycle(targets), count - count // 10))
    return {
        "MB before": before / 1e6,
        "MB after": memory_bytes() / 1e6,
        "descriptors before": opened,
        "descriptors after": descriptors(),
    }


def work(engine: Engine, targets: Iterable[Target]) -> None:
    """Check each target once, as many at once as the engine takes."""
    for slot, target in enumerate(targets):
        while not engine.free:
            engine.drain_finished(1.0)
        engine.submit(Check(target, slot, time.monotonic()), ORIGIN)
    while engine.running:
        engine.drain_finished(1.0)
    engine.drain_finished(0.5)  # connections that close in the background


def serve_hostile_websites() -> None:
    """Print the table of hostile websites as the fields of targets, one website each, and serve them."""
    sys.path.insert(0, str(HOSTILE))
    import test_producer_probe  # type: ignore[import-not-found]  # on the path from now on

    table = []
    for act, fields, _ in test_producer_probe.CASES.values():
        website = RawWebsite()
        website.requests = Forgetful()
        website.answer(act)
        table.append({"url": website.url, **fields})
    print(json.dumps(table), flush=True)
    sys.stdin.read()


class Forgetful(list[bytes]):
    """Keeps nothing."""

    def append(self, _: bytes) -> None:
        """Do nothing."""


def measure(*arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    found: dict[str, float] = json.loads(subprocess.check_output([sys.executable, __file__, "--measure", *arguments]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=100_000, help="of hostile websites, with each engine")
    parser.add_argument("--json", type=Path, default=Path("bench-probe-memory.json"), metavar="FILE")
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "site.pem")
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        site = [sys.executable, str(HERE / "site.py"), str(certificate), "5"]
        with subprocess.Popen(site, stdout=subprocess.PIPE, text=True) as slow:
            assert slow.stdout is not None
            url = f"http://127.0.0.1:{slow.stdout.readline().split()[0]}/"
            try:
                for engine in (EngineName.REQUESTS, EngineName.NATIVE):
                    found[f"{IN_FLIGHT} in flight, {engine}"] = measure("in_flight", engine, url)
            finally:
                slow.kill()
    hostile = [sys.executable, __file__, "--hostile"]
    with subprocess.Popen(hostile, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as websites:
        assert websites.stdout is not None
        table = websites.stdout.readline()
        for engine in (EngineName.REQUESTS, EngineName.NATIVE):
            found[f"{arguments.checks:,} hostile, {engine}"] = measure("soak", engine, table, str(arguments.checks))
    for what, values in found.items():
        print(f"{what:<32}", "  ".join(f"{name}: {value:,.1f}" for name, value in values.items()))
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--hostile"]:
            serve_hostile_websites()
        case ["--measure", "in_flight", engine, url]:
            print(json.dumps(in_flight(EngineName(engine), url)))
        case ["--measure", "soak", engine, table, count]:
            print(json.dumps(soak(EngineName(engine), json.loads(table), int(count))))
        case _:
            main()
