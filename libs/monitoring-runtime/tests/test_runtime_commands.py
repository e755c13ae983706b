"""What the command lines share: where the configuration is found, which setting wins, and plain lines for faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from monitoring_core.errors import MonitoringError
from monitoring_runtime.commands import check_config, config_options
from monitoring_runtime.groups import MonitoringGroup

if TYPE_CHECKING:
    from monitoring_core.config import Config

GOOD = "kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n"


@click.group(cls=MonitoringGroup)
def main() -> None:
    """A command line like those of the services."""


@main.command()
@config_options
def port(config: Config) -> None:
    click.echo(config.metrics.port)


@main.command()
def fail() -> None:
    raise MonitoringError("it went wrong")


@main.command()
def crash() -> None:
    raise RuntimeError("two\nlines")


main.add_command(check_config)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD + "metrics: {port: 1}\n")
    return path


def run(*args: str, **environ: str) -> tuple[int, str]:
    done = CliRunner(env={"MONITORING_CONFIG": None, "MONITORING_DEBUG": None, **environ}).invoke(main, args)
    return done.exit_code, done.output


def test_the_option_wins_over_the_variable_that_names_the_file(file: Path, tmp_path: Path) -> None:
    """--config, else MONITORING_CONFIG."""
    other = tmp_path / "other.yaml"
    other.write_text(GOOD + "metrics: {port: 2}\n")
    assert run("port", MONITORING_CONFIG=str(other)) == (0, "2\n")
    assert run("port", "--config", str(file), MONITORING_CONFIG=str(other)) == (0, "1\n")


def test_the_nearest_setting_wins(file: Path) -> None:
    """--set over the environment over the file; of two --set, the later."""
    config = ("port", "--config", str(file))
    assert run(*config, MONITORING__METRICS__PORT="3") == (0, "3\n")
    assert run(*config, "--set", "metrics.port=4", MONITORING__METRICS__PORT="3") == (0, "4\n")
    assert run(*config, "--set", "metrics.port=4", "--set", "metrics.port=5") == (0, "5\n")


def test_check_config_says_what_would_be_used_and_no_secret(file: Path) -> None:
    """A valid configuration ends with status 0 and one line."""
    assert run("check-config", "--config", str(file), MONITORING__DATABASE__PASSWORD="hunter2") == (
        0,
        (
            "The configuration is valid: Kafka k:1, topic website_availability; PostgreSQL h:5432, "
            "database monitoring, schema monitoring.\n"
        ),
    )


def test_check_config_ends_with_2_and_one_line_a_fault(file: Path) -> None:
    """Every fault is reported, each with its place."""
    file.write_text("kafka: {partitions: 0}\nmetrics: {port: x}\n")
    assert run("check-config", "--config", str(file)) == (
        2,
        (
            f"{file} database.host: is required\n{file} database.user: is required\n"
            f"{file}:1 kafka.bootstrap_servers: is required\n"
            f"{file}:1 kafka.partitions: must be from 1 to 10000, got 0\n"
            f"{file}:2 metrics.port: must be a whole number, got 'x'\n"
        ),
    )


@pytest.mark.parametrize(
    ("args", "status"), [(["nothing"], 2), (["port", "--colour"], 2), (["port", "--config", "."], 2), (["--help"], 0)]
)
def test_wrong_usage_ends_with_2(args: list[str], status: int) -> None:
    """The same status as for a wrong configuration: the one who starts the command has to mend it."""
    assert run(*args)[0] == status


def test_an_error_on_purpose_ends_with_1_and_its_text() -> None:
    """No class name, no traceback."""
    assert run("fail") == (1, "it went wrong\n")


def test_an_unexpected_error_ends_with_1_and_one_line() -> None:
    """A person gets one line, which says how to see the traceback."""
    assert run("crash") == (
        1,
        "internal error: RuntimeError: two lines (set MONITORING_DEBUG=1 for the traceback)\n",
    )


def test_an_endless_error_is_cut() -> None:
    """Its line stays short enough for a person to read."""

    @click.command()
    def endless() -> None:
        raise RuntimeError("x" * 501)

    group = MonitoringGroup(commands=[endless])
    done = CliRunner(env={"MONITORING_DEBUG": None}).invoke(group, ["endless"])
    assert done.output == f"internal error: RuntimeError: {'x' * 500} (set MONITORING_DEBUG=1 for the traceback)\n"


def test_sigterm_ends_a_command_that_is_process_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel ignores an unhandled SIGTERM for process 1, as in a container; the exit status is that of a shell."""
    own = os.getpid()

    @click.command()
    def wait() -> None:
        os.kill(own, signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    try:
        assert CliRunner().invoke(MonitoringGroup(commands=[wait]), ["wait"]).exit_code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_traceback_can_be_had() -> None:
    """With MONITORING_DEBUG an unexpected error is raised as it is."""
    done = CliRunner(env={"MONITORING_DEBUG": "1"}).invoke(main, ["crash"])
    assert isinstance(done.exception, RuntimeError)


TALK = (
    "import click\nfrom monitoring_runtime.groups import MonitoringGroup\n"
    "@click.group(cls=MonitoringGroup)\ndef main(): pass\n"
    "@main.command()\ndef talk():\n    while True: click.echo('x' * 1000)\n"
    "main(['talk'])"
)


def test_a_full_disk_is_no_fault_in_the_program() -> None:
    """What cannot be written is said, and why."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", TALK], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, "the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_is_printed_is_utf8_in_every_locale(encoding: str) -> None:
    """An older one cannot hold every sign, which was an internal error; bytes that are no text do not end it either."""
    program = TALK.replace("while True: click.echo('x' * 1000)", r"click.echo('\u2192 \xfc \udcff')")
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "→ ü \\udcff\n".encode(), b"")


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`… | head -1` shows no traceback."""
    process = subprocess.Popen([sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""
    process.stderr.close()
