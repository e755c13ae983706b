"""What a check costs in an engine alone: the first part of `hatch run bench:probe`. See README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
import urllib3

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.result import Status
from monitoring_core.testing.builders import make_target
from probe_transport import Transport
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORIGIN = Origin(1, "bench")
AT_ONCE = 50
PATTERN = "is well[.] </body>"


@contextlib.contextmanager
def website(directory: Path) -> Iterator[tuple[str, str]]:
    """The HTTP and the HTTPS URL of a website that lives as long as the block."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("site.py")), str(directory / "site.pem")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    plain, secure = process.stdout.readline().split()
    try:
        yield f"http://127.0.0.1:{plain}/", f"https://127.0.0.1:{secure}/"
    finally:
        process.terminate()
        process.wait(10)


def bare_transport(url: str, authorities: str) -> Callable[[int], None]:
    """The floor of the native engine: the transport, and nothing done with what it brings but search the regexp."""
    pattern = re.compile(PATTERN.encode())
    transport = Transport(Path(authorities).read_bytes(), [], False, AT_ONCE)

    def run(count: int) -> None:
        begun = done = 0
        while done < count:
            while begun < min(done + AT_ONCE, count):
                transport.submit(begun, None, 10.0, "GET", url, b"", None, ((200, 200),), 1 << 20, True, True)
                begun += 1
            for answer in transport.drain(1.0, 1):
                assert answer.status == 200, answer.detail
                assert pattern.search(answer.body)
                done += 1

    return run


def bare_urllib3(url: str, authorities: str) -> Callable[[int], None]:
    """The floor of the requests engine: urllib3 in threads, with one TLS context for all."""
    pattern = re.compile(PATTERN.encode())
    context = ssl.create_default_context(cafile=authorities)
    threads = ThreadPoolExecutor(AT_ONCE)

    def check(_: int) -> None:
        with urllib3.PoolManager(ssl_context=context, num_pools=1) as pool:
            answer = pool.request("GET", url, headers={"Connection": "close"}, retries=False, timeout=10)
            assert answer.status == 200
            assert pattern.search(answer.data)

    return lambda count: list(threads.map(check, range(count))).clear()


def on_engine(name: EngineName, url: str, authorities: str) -> Callable[[int], None]:
    """A check's whole path in an engine: submit to finished, judged result."""
    os.environ["SSL_CERT_FILE"] = authorities
    engine = build_engine(MonitorConfig(engine=name, max_concurrent_checks=AT_ONCE, max_per_host=AT_ONCE))
    target = make_target(url=url, regexps=(PATTERN,))

    def run(count: int) -> None:
        begun = done = 0
        while done < count:
            while engine.free and begun < count:
                engine.submit(Check(target, begun, time.monotonic()), ORIGIN)
                begun += 1
            for result in engine.drain_finished(1.0):
                assert result.status is Status.UP, result
                done += 1

    return run


SUBJECTS: dict[str, Callable[[str, str], Callable[[int], None]]] = {
    "bare transport": bare_transport,
    "native engine": partial(on_engine, EngineName.NATIVE),
    "bare urllib3": bare_urllib3,
    "requests engine": partial(on_engine, EngineName.REQUESTS),
}
FLOORS = {"native engine": "bare transport", "requests engine": "bare urllib3"}


def measure(subject: str, url: str, count: int, authorities: str) -> tuple[float, float]:
    """CPU microseconds per check and checks per second, in a process of its own, after a warm-up."""
    command = [sys.executable, __file__, "--subject", subject, url, str(count), authorities]
    cpu_us, rate = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(cpu_us), float(rate)


def run_subject(subject: str, url: str, count: int, authorities: str) -> None:
    run = SUBJECTS[subject](url, authorities)
    run(4 * AT_ONCE)
    cpu, wall = time.process_time(), time.monotonic()
    run(count)
    print((time.process_time() - cpu) / count * 1e6, count / (time.monotonic() - wall))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checks", type=int, default=3_000, help="checks a row and round over HTTP; a third over HTTPS"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("bench-probe.json"), metavar="FILE")
    arguments = parser.parse_args()
    found: dict[str, str | dict[str, float | None]] = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    }
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(directory / "site.pem"))
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        authorities = str(directory / "ca.pem")
        with website(directory) as urls:
            for scheme, url, count in zip(
                ("HTTP", "HTTPS"), urls, (arguments.checks, arguments.checks // 3), strict=True
            ):
                rounds: dict[str, list[tuple[float, float]]] = {subject: [] for subject in SUBJECTS}
                for _ in range(arguments.rounds):
                    for subject, seen in rounds.items():
                        seen.append(measure(subject, url, count, authorities))
                costs = {s: statistics.median(cost for cost, _ in seen) for s, seen in rounds.items()}
                print(f"\n{scheme:<18}{'CPU us/check':>14}{'checks/s':>10}{'x floor':>9}")
                for subject, seen in rounds.items():
                    rate = statistics.median(rate for _, rate in seen)
                    ratio = costs[subject] / costs[FLOORS[subject]] if subject in FLOORS else None
                    found[f"{scheme} {subject}"] = {
                        "cpu_us": costs[subject],
                        "per_s": rate,
                        "ratio": ratio,
                    }
                    shown = f"{ratio:>9.2f}" if ratio else ""
                    print(f"{subject:<18}{costs[subject]:>14.0f}{rate:>10.0f}{shown}")
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--subject"]:
        run_subject(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        main()
