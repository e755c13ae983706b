"""The command line of the producer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from producer_svc.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def test_a_wrong_configuration_ends_with_status_2_and_says_where(tmp_path: Path) -> None:
    """Nothing is connected before the whole configuration is right."""
    config = tmp_path / "config.yaml"
    config.write_text("monitor: {timeout: 90s}\nkafka: {bootstrap_servers: 'k:9092'}\ndatabase: {host: d, user: u}\n")
    run = CliRunner().invoke(main, ["run", "--id", "1", "--config", str(config)])
    assert run.exit_code == 2
    assert run.output == f"{config}:1 monitor.timeout: must be shorter than check_interval (60 s), got 90 s\n"


@pytest.mark.parametrize("text", ["0", "-1", "2147483648", "9" * 5_000, "first", "\u0661", ""])
def test_ids_are_one_based_or_auto(text: str) -> None:
    """Anything else is refused with a plain line."""
    run = CliRunner().invoke(main, ["run", f"--id={text}"])
    assert run.exit_code == 2
    assert f"{text[:20]!r} is neither auto nor a whole number from 1 to 2147483647" in run.output


def test_check_config_says_what_it_found(tmp_path: Path) -> None:
    """A valid configuration ends with status 0 and names the servers."""
    config = tmp_path / "config.yaml"
    config.write_text("kafka: {bootstrap_servers: 'k:9092'}\ndatabase: {host: d, user: u}\n")
    run = CliRunner().invoke(main, ["check-config", "--config", str(config)])
    assert (run.exit_code, "k:9092" in run.output, "d:5432" in run.output) == (0, True, True)
