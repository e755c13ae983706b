"""A PostgreSQL as in production: TLS, passwords, and an owner of the database who is not a superuser."""

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
from psycopg import sql

from local_stack.processes import Child, free_port
from local_stack.servers import Postgres
from monitoring_core.errors import StopError
from monitoring_testkit.servers.postgresql import as_postgres, first_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

OWNER = "monitoring_owner"


@attrs.define
class TlsPostgresql:
    """A PostgreSQL that requires TLS and a password, and writes every statement to its log.

    Attributes:
        owner_password: of the user `monitoring_owner`, who may make roles and databases but is not a superuser.
    """

    directory: Path
    postgres: Postgres
    owner_password: str = attrs.field(repr=False)
    superuser_password: str = attrs.field(repr=False)

    @property
    def log(self) -> Path:
        """The server's log, with every statement."""
        return self.directory / "postgresql.log"


@contextlib.contextmanager
def tls_postgresql(certificate: trustme.LeafCert) -> Iterator[TlsPostgresql]:
    """A PostgreSQL on 127.0.0.1 that presents this certificate and ends with the block.

    Raises:
        StopError: the server does not start; the text holds the last lines of its log.
    """
    home = Path(tempfile.mkdtemp(prefix="postgresql-tls-"))
    server = TlsPostgresql(
        home, Postgres("127.0.0.1", free_port(), "postgres"), secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    )
    try:
        _write_secrets(server, certificate)
        _initialise(server)
        child = Child("PostgreSQL", as_postgres("postgres", "-D", str(home / "data")), home / "start.log")
        try:
            _make_owner(server, child)
            yield server
        finally:
            child.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _write_secrets(server: TlsPostgresql, certificate: trustme.LeafCert) -> None:
    """Write the superuser's password and the server's certificate, as files that only the server's user may read."""
    home = server.directory
    (home / "password").write_text(server.superuser_password)
    (home / "server.key").write_bytes(certificate.private_key_pem.bytes())
    (home / "server.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    for name in ("password", "server.key"):
        (home / name).chmod(0o600)
    if not os.geteuid():
        account = pwd.getpwnam("postgres")
        for path in (home, *home.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)


def _initialise(server: TlsPostgresql) -> None:
    home, data = server.directory, server.directory / "data"
    arguments = ["-D", str(data), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={home / 'password'}"]
    done = subprocess.run(
        as_postgres("initdb", *arguments, "-E", "UTF8", "--no-sync"), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StopError(f"initdb failed: {done.stderr[-500:]}")
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in _settings(server).items())


def _settings(server: TlsPostgresql) -> dict[str, str]:
    home = server.directory
    return {
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


def _make_owner(server: TlsPostgresql, child: Child) -> None:
    """Make the user that an operator of a managed PostgreSQL is given, which is not a superuser."""
    where = server.postgres
    parameters = {"host": where.host, "port": str(where.port), "user": where.user, "dbname": "postgres"}
    parameters |= {"password": server.superuser_password, "sslmode": "require"}
    with first_connection(child, **parameters) as connection:
        verifier = connection.pgconn.encrypt_password(server.owner_password.encode(), OWNER.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(
                sql.Identifier(OWNER), sql.Literal(verifier.decode())
            )
        )
