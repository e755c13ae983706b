"""Every command against every bad configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psycopg
import pytest
from click.testing import CliRunner

import consumer_svc.cli
import dbadmin.cli
import producer_svc.cli
import status_svc.cli

if TYPE_CHECKING:
    import click

BAD = Path(__file__).parents[1] / "libs" / "monitoring-core" / "tests" / "bad_configs"
COMMANDS: list[tuple[click.Command, str]] = [
    (producer_svc.cli.main, "run --id 1"),
    (producer_svc.cli.main, "check-config"),
    (consumer_svc.cli.main, "run"),
    (consumer_svc.cli.main, "check-config"),
    (consumer_svc.cli.main, "dead-letters discard"),
    (consumer_svc.cli.main, "dead-letters list"),
    (consumer_svc.cli.main, "dead-letters replay"),
    (status_svc.cli.main, "run"),
    (status_svc.cli.main, "check-config"),
    (dbadmin.cli.main, "setup"),
    (dbadmin.cli.main, "create-schema"),
    (dbadmin.cli.main, "create-roles"),
    (dbadmin.cli.main, "downgrade-schema 0001 --yes"),
    (dbadmin.cli.main, "create-topics"),
    (dbadmin.cli.main, "producer-count"),
    (dbadmin.cli.main, "targets list"),
    (dbadmin.cli.main, "targets export"),
    (dbadmin.cli.main, "targets import config.yaml"),
    (dbadmin.cli.main, "targets add http://a/"),
    (dbadmin.cli.main, "targets activate 1"),
    (dbadmin.cli.main, "targets deactivate 1"),
    (dbadmin.cli.main, "targets test http://a/"),
    (dbadmin.cli.main, "targets history 1"),
    (dbadmin.cli.main, "targets plan -f targets.yaml"),
    (dbadmin.cli.main, "targets apply -f targets.yaml --yes"),
    (dbadmin.cli.main, "report --month 2026-10"),
    (dbadmin.cli.main, "tokens list"),
    (dbadmin.cli.main, "tokens writes"),
    (dbadmin.cli.main, "logins end ada"),
    (dbadmin.cli.main, "locations list"),
    (dbadmin.cli.main, "locations forget here"),
    (dbadmin.cli.main, "plan"),
    (dbadmin.cli.main, "maintain"),
    (dbadmin.cli.main, "doctor"),
    (dbadmin.cli.main, "check-config"),
]


def refuse(*_args: object, **_kwargs: object) -> NoReturn:
    raise AssertionError("connected with a configuration that is wrong")


@pytest.mark.parametrize("case", sorted(BAD.glob("*.yaml")), ids=lambda case: case.stem)
def test_a_bad_configuration_stops_every_command_with_status_2(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is connected, and with the same exact message."""
    monkeypatch.chdir(tmp_path)
    for place in ("monitoring_runtime.kafka_source.Consumer", "producer_svc.adapters.kafka.Producer"):
        monkeypatch.setattr(place, refuse)
    for place in ("dbadmin.install.topics.AdminClient", "dbadmin.doctor.kafka.AdminClient", "socket.create_connection"):
        monkeypatch.setattr(place, refuse)
    monkeypatch.setattr(psycopg, "connect", refuse)
    (tmp_path / "secret.pem").write_text("-----BEGIN X-----\n")
    (tmp_path / "secret.txt").write_text("hunter2\n")
    (tmp_path / "config.yaml").write_bytes(case.read_bytes())
    expected = case.with_suffix(".expected").read_text()
    for command, arguments in COMMANDS:
        done = CliRunner(env={"MONITORING_CONFIG": None}).invoke(
            command, [*arguments.split(), "--config", "config.yaml"]
        )
        assert (done.exit_code, done.stdout, done.stderr) == (2, "", expected), arguments
