"""`dbadmin config`: a configuration to begin with, and what is in effect."""

from __future__ import annotations

import csv
import io
import json
import resource
from pathlib import Path

import pytest
from click.testing import CliRunner

from dbadmin.cli import main
from monitoring_core.config import load_config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    done = CliRunner(env={"MONITORING_CONFIG": None, **environ}).invoke(main, ["config", *arguments])
    return done.exit_code, done.output


def test_a_new_configuration_is_valid_and_is_never_overwritten() -> None:
    """It says what was asked for, and what to do next."""
    status, said = run("init")
    assert (status, said) == (
        0,
        "config.yaml written. Set the passwords in it, then: dbadmin check-config --config config.yaml\n",
    )
    assert load_config(Path("config.yaml"), environ={}).kafka.bootstrap_servers == "localhost:9092"
    before = Path("config.yaml").read_text()
    assert run("init", "--user", "x") == (1, "config.yaml is there already: name another file, or remove it\n")
    assert Path("config.yaml").read_text() == before
    assert (
        run("init", "a.yaml", "--kafka", "k1:1,k2:2", "--host", "db", "--port", "6543", "--user", "it's: # me")[0] == 0
    )
    config = load_config(Path("a.yaml"), environ={})
    assert config.kafka.bootstrap_servers == "k1:1,k2:2"
    assert (config.database.host, config.database.port, config.database.user) == ("db", 6543, "it's: # me")


def test_of_a_wrong_value_no_file_is_left() -> None:
    """The fault is told as for every configuration."""
    status, said = run("init", "--kafka", "nowhere")
    assert status == 2
    assert "kafka.bootstrap_servers: must be host:port, or several with commas, got 'nowhere'" in said
    assert not Path("config.yaml").exists()
    assert run("init", "no/such/folder.yaml") == (
        1,
        "no/such/folder.yaml cannot be written: No such file or directory\n",
    )


def test_of_a_full_disk_no_file_is_left() -> None:
    """An empty one would be in the way of the next try."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        assert run("init") == (1, "config.yaml cannot be written: File too large\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not Path("config.yaml").exists()
    assert run("init")[0] == 0


TEXT = """\
kafka: {bootstrap_servers: "k:1"}
database:
  host: h
  user: owner
  password: {env: OWNER}
roles:
  administrator_user: chief
  administrator_password: {file: chief.txt}
  producer_user: worker
  producer_password: {env: WORKER}
"""


@pytest.fixture
def file(folder: Path) -> str:
    (folder / "chief.txt").write_text("hunter2\n")
    (folder / "config.yaml").write_text(TEXT)
    return "config.yaml"


def settings(file: str, *arguments: str, **environ: str) -> dict[str, tuple[str, str]]:
    status, said = run("show", "--config", file, "-o", "csv", *arguments, **environ)
    assert status == 0, said
    return {row["setting"]: (row["value"], row["origin"]) for row in csv.DictReader(io.StringIO(said))}


def test_every_setting_is_shown_with_its_source(file: str) -> None:
    """Files, variables, options, accounts and defaults; secrets only by their source."""
    environ = {"MONITORING__METRICS__PORT": "1", "OWNER": "hunter3", "WORKER": "hunter4"}
    found = settings(file, "--set", "monitor.timeout=5s", **environ)
    assert found["database.host"] == ("h", "config.yaml:3")
    assert found["metrics.port"] == ("1", "env MONITORING__METRICS__PORT")
    assert found["monitor.timeout"] == ("5s", "--set monitor.timeout")
    assert found["database.retention"] == ("90d", "default")
    assert found["monitor.max_body"] == ("1MiB", "default")
    assert found["monitor.http_versions"] == ("[1.1, 2]", "default")
    assert found["kafka.replication_factor"] == ("", "default")
    assert found["database.user"] == ("chief", "config.yaml:7 roles.administrator_user")
    assert found["database.password"] == (
        "(secret from file chief.txt)",
        "config.yaml:8 roles.administrator_password",
    )
    assert found["roles.producer_password"] == ("(secret, not looked up)", "config.yaml:10")
    assert settings(file, "--role", "producer", **environ)["database.password"][0] == "(secret from env WORKER)"
    assert len(found) > 60


def test_no_secret_is_shown_in_any_form(file: str) -> None:
    """Neither from a file nor from the environment."""
    for form in ("table", "json", "yaml", "csv"):
        _, said = run(
            "show",
            "--config",
            file,
            "-o",
            form,
            MONITORING__KAFKA__SASL_PASSWORD="hunter5",
            MONITORING__KAFKA__SASL_USERNAME="hunter6",
            MONITORING__KAFKA__SECURITY_PROTOCOL="SASL_SSL",
        )
        assert "kafka.sasl_password" in said
        assert "hunter" not in said


def test_some_settings_alone(file: str) -> None:
    """By section, by name, or those that somebody has set."""
    assert settings(file, "metrics", "kafka.topic_name").keys() == {
        "kafka.topic_name",
        "metrics.enabled",
        "metrics.host",
        "metrics.port",
    }
    assert settings(file, "--changed", "kafka").keys() == {"kafka.bootstrap_servers"}
    status, said = run("show", "--config", file, "kafak")
    assert (status, "there is no setting and no section kafak" in said) == (2, True)


def test_what_is_not_valid_is_told_as_by_check_config(file: str) -> None:
    """With status 2."""
    assert run("show", "--config", file, "--set", "metrics.port=x") == (
        2,
        "--set metrics.port: must be a whole number, got 'x'\n",
    )


def test_a_table_is_for_people(file: str) -> None:
    """A line for each setting."""
    _, said = run("show", "--config", file, "metrics")
    assert [line.split() for line in said.splitlines()] == [
        ["setting", "value", "origin"],
        ["metrics.enabled", "true", "default"],
        ["metrics.host", "0.0.0.0", "default"],
        ["metrics.port", "9464", "default"],
    ]
    assert json.loads(run("show", "--config", file, "metrics.port", "-o", "json")[1]) == [
        {"setting": "metrics.port", "value": "9464", "origin": "default"}
    ]
