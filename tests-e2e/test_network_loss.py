"""A producer that loses its own network blames no website."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from local_stack.servers import embedded_broker, embedded_postgresql
from local_stack.stack import Stack
from monitoring_testkit.needs import cannot_run
from monitoring_testkit.producer.engines import concrete_engines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.end_to_end

HERE, THERE = "10.87.43.1", "10.87.43.2"
PORT = 8080
FAR = "far"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[str]:
    """A network namespace with websites, at the other end of a cable."""
    if os.geteuid() or not shutil.which("ip"):
        cannot_run("network namespaces need root and the command ip (iproute2)")
    name, near = f"websites{os.getpid()}", f"near{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", FAR, "netns", name)
        ip("addr", "add", f"{HERE}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "addr", "add", f"{THERE}/30", "dev", FAR)
        ip("-n", name, "link", "set", FAR, "up")
        command = ["ip", "netns", "exec", name, sys.executable, "-m", "http.server", "-b", THERE, str(PORT)]
        website = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        try:
            yield name
        finally:
            website.terminate()
            website.wait(60)
            ip("link", "del", near)
    finally:
        ip("netns", "del", name)


@pytest.mark.parametrize("engine", concrete_engines())
def test_a_producer_without_network_blames_no_website(engine: str, namespace: str, tmp_path: Path) -> None:
    """The cable is pulled for a while: every slot of that time is unknown / prober_error, none is down."""
    with embedded_postgresql(tmp_path / "postgres") as postgres, embedded_broker(tmp_path) as broker:
        stack = Stack(tmp_path, postgres, broker, interval_s=2, timeout_s=1.0)
        stack.write_config()
        stack.dbadmin("setup")
        stack.import_targets([{"url": f"http://{THERE}:{PORT}/?{i}"} for i in range(8)])
        try:
            stack.start("consumer-svc")
            settings = (f"monitor.engine={engine}", f"monitor.canaries=['{THERE}:{PORT}']")
            producer = stack.start("producer-svc 1", "--id", "1", *(a for s in settings for a in ("--set", s)))
            producer.wait_until_ready()
            began = time.time()

            def verdicts() -> Counter[tuple[str, str | None]]:
                return Counter((row.status, row.reason) for row in stack.rows(began))

            def until(verdict: tuple[str, str | None], count: int) -> None:
                deadline = time.monotonic() + 120
                while verdicts()[verdict] < count:
                    assert time.monotonic() < deadline, verdicts()
                    time.sleep(0.1)

            until(("up", None), 8)
            ip("-n", namespace, "link", "set", FAR, "down")
            until(("unknown", "prober_error"), 8)
            assert producer.metric("producer_network_down") == 1
            ip("-n", namespace, "link", "set", FAR, "up")
            until(("up", None), verdicts()[("up", None)] + 8)
            assert producer.metric("producer_network_down") == 0
            assert set(verdicts()) == {("up", None), ("unknown", "prober_error")}
        finally:
            stack.stop_all()
