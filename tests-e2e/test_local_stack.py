"""`local-stack up` as somebody uses it: interrupted, repeated over the same data, with websites of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_stack.processes import script

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
    assert b"psql" in line, line + process.stderr.read()
    assert len(processes_of(str(folder))) >= 5
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    result = json.loads(out)
    assert (process.returncode, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert b"Traceback" not in err
    assert processes_of(str(folder)) == []
    assert list(folder.iterdir()) == []


def test_kept_data_is_taken_up_again(tmp_path: Path) -> None:
    """The samples of the first run, whose ports are gone, are not checked in the second."""
    data = str(tmp_path / "data")
    first = up("--duration", "6s", "--data", data)
    second = up("--duration", "6s", "--data", data)
    for status, result in (first, second):
        assert (status, result["missing"], result["duplicates"], result["misjudged"]) == (0, 0, 0, [])
    assert second[1]["targets"] == first[1]["targets"]


def test_websites_of_ones_own(tmp_path: Path) -> None:
    """From a file as for `dbadmin targets import`, and from the command line."""
    file = tmp_path / "websites.csv"
    file.write_text("url,regexp\nhttp://127.0.0.1:1/a,x\nhttp://127.0.0.1:1/b,\n")
    status, result = up("--duration", "5s", "--targets", str(file), "--url", "http://127.0.0.1:1/c")
    assert (status, result["targets"], result["missing"], result["duplicates"]) == (0, 3, 0, 0)
    assert result["due"] >= 6


def test_the_last_table_has_every_row_that_the_comparison_counts() -> None:
    """It is drawn when all is stored, not when the end came and checks were still under way."""
    command = [script("local-stack"), "up", "--interval", "2s", "--duration", "6s", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    table = done.stderr[done.stderr.index(" website ") :].splitlines()[1:]
    assert sum(int(line.split()[-1]) for line in table) >= json.loads(done.stdout)["rows"]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--url", "ftp://me:hunter2@x/"], 2, "ftp://x/: url: must begin with http:// or https://, got 'ftp://x/'"),
        (["--interval", "1500ms"], 2, "--interval: must be whole seconds, 1s or more"),
        (["--targets", "bad.csv"], 1, "bad.csv:2: url: has no host"),
        (["--data", "bad.csv/x"], 1, "bad.csv/x cannot be used: Not a directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_plain_lines(options: list[str], status: int, said: str, tmp_path: Path) -> None:
    """And nothing is left running."""
    (tmp_path / "bad.csv").write_text("url\nhttp:///x\n")
    command = [script("local-stack"), "up", "--duration", "1s", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
