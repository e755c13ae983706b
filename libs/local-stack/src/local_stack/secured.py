"""A PostgreSQL and an Apache Kafka as they are operated: TLS, passwords, client certificates, no superuser to use."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import psycopg
import stamina
import yaml
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from psycopg import sql
from psycopg.conninfo import make_conninfo

from local_stack.servers import Child, Postgres, free_port
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import trustme

OWNER = "monitoring_owner"
_START_S = 30


def binaries() -> Path | None:
    """The folder of the newest PostgreSQL that is installed as Debian does it; None without any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def missing() -> str | None:
    """What this machine lacks to run a PostgreSQL with TLS, or None."""
    if binaries() is None:
        return "no PostgreSQL in /usr/lib/postgresql"
    return None if shutil.which("setpriv") or os.geteuid() else "setpriv is not installed"


@attrs.define
class TlsPostgresql:
    """A PostgreSQL of its own that lets nobody in without TLS and a password, and writes every statement to its log.

    Attributes:
        owner_password: of the user `monitoring_owner`, who may make roles and databases and is no superuser.
    """

    directory: Path
    postgres: Postgres
    owner_password: str = attrs.field(repr=False)
    superuser_password: str = attrs.field(repr=False)

    @property
    def log(self) -> Path:
        """What the server wrote: each statement that it was sent, too."""
        return self.directory / "postgresql.log"


@contextlib.contextmanager
def tls_postgresql(authority: trustme.CA) -> Iterator[TlsPostgresql]:
    """A PostgreSQL with a certificate of `authority` for 127.0.0.1, which ends with the block.

    Raises:
        StopError: it does not start; the text holds its last lines.
    """
    home = Path(tempfile.mkdtemp(prefix="postgresql-tls-"))
    server = TlsPostgresql(
        home, Postgres("127.0.0.1", free_port(), "postgres"), secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    )
    try:
        _initialise(server, authority)
        child = Child("PostgreSQL", _as_postgres("postgres", "-D", str(home / "data")), home / "start.log")
        try:
            _make_owner(server, child)
            yield server
        finally:
            child.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _as_postgres(program: str, *arguments: str) -> list[str]:
    """A command of PostgreSQL, which refuses to run as root."""
    folder = binaries()
    if folder is None:
        raise StopError("no PostgreSQL is installed in /usr/lib/postgresql")
    command = [str(folder / program), *arguments]
    if os.geteuid():
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]


def _initialise(server: TlsPostgresql, authority: trustme.CA) -> None:
    home, certificate = server.directory, authority.issue_cert("127.0.0.1")
    (home / "password").write_text(server.superuser_password)
    (home / "server.key").write_bytes(certificate.private_key_pem.bytes())
    (home / "server.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    for name in ("password", "server.key"):
        (home / name).chmod(0o600)
    _give_to_postgres(home)
    data = home / "data"
    arguments = ["-D", str(data), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={home / 'password'}"]
    done = subprocess.run(
        _as_postgres("initdb", *arguments, "-E", "UTF8", "--no-sync"), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StopError(f"initdb failed: {done.stderr[-500:]}")
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(server.postgres.port),
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": str(home / "server.pem"),
        "ssl_key_file": str(home / "server.key"),
        "fsync": "off",
        "log_statement": "all",
        "logging_collector": "on",
        "log_directory": str(home),
        "log_filename": server.log.name,
    }
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _give_to_postgres(home: Path) -> None:
    if os.geteuid():
        return
    account = pwd.getpwnam("postgres")
    for path in (home, *home.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)


def _make_owner(server: TlsPostgresql, child: Child) -> None:
    """The user that an operator is given: as managed PostgreSQL has it, no superuser."""
    where = server.postgres
    parameters = {"host": where.host, "port": str(where.port), "user": where.user, "dbname": "postgres"}
    parameters |= {"password": server.superuser_password, "sslmode": "require"}
    for attempt in stamina.retry_context(on=psycopg.OperationalError, attempts=None, timeout=_START_S, wait_max=0.2):
        with attempt:
            if child.status is not None:
                raise StopError(f"PostgreSQL ended with status {child.status}: {child.last_lines()}")
            with psycopg.connect(make_conninfo(**parameters)) as connection:
                verifier = connection.pgconn.encrypt_password(
                    server.owner_password.encode(), OWNER.encode(), b"scram-sha-256"
                )
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(
                        sql.Identifier(OWNER), sql.Literal(verifier.decode())
                    )
                )


@attrs.frozen
class KafkaTls:
    """What an Apache Kafka needs to let in only clients with a certificate, and what such a client needs."""

    broker_pem: Path
    authority_pem: Path
    access_certificate: Path
    access_key: Path


def kafka_tls(directory: Path, authority: trustme.CA) -> KafkaTls:
    """Certificates of `authority` for a broker on 127.0.0.1 and for a client, as files in `directory`."""
    broker, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client.monitoring.example")
    made = KafkaTls(*(directory / name for name in ("broker.pem", "ca.pem", "service.cert", "service.key")))
    made.broker_pem.write_bytes(_pkcs8(broker) + b"".join(part.bytes() for part in broker.cert_chain_pems))
    authority.cert_pem.write_to_path(str(made.authority_pem))
    made.access_certificate.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
    made.access_key.write_bytes(_pkcs8(client))
    return made


def _pkcs8(certificate: trustme.LeafCert) -> bytes:
    """The private key in the one form that Apache Kafka reads from PEM."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@attrs.define
class Secured:
    """A PostgreSQL and an Apache Kafka, both secured, with the configuration and the files of secrets to reach them."""

    directory: Path
    database: TlsPostgresql
    bootstrap_servers: str
    kafka: KafkaTls

    @property
    def config_file(self) -> Path:
        """The configuration for everything, with an account for each part."""
        return self.directory / "config.yaml"

    def secret(self, name: str) -> Path:
        """The file of a password: `owner`, `administrator`, `producer`, `consumer` or `reader`."""
        return self.directory / f"{name}-password"

    def write_config(self, sections: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Write the secrets that are not there yet and the configuration, with more settings by section."""
        roles = ("administrator", "producer", "consumer", "reader")
        self.secret("owner").write_text(self.database.owner_password)
        for role in roles:
            if not self.secret(role).exists():
                self.secret(role).write_text(secrets.token_urlsafe(18))
        content: dict[str, dict[str, object]] = {
            "kafka": {
                "bootstrap_servers": self.bootstrap_servers,
                "security_protocol": "SSL",
                "ca_certificate": {"file": str(self.kafka.authority_pem)},
                "access_certificate": {"file": str(self.kafka.access_certificate)},
                "access_key": {"file": str(self.kafka.access_key)},
            },
            "database": {
                "host": self.database.postgres.host,
                "port": self.database.postgres.port,
                "user": OWNER,
                "password": {"file": str(self.secret("owner"))},
                "ca_certificate": {"file": str(self.kafka.authority_pem)},
            },
            "roles": {f"{role}_user": f"monitoring_{role}" for role in roles}
            | {f"{role}_password": {"file": str(self.secret(role))} for role in roles},
            "metrics": {"host": "127.0.0.1", "port": 0},
        }
        for name, settings in (sections or {}).items():
            content[name] = content.get(name, {}) | dict(settings)
        self.config_file.write_text(yaml.safe_dump(content, sort_keys=False))
