"""What a check costs, and how exact its times are: `hatch run bench:probe`. The method is described in README.md."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import io
import json
import os
import platform
import re
import shutil
import socket
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

import pycurl
import trustme
import urllib3

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.result import Status
from monitoring_core.testing.builders import make_target
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_core.result import CheckResult

ORIGIN = Origin(1, "bench")
AT_ONCE = 50
PATTERN = "is well[.] </body>"
DELAY_S = 0.05
RATE = 200


@contextlib.contextmanager
def website(directory: Path, delay_s: float) -> Iterator[tuple[str, str]]:
    """The HTTP and the HTTPS URL of a website that lives as long as the block."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("site.py")), str(directory / "site.pem"), str(delay_s)],
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


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, to 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare_curl(url: str, authorities: str) -> Callable[[int], None]:
    """The floor of the curl engine: a CurlMulti loop that does nothing with what it gets but search the regexp."""
    pattern = re.compile(PATTERN.encode())
    multi = pycurl.CurlMulti()
    idle = []
    for _ in range(AT_ONCE):
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.URL, url),
            (pycurl.CAINFO, authorities),
            (pycurl.NOSIGNAL, 1),
            (pycurl.FRESH_CONNECT, 1),
            (pycurl.FORBID_REUSE, 1),
            (pycurl.SSL_SESSIONID_CACHE, 0),
            (pycurl.TIMEOUT_MS, 10_000),
        ):
            curl.setopt(option, value)
        curl.unsetopt(pycurl.CAPATH)
        idle.append(curl)

    def run(count: int) -> None:
        begun = done = 0
        while done < count:
            while idle and begun < count:
                curl = idle.pop()
                curl.page = io.BytesIO()
                curl.setopt(pycurl.WRITEDATA, curl.page)
                multi.add_handle(curl)
                begun += 1
            _, running = multi.perform()
            _, finished, failed = multi.info_read()
            assert not failed, failed
            for curl in finished:
                assert curl.getinfo(pycurl.RESPONSE_CODE) == 200
                assert pattern.search(curl.page.getvalue())
                multi.remove_handle(curl)
                idle.append(curl)
                done += 1
            if running and not finished:
                multi.select(1.0)

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
    engine = build_engine(MonitorConfig(engine=name, max_concurrent_checks=AT_ONCE))
    target = make_target(url=url, regexp=PATTERN)

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


def blackbox_exporter(url: str, authorities: str) -> Callable[[int], None]:
    """A peer, when it is on PATH: only its own process counts, not the threads that ask it for probes."""
    http = {
        "preferred_ip_protocol": "ip4",
        "fail_if_body_not_matches_regexp": [PATTERN],
        "tls_config": {"ca_file": authorities},
    }
    modules = {"check": {"prober": "http", "timeout": "10s", "http": http}}
    config = Path(authorities).with_name("blackbox.yml")
    config.write_text(json.dumps({"modules": modules}))
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    assert BLACKBOX is not None
    process = subprocess.Popen(
        [BLACKBOX, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    )
    atexit.register(process.wait)
    atexit.register(process.kill)
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=AT_ONCE)
    pool.request("GET", "/-/healthy", retries=urllib3.Retry(50, backoff_factor=0.1, backoff_max=0.2))
    threads = ThreadPoolExecutor(AT_ONCE)

    def check(_: int) -> None:
        answer = pool.request("GET", "/probe", fields={"target": url, "module": "check"}, timeout=20)
        assert b"probe_success 1" in answer.data, answer.data

    def run(count: int) -> None:
        list(threads.map(check, range(count)))

    run.pid = process.pid  # type: ignore[attr-defined]  # whose processor time counts
    return run


BLACKBOX = shutil.which("blackbox_exporter") or shutil.which("prometheus-blackbox-exporter")
SUBJECTS: dict[str, Callable[[str, str], Callable[[int], None]]] = {
    "bare CurlMulti": bare_curl,
    "curl engine": partial(on_engine, EngineName.CURL),
    "bare urllib3": bare_urllib3,
    "requests engine": partial(on_engine, EngineName.REQUESTS),
}
if BLACKBOX:
    SUBJECTS["blackbox_exporter"] = blackbox_exporter
FLOORS = {"curl engine": "bare CurlMulti", "requests engine": "bare urllib3"}


def measure(subject: str, url: str, count: int, authorities: str) -> tuple[float, float]:
    """CPU microseconds per check and checks per second, in a process of its own, after a warm-up."""
    command = [sys.executable, __file__, "--subject", subject, url, str(count), authorities]
    cpu_us, rate = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(cpu_us), float(rate)


def run_subject(subject: str, url: str, count: int, authorities: str) -> None:
    run = SUBJECTS[subject](url, authorities)
    run(4 * AT_ONCE)
    pid = getattr(run, "pid", os.getpid())
    cpu, wall = cpu_s(pid), time.monotonic()
    run(count)
    print((cpu_s(pid) - cpu) / count * 1e6, count / (time.monotonic() - wall))


def errors_ms(name: EngineName, url: str, seconds: float) -> dict[str, float]:
    """How far measured times are from the truth, milliseconds: the site answers after exactly DELAY_S."""
    engine = build_engine(MonitorConfig(engine=name, max_concurrent_checks=200))
    target = make_target(url=url, regexp=PATTERN)
    results: list[CheckResult] = []
    began, begun, count = time.monotonic(), 0, int(RATE * seconds)
    while len(results) < count:
        while begun < count and (due := began + begun / RATE) <= time.monotonic() and engine.free:
            engine.submit(Check(target, begun, due), ORIGIN)
            begun += 1
        next_s = began + begun / RATE - time.monotonic() if begun < count else 0.1
        results += engine.drain_finished(max(0.0, min(next_s, 0.1)))
    assert {result.status for result in results} == {Status.UP}
    found: dict[str, float] = {}
    for what, times in (
        ("response time", [result.response_time_s for result in results]),
        ("first byte", [result.first_byte_s for result in results]),
    ):
        errors = sorted(abs(seconds - DELAY_S) * 1000 for seconds in times if seconds is not None)
        found |= {f"{what} p50": errors[len(errors) // 2], f"{what} p99": errors[int(0.99 * len(errors))]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checks", type=int, default=3_000, help="checks a row and round over HTTP; a third over HTTPS"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("bench-probe.json"), metavar="FILE")
    arguments = parser.parse_args()
    found: dict[str, str | dict[str, float] | dict[str, float | None]] = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    }
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(directory / "site.pem"))
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        authorities = str(directory / "ca.pem")
        with website(directory, 0.0) as urls:
            for scheme, url, count in zip(
                ("HTTP", "HTTPS"), urls, (arguments.checks, arguments.checks // 3), strict=True
            ):
                rounds: dict[str, list[tuple[float, float]]] = {subject: [] for subject in SUBJECTS}
                for _ in range(arguments.rounds):
                    for subject, seen in rounds.items():
                        seen.append(measure(subject, url, count, authorities))
                costs = {s: statistics.median(cost for cost, _ in seen) for s, seen in rounds.items()}
                peer = costs.get("blackbox_exporter")
                print(f"\n{scheme:<18}{'CPU us/check':>14}{'checks/s':>10}{'x floor':>9}{'x blackbox':>12}")
                for subject, seen in rounds.items():
                    rate = statistics.median(rate for _, rate in seen)
                    ratio = costs[subject] / costs[FLOORS[subject]] if subject in FLOORS else None
                    to_peer = costs[subject] / peer if peer else None
                    found[f"{scheme} {subject}"] = {
                        "cpu_us": costs[subject],
                        "per_s": rate,
                        "ratio": ratio,
                        "to_blackbox_exporter": to_peer,
                    }
                    shown = "".join(f"{x:>{w}.2f}" if x else " " * w for x, w in ((ratio, 9), (to_peer, 12)))
                    print(f"{subject:<18}{costs[subject]:>14.0f}{rate:>10.0f}{shown}")
        with website(directory, DELAY_S) as (url, _):
            print(f"\n{f'errors at {RATE}/s, ms':<18}{'resp. p50':>11}{'p99':>8}{'1st byte p50':>14}{'p99':>8}")
            for engine in EngineName:
                errors = errors_ms(engine, url, 5.0)
                found[f"errors_ms {engine}"] = errors
                print("{:<18}{:>11.1f}{:>8.1f}{:>14.1f}{:>8.1f}".format(f"{engine} engine", *errors.values()))
    arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--subject"]:
        run_subject(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        main()
