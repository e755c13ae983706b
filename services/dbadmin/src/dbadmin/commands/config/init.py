"""`dbadmin config init`: a configuration to begin with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from monitoring_core.config import ConfigError, load_config
from monitoring_core.errors import StopError
from monitoring_runtime.groups import examples

_TEMPLATE = """\
# The configuration of all services. What is not here has its default: `dbadmin config show` lists every setting.
# Durations carry their unit (500ms, 10s, 5m, 1h, 1d). A secret is a reference, never a literal:
# {{file: /run/secrets/name}} or {{env: NAME}}.

monitor:
  # How often each website is checked, and how long one check may take, unless its target says otherwise.
  check_interval: 60s
  timeout: 10s
  # The name of the place that the producers check from.
  location: default

kafka:
  bootstrap_servers: {kafka}
  # With certificates, as at Aiven:
  # security_protocol: SSL
  # ca_certificate: {{file: /run/secrets/kafka/ca.pem}}
  # access_certificate: {{file: /run/secrets/kafka/service.cert}}
  # access_key: {{file: /run/secrets/kafka/service.key}}

database:
  host: {host}
  port: {port}
  # `dbadmin setup` makes the database when it is missing, which needs the right CREATEDB.
  database: monitoring
  user: {user}
  # password: {{env: DATABASE_PASSWORD}}
  # ca_certificate: {{file: /run/secrets/database/ca.pem}}
"""


@click.command(
    "init",
    epilog=examples(
        "dbadmin config init",
        "dbadmin config init /etc/monitoring/config.yaml --kafka k1:9092,k2:9092",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="config.yaml")
@click.option("--kafka", metavar="HOST:PORT,...", default="localhost:9092", show_default=True, help="Where Kafka is.")
@click.option("--host", default="localhost", show_default=True, help="Where PostgreSQL is.")
@click.option("--port", type=click.IntRange(1, 65_535), default=5432, show_default=True, help="PostgreSQL's port.")
@click.option("--user", default="postgres", show_default=True, help="Who sets up the database.")
def init_config(file: Path, kafka: str, host: str, port: int, user: str) -> None:
    """Write a configuration to begin with to FILE (config.yaml when it is not given). A file that is there is kept."""
    text = _TEMPLATE.format(kafka=_quoted(kafka), host=_quoted(host), port=port, user=_quoted(user))
    try:
        _write(file, text)
    except FileExistsError:
        raise StopError(f"{file} is there already: name another file, or remove it") from None
    except OSError as error:
        raise StopError(f"{file} cannot be written: {error.strerror}") from None
    try:
        load_config(file, environ={})
    except ConfigError:  # what an option says is wrong
        file.unlink()
        raise
    click.echo(f"{file} written. Set the passwords in it, then: dbadmin check-config --config {file}")


def _write(file: Path, text: str) -> None:
    """As a whole or not at all: what is there is not written again."""
    with file.open("x", encoding="utf-8") as opened:
        try:
            opened.write(text)
            opened.flush()
        except OSError:
            file.unlink()
            raise


def _quoted(text: str) -> str:
    """The text as JSON, which YAML reads as text whatever it holds."""
    return json.dumps(text, ensure_ascii=False)
