"""The servers that services are deployed against: Apache Kafka and PostgreSQL that accept TLS alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import trustme
from psycopg import sql

from local_stack.comparison import Comparison, Row, Window, compare
from local_stack.processes import free_port
from monitoring_core.clock import to_ms
from monitoring_core.tables import RESULT_TABLE
from monitoring_testkit.servers.apache_kafka import ApacheKafka
from monitoring_testkit.servers.certificates import pem_pair
from monitoring_testkit.servers.postgresql import binaries
from monitoring_testkit.servers.tls_postgresql import OWNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.rows import TupleRow


class Authority:
    """Signs the servers' certificates and the clients'."""

    def __init__(self, host: str) -> None:
        self._authority = trustme.CA()
        self.server = self._authority.issue_cert(host, "127.0.0.1", "localhost")

    @property
    def certificate(self) -> str:
        """Its own certificate, PEM."""
        return self._authority.cert_pem.bytes().decode()

    def client(self, name: str) -> tuple[str, str]:
        """A client's certificate and key, PEM, as a provider issues them."""
        return pem_pair(self._authority.issue_cert(f"{name}.monitoring.example", common_name=name))

    def server_pem(self) -> tuple[str, str]:
        """The servers' certificate and key, PEM."""
        return pem_pair(self.server)


class SecureKafka(ApacheKafka):
    """An Apache Kafka that asks pods and containers for a client certificate; a test reaches it without TLS."""

    def __init__(self, directory: Path, host: str, authority: Authority) -> None:
        super().__init__(directory)
        self.secure_servers = f"{host}:{free_port()}"
        port = self.secure_servers.rpartition(":")[2]
        certificate, key = authority.server_pem()
        properties = directory / "server.properties"
        known = dict(line.split("=", 1) for line in properties.read_text().splitlines())
        more = {
            "listeners": f"{known['listeners']},SSL://0.0.0.0:{port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers},SSL://{self.secure_servers}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
            "ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": certificate,
            "ssl.keystore.key": key,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": authority.certificate,
        }
        lines = [f"{name}={value.replace(chr(10), chr(92) + 'n')}" for name, value in (known | more).items()]
        properties.write_text("\n".join(lines) + "\n")
        properties.chmod(0o600)


class SecurePostgres:
    """A PostgreSQL that accepts only connections with TLS and a password."""

    def __init__(self, host: str, authority: Authority) -> None:
        self.host, self.port, self.password = host, free_port(), 'it\'s a "secret"'
        self.role_passwords = {name: f"{name}'s" for name in ("producer", "consumer", "alert", "status")}
        self._authority = authority
        # Not below pytest's folders, which other users may not enter.
        self._directory = Path(tempfile.mkdtemp(prefix="secure-postgresql-"))
        self._data = self._directory / "data"
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._own(self._directory)

    def start(self) -> None:
        """Make its data and start it."""
        password = self._write("password", self.password)
        options = ["--username", OWNER, "--pwfile", str(password), "--auth", "scram-sha-256", "--no-sync"]
        self._run("initdb", "--pgdata", str(self._data), *options)
        certificate, key = self._authority.server_pem()
        self._write("data/server.crt", certificate)
        self._write("data/server.key", key)
        self._write("data/pg_hba.conf", "hostssl all all all scram-sha-256\n")
        settings = f"-c listen_addresses='*' -c port={self.port} -c ssl=on -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._directory / "log"), "-o", settings, "start")

    def stop(self) -> None:
        """Stop it and remove its data."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "fast", "stop")
        shutil.rmtree(self._directory)

    def connect(self, database: str = "monitoring") -> psycopg.Connection[TupleRow]:
        """A connection of the owner, each statement a transaction of its own."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=OWNER,
            password=self.password,
            dbname=database,
            sslmode="require",
            autocommit=True,
        )

    def change_password(self, password: str) -> None:
        """Give the owner another password."""
        with self.connect() as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(OWNER), sql.Literal(password))
            connection.execute(statement)
        self.password = password

    def add_targets(self, urls: Sequence[str]) -> list[int]:
        """Add targets; their IDs."""
        with self.connect() as connection:
            statement = "INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES (%s) RETURNING amc_id"
            return [int(connection.execute(statement, (url,)).fetchall()[0][0]) for url in urls]

    def retire(self, targets: Sequence[int]) -> None:
        """Check these targets no more."""
        with self.connect() as connection:
            connection.execute(
                "UPDATE monitoring.availability_monitor_config SET amc_active = false WHERE amc_id = ANY(%s)",
                (list(targets),),
            )

    def rows(self) -> list[Row]:
        """All results."""
        with self.connect() as connection:
            found = connection.execute(f"SELECT target_id, scheduled_at, status, reason FROM monitoring.{RESULT_TABLE}")
            return [Row(*row) for row in found]

    def compare(self, ends_ms: dict[int, int], interval_s: int) -> Comparison:
        """Compare the rows with every slot of these targets, from the first row of each to its end."""
        rows = self.rows()
        firsts = {
            target: min((to_ms(row.scheduled_at) for row in rows if row.target_id == target), default=None)
            for target in ends_ms
        }
        missing = [target for target, first in firsts.items() if first is None]
        assert not missing, f"targets {missing} have no row"
        windows = [Window(target, interval_s, first or 0, ends_ms[target]) for target, first in firsts.items()]
        return compare(windows, rows, {})

    def _write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(text)
        path.chmod(0o600)
        self._own(path)
        return path

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, self._user, self._user)

    def _run(self, program: str, *arguments: str) -> None:
        folder = binaries()
        assert folder
        command = [str(folder / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", self._user, "--", *command]
        # Not a pipe: the server that pg_ctl starts would hold it open.
        with (self._directory / f"{program}.out").open("ab") as output:
            done = subprocess.run(command, stdout=output, stderr=output, check=False, cwd="/")
        assert done.returncode == 0, (self._directory / f"{program}.out").read_text()


def secrets(authority: Authority, postgres: SecurePostgres, name: str) -> dict[str, str]:
    """The content of a service's Secret, by key."""
    certificate, key = authority.client(name)
    kafka = {
        "kafka_access_key": key,
        "kafka_access_certificate": certificate,
        "kafka_ca_certificate": authority.certificate,
    }
    return ({} if name == "status" else kafka) | {
        "database_username": f"monitoring_{name}" if name in postgres.role_passwords else OWNER,
        "database_password": postgres.role_passwords.get(name, postgres.password),
        "database_ca_certificate": authority.certificate,
    }
