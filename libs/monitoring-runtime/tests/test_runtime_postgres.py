"""What the errors of PostgreSQL mean, and in which words they are told."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from monitoring_core.config import DatabaseConfig
from monitoring_core.config.database import SslMode
from monitoring_runtime.postgres import Trouble, connect, diagnose, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = DatabaseConfig(host="db", user="u", database="monitoring", schema="watch")
AWAY = DatabaseConfig(host="127.0.0.1", port=1, user="u")

# SQLSTATE (PostgreSQL documentation, appendix A) -> what it means, and its line.
BY_SQLSTATE = {
    "42P01": (
        Trouble.TABLES_MISSING,
        "PostgreSQL at db:5432, database monitoring has not all tables of schema watch: run dbadmin create-schema",
    ),
    "3F000": (
        Trouble.TABLES_MISSING,
        "PostgreSQL at db:5432, database monitoring has not all tables of schema watch: run dbadmin create-schema",
    ),
    "42501": (
        Trouble.RIGHTS_MISSING,
        "PostgreSQL at db:5432 cannot store results: it said so (run dbadmin create-roles)",
    ),
    "57P01": (Trouble.OTHER, "PostgreSQL at db:5432 cannot store results: it said so"),  # admin_shutdown
    "57014": (Trouble.OTHER, "PostgreSQL at db:5432 cannot store results: it said so"),  # query_canceled
    "53100": (Trouble.OTHER, "PostgreSQL at db:5432 cannot store results: it said so"),  # disk_full
    "40P01": (Trouble.OTHER, "PostgreSQL at db:5432 cannot store results: it said so"),  # deadlock_detected
}


@pytest.mark.parametrize("sqlstate", BY_SQLSTATE)
def test_an_error_of_the_server_is_told_by_its_sqlstate(sqlstate: str) -> None:
    """Not by its text, which the server may write in any language. The line names the command that mends it."""
    trouble, line = BY_SQLSTATE[sqlstate]
    error = psycopg.errors.lookup(sqlstate)("it said so\nDETAIL:  row (1, secret)")
    assert diagnose(error).trouble is trouble
    assert explain(error, CONFIG, "cannot store results") == line


def test_a_server_that_nobody_reaches_is_unreachable() -> None:
    """The line has the operating system's reason, without the long beginning of libpq's sentence."""
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(AWAY, "test")
    assert diagnose(caught.value).trouble is Trouble.UNREACHABLE
    assert (
        explain(caught.value, AWAY, "cannot work") == "PostgreSQL at 127.0.0.1:1 cannot be reached: Connection refused"
    )


# A server that answers every connection with this error, in the protocol of PostgreSQL. A process of its own, because
# libpq's question whether a server takes connections keeps all threads of a process waiting.
REFUSING = """
import socketserver, struct, sys
fields = b"".join(k + v.encode() + b"\\0" for k, v in ((b"S", "FATAL"), (b"C", sys.argv[1]), (b"M", sys.argv[2])))
class Refusal(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)
        self.request.sendall(b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\\0")
with socketserver.TCPServer(("127.0.0.1", 0), Refusal) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


@contextlib.contextmanager
def refusing(sqlstate: str, text: str) -> Iterator[DatabaseConfig]:
    command = [sys.executable, "-c", REFUSING, sqlstate, text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            port = int(server.stdout.readline())
            yield DatabaseConfig(host="127.0.0.1", port=port, user="u", sslmode=SslMode.DISABLE)
        finally:
            server.kill()


def test_a_server_that_starts_is_no_refused_login() -> None:
    """Whatever language it says so in: what waits for an outage waits for it, too."""
    with refusing("57P03", "das Datenbanksystem startet") as config, pytest.raises(psycopg.OperationalError) as caught:
        connect(config, "test")
    assert diagnose(caught.value).trouble is Trouble.UNREACHABLE
    assert explain(caught.value, config, "").endswith(" cannot be reached: das Datenbanksystem startet")
    wrong = "Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen"
    with refusing("28P01", wrong) as config, pytest.raises(psycopg.OperationalError) as caught:
        connect(config, "test")
    assert diagnose(caught.value).trouble is Trouble.LOGIN_REFUSED


def test_a_lost_connection_is_unreachable_too() -> None:
    """libpq gives no SQLSTATE for it."""
    error = psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly\n\tThis …")
    assert explain(error, CONFIG, "cannot work") == (
        "PostgreSQL at db:5432 cannot be reached: server closed the connection unexpectedly"
    )


def test_an_error_of_the_client_is_not_an_unreachable_server() -> None:
    """What psycopg itself refuses has no SQLSTATE either."""
    error = psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    assert diagnose(error).trouble is Trouble.OTHER
    assert explain(error, CONFIG, "cannot work") == f"PostgreSQL at db:5432 cannot work: {error}"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("first\nDETAIL:  Failing row contains (hunter2).", "first"),
        ("x" * 1_000, "x" * 300),
        ("", "InternalError"),
        ("\n  \n", "InternalError"),
    ],
)
def test_the_detail_is_one_bounded_line(text: str, detail: str) -> None:
    """Further lines hold the values of rows; an error without a text is told by its name."""
    assert diagnose(psycopg.InternalError(text)).detail == detail
