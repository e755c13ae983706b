"""An installation with TLS, client certificates and least privileges, from nothing to rows."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from local_stack.processes import Child, Service, free_port, script
from monitoring_core.config import Config, Role, load_config
from monitoring_testkit import database
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    from monitoring_testkit.servers.secured import Secured

pytestmark = pytest.mark.end_to_end

SECRETS = {"producer-svc": "producer", "consumer-svc": "consumer"}


def dbadmin(secured: Secured, *arguments: str) -> str:
    command = [script("dbadmin"), *arguments, "--config", str(secured.config_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def loaded(secured: Secured) -> Config:
    return load_config(secured.config_file, environ={})


def connect(secured: Secured, role: Role) -> psycopg.Connection[TupleRow]:
    account = loaded(secured).database_as(role)
    assert account
    return database.connect(account)


def test_nobody_gets_in_without_tls_and_a_certificate_or_password(secured: Secured) -> None:
    """The servers that the other tests use are as strict as they are said to be."""
    where = secured.database.postgres
    address = f"host={where.host} port={where.port} dbname=postgres user=monitoring_owner"
    for options, why in (
        (f"password={secured.database.owner_password} sslmode=disable", "no encryption"),
        ("password=wrong sslmode=require", "password authentication failed"),
    ):
        with pytest.raises(psycopg.OperationalError, match=why):
            psycopg.connect(f"{address} {options}")
    secured.write_config()
    text = secured.config_file.read_text()
    for key in ("access_certificate", "access_key"):
        text = text.replace(f"  {key}:\n    file: {getattr(secured.kafka, key)}\n", "")
    bare = secured.directory / "bare.yaml"
    bare.write_text(text)
    done = subprocess.run(
        [script("dbadmin"), "create-topics", "--config", str(bare)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Kafka at {secured.bootstrap_servers}")


def test_one_command_makes_all_and_the_services_run_under_their_accounts(secured: Secured, website: str) -> None:
    """From target to row, each service with the files of its own secrets alone; no password is in any log."""
    secured.write_config(
        {
            "monitor": {
                "check_interval": "1s",
                "timeout": "800ms",
                "outbox_directory": str(secured.directory / "outbox"),
            },
            "consumer": {"session_timeout": "6s"},
        }
    )
    said = dbadmin(secured, "setup")
    for role in Role:
        assert f"role monitoring_{role}: made for the role {role}, its password is set" in said
    assert dbadmin(secured, "setup").count("present") >= 6
    targets = secured.directory / "targets.csv"
    targets.write_text("url,regexp\n" + "".join(f"{website}/{i},OK\n" for i in range(5)))
    dbadmin(secured, "targets", "import", str(targets))
    services = [start(secured, "producer-svc", "--id", "1"), start(secured, "consumer-svc")]
    try:
        services[0].wait_until_ready()
        with connect(secured, Role.ADMINISTRATOR) as owner, connect(secured, Role.READER) as reader:
            count = "SELECT count(*) FROM monitoring.availability_result WHERE status = 'up'"
            until(lambda: owner.execute(count).fetchall() >= [(20,)])
            users = "SELECT usename FROM pg_stat_activity WHERE application_name = ANY(%s) AND usename IS NOT NULL"
            with psycopg.connect(superuser(secured), autocommit=True) as onlooker:
                working = onlooker.execute(users, (list(SECRETS),)).fetchall()
                encrypted = onlooker.execute("SELECT count(*) FROM pg_stat_ssl WHERE NOT ssl AND pid IN "
                                             "(SELECT pid FROM pg_stat_activity WHERE usename IS NOT NULL "
                                             "AND backend_type = 'client backend')").fetchone()  # fmt: skip
            assert sorted(working) == [("monitoring_consumer",), ("monitoring_producer",)]
            assert encrypted == (0,)
            status = reader.execute("SELECT status, count(*) FROM monitoring.website_status GROUP BY 1").fetchall()
            assert status == [("up", 5)]
    finally:
        statuses = [service.child.stop() for service in services]
    assert statuses == [0, 0]
    written = (
        said
        + secured.database.log.read_text()
        + "".join((secured.directory / name / "log").read_text() for name in SECRETS)
    )
    assert "SCRAM-SHA-256$" in written  # the server's log does hold the statements
    passwords = [secured.secret(role).read_text() for role in ("owner", *Role)]
    assert [password for password in passwords if password in written] == []


def superuser(secured: Secured) -> str:
    where = secured.database.postgres
    return psycopg.conninfo.make_conninfo(
        host=where.host,
        port=where.port,
        user=where.user,
        password=secured.database.superuser_password,
        dbname="monitoring",
        sslmode="require",
    )


def start(secured: Secured, name: str, *arguments: str) -> Service:
    """Start a service with the secrets that it needs; the files of all others are missing."""
    folder = secured.directory / name
    folder.mkdir()
    text = secured.config_file.read_text()
    for other in ("owner", *Role):
        if other != SECRETS[name]:
            text = text.replace(str(secured.secret(other)), str(folder / "not-mounted"))
    (folder / "config.yaml").write_text(text)
    port = free_port()
    env = os.environ | {"MONITORING__METRICS__PORT": str(port), "MONITORING__LOGGING__FORMAT": "json"}
    command = [script(name), "run", *arguments, "--config", str(folder / "config.yaml")]
    return Service(Child(name, command, folder / "log", env), port)
