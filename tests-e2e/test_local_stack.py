"""`local-stack up` as somebody uses it: interrupted, repeated over the same data, with websites of their own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local_stack.processes import free_port, script
from monitoring_testkit.chromium import chromium
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.end_to_end


def up(*options: str) -> tuple[int, dict[str, Any]]:
    command = [script("local-stack"), "up", "--interval", "2s", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def processes_of(marker: str) -> list[str]:
    """The command lines and environments of processes that name `marker`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text:
            found.append(text.split(b"\0", 1)[0].decode())
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for the socket of a PostgreSQL below it."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def test_ctrl_c_ends_it_in_order_and_leaves_nothing(folder: Path) -> None:
    """It still compares and says what it found; no process and no file is left."""
    command = [script("local-stack"), "up", "--interval", "2s", "--json"]
    process = subprocess.Popen(
        command, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr
    line = process.stderr.readline()
    assert b"Open http://127.0.0.1:" in line, line + process.stderr.read()
    assert len(processes_of(str(folder))) >= 7
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    result = json.loads(out)
    assert (process.returncode, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert b"Traceback" not in err
    assert processes_of(str(folder)) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("begun", ["postgres/base", "config.yaml", "targets.jsonl", "status-svc.log"])
def test_ctrl_c_while_it_starts_is_one_line_and_leaves_nothing(folder: Path, begun: str) -> None:
    """A terminal sends it to all of the foreground, initdb and dbadmin too: that these fail then is not told."""
    command = [script("local-stack"), "up", "--interval", "2s"]
    process = subprocess.Popen(command, env=narrow(folder), stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: any(folder.glob(f"local-stack-*/{begun}")))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, "stopped before everything ran: there is nothing to compare\n")
    assert processes_of(str(folder)) == []
    assert list(folder.iterdir()) == []


def test_a_folder_in_use_is_left_alone(folder: Path) -> None:
    """A second run over the same data ends at once; the first one is none the worse for it."""
    options = ["--url", "http://127.0.0.1:1/a", "--data", str(folder / "data")]
    first = subprocess.Popen(
        [script("local-stack"), "up", "--interval", "2s", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert first.stderr
    assert b"Open http://127.0.0.1:" in first.stderr.readline()
    config = (folder / "data" / "config.yaml").read_bytes()
    done = subprocess.run(
        [script("local-stack"), "up", *options], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{folder / 'data'} is in use by another local-stack")
    assert (folder / "data" / "config.yaml").read_bytes() == config
    first.send_signal(signal.SIGINT)
    out, _ = first.communicate(timeout=120)
    assert (first.returncode, json.loads(out)["missing"]) == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_what_is_killed_leaves_nothing_either(folder: Path, number: signal.Signals) -> None:
    """As when the terminal closes: the servers, the services and the files go, soon and by themselves."""
    command = [script("local-stack"), "up", "--interval", "2s"]
    process = subprocess.Popen(
        command, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr
    line = process.stderr.readline()
    assert b"Open http://127.0.0.1:" in line, line + process.stderr.read()
    time.sleep(2)
    assert len(processes_of(str(folder))) >= 7
    process.send_signal(number)
    process.communicate(timeout=120)
    until(lambda: processes_of(str(folder)) == [] and list(folder.iterdir()) == [])


def test_postgresql_that_ends_is_said_once(folder: Path) -> None:
    """In the terminal, whose table is read twice a second, as elsewhere."""
    data = folder / "data"
    terminal, other = pty.openpty()
    command = [script("local-stack"), "up", "--url", "http://127.0.0.1:1/", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other, env=os.environ | {"TERM": "xterm"})
    os.close(other)
    said = b""
    with contextlib.suppress(OSError):  # at the end of a terminal
        while part := os.read(terminal, 65_536):
            if b"rows" in part and b"rows" not in said:
                os.kill(int((data / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
            said += part
    os.close(terminal)
    assert process.wait(60) == 1
    assert f"PostgreSQL in {data}/postgres has ended: " in said.decode().splitlines()[-1]
    assert b"pg_ctl" not in said
    assert b"internal error" not in said


def test_kept_data_survives_a_kill(folder: Path) -> None:
    """The processes go, the data stays, and the next run is right and leaves no process either.

    The rights of XDG_RUNTIME_DIR do not matter.
    """
    data = folder / "data"
    command = [script("local-stack"), "up", "--interval", "2s", "--data", str(data)]
    process = subprocess.Popen(
        command, env=os.environ | {"XDG_RUNTIME_DIR": "/usr"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr
    assert b"Open http://127.0.0.1:" in process.stderr.readline()
    time.sleep(3)
    process.kill()
    process.communicate(timeout=120)
    until(lambda: processes_of(str(data)) == [] and list(data.glob("*.pid")) == [])
    status, result = up("--duration", "5s", "--data", str(data))
    assert (status, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert processes_of(str(data)) == []


def test_samples_are_judged_rightly_however_often_they_are_checked() -> None:
    """The timeout goes with the interval, and no sample that is up may take as long."""
    status, result = up("--interval", "1s", "--duration", "5s")
    assert (status, result["misjudged"]) == (0, [])


def test_websites_of_an_earlier_run_are_no_false_alarm(folder: Path) -> None:
    """Between the runs nobody checked them: those slots end as missed, and their rows are counted."""
    options = ["--data", str(folder / "data"), "--url", "http://127.0.0.1:1/a", "--duration", "5s"]
    assert up(*options)[0] == 0
    time.sleep(6)
    status, result = up(*options, "--url", "http://127.0.0.1:1/new")
    assert (status, result["missing"], result["duplicates"]) == (0, 0, 0)
    assert result["due"] >= 7


def test_kept_data_is_taken_up_again(tmp_path: Path) -> None:
    """The samples of the first run, whose ports are gone, are not checked in the second."""
    data = str(tmp_path / "data")
    first = up("--duration", "6s", "--data", data)
    second = up("--duration", "6s", "--data", data)
    for status, result in (first, second):
        assert (status, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert second[1]["targets"] == first[1]["targets"]


def test_websites_of_ones_own(tmp_path: Path) -> None:
    """From a file as for `dbadmin targets import` or `apply`, and from the command line."""
    file = tmp_path / "websites.csv"
    file.write_text("url,regexp\nhttp://127.0.0.1:1/a,x\nhttp://127.0.0.1:1/b,\n")
    declared = tmp_path / "websites.yaml"
    both = "{key: a, url: 'http://127.0.0.1:1/a'}, {key: b, url: 'http://127.0.0.1:1/b'}"
    declared.write_text(f"owner: me\ntargets: [{both}]\n")
    for targets in (file, declared):
        status, result = up("--duration", "5s", "--targets", str(targets), "--url", "http://127.0.0.1:1/c")
        assert (status, result["targets"], result["missing"], result["duplicates"]) == (0, 3, 0, 0)
        assert result["due"] >= 6


def test_the_last_table_has_every_row_that_the_comparison_counts() -> None:
    """It is drawn when all is stored, not when the end came and checks were still under way."""
    command = [script("local-stack"), "up", "--interval", "2s", "--duration", "6s", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    table = done.stderr[done.stderr.rindex(" website ") :].splitlines()[1:]
    assert sum(int(line.split()[-1]) for line in table) >= json.loads(done.stdout)["rows"]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_a_newcomer_sees_a_website_fail_and_recover(folder: Path, browser: Browser) -> None:
    """On the page that is named first, which is never loaded again: the website's state, and then its incident."""
    port = free_port()
    command = [script("local-stack"), "up", "--interval", "1s", "--url", f"http://127.0.0.1:{port}/"]
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=narrow(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stderr
        said = process.stderr.readline().decode()
        address = re.fullmatch(r"Open (http://127\.0\.0\.1:\d+/inner/) in a browser\.\n", said)
        assert address, said + process.stderr.read().decode()
        page = browser.new_page()
        page.goto(address[1])
        state = page.locator("#c1 .state b")
        expect(state).to_have_text("Down", timeout=60_000)
        with website_at(port):
            expect(state).to_have_text("Up", timeout=30_000)
        expect(state).to_have_text("Down", timeout=30_000)
        page.click("#c1 a")
        assert "connection" in page.locator("main").inner_text().lower()
        incidents = browser.new_page()
        until(lambda: len(incident_lines(incidents, address[1])) == 2)
        assert time.monotonic() - began < 300
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 0


def incident_lines(page: Page, root: str) -> list[str]:
    """The incidents of which the page tells."""
    page.goto(f"{root}incidents.html")
    return page.locator("article").all_inner_texts()


@contextlib.contextmanager
def website_at(port: int) -> Iterator[None]:
    """A website that answers at this port as long as the block lasts."""

    class Fine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Fine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_a_newcomer_sees_alerts(folder: Path) -> None:
    """Each webhook is a line that fits a terminal, and the table shows what is open, and of none that is up."""
    command = [script("local-stack"), "up", "--interval", "2s", "--duration", "20s", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=narrow(folder))
    assert done.returncode == 0, done.stderr
    webhooks = [line for line in done.stderr.splitlines() if line.startswith("webhook ")]
    assert any("down" in line for line in webhooks), done.stderr
    assert max(map(len, webhooks)) <= 80
    table = done.stderr[done.stderr.rindex(" website ") :].splitlines()[1:]
    alerts = {line.split("  ")[0].strip(): "firing" in line for line in table}
    assert all(alerts[name] for name in ("not found", "refused", "hangs"))
    assert not any(alerts[name] for name in ("fine", "slow", "expected 404"))


def narrow(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "COLUMNS": "80"}


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--url", "ftp://me:hunter2@x/"], 2, "ftp://x/: url: must begin with http:// or https://, got 'ftp://x/'"),
        (["--interval", "1500ms"], 2, "'--interval': must be whole seconds, 1s or more, got 1500ms"),
        (["--targets", "bad.csv"], 1, "bad.csv:2: url: has no host"),
        (["--targets", "bad.yaml"], 1, "bad.yaml:1 targets[0].url: has no host"),
        (["--data", "bad.csv/x"], 1, "bad.csv/x cannot be used: Not a directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_lines(options: list[str], status: int, said: str, tmp_path: Path) -> None:
    """And nothing is left running."""
    (tmp_path / "bad.csv").write_text("url\nhttp:///x\n")
    (tmp_path / "bad.yaml").write_text("targets: [{key: x, url: 'http:///x'}]\n")
    command = [script("local-stack"), "up", "--duration", "1s", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
