"""A PostgreSQL that speaks German: its messages, its dates and its collation."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.processes import Child, free_port
from local_stack.servers import Postgres
from monitoring_core.errors import StopError
from monitoring_testkit.servers import postgresql
from monitoring_testkit.servers.postgresql import as_postgres, first_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCALE = "de_DE.UTF-8"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "datestyle": "German, DMY",
    "timezone": "Asia/Kolkata",
    "synchronous_commit": "off",
    "fsync": "off",
}


def missing() -> str | None:
    """What this machine lacks to run it, or None."""
    if lacking := postgresql.missing():
        return lacking
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.lower()
    if "de_de.utf8" not in known:
        return f"no locale {_LOCALE} (localedef -i de_DE -f UTF-8 {_LOCALE})"
    return None if list(Path("/usr/share/locale/de").rglob("postgres-*.mo")) else "PostgreSQL has no German messages"


@contextlib.contextmanager
def german_postgresql() -> Iterator[Postgres]:
    """A German PostgreSQL on 127.0.0.1, to which the superuser needs no password and others do; ends with the block.

    Raises:
        StopError: it does not start; the text holds the last lines of its log.
    """
    home, port = Path(tempfile.mkdtemp(prefix="postgresql-german-")), free_port()
    if not os.geteuid():
        shutil.chown(home, "postgres")
    try:
        data = home / "data"
        command = as_postgres("initdb", "-D", str(data), "-U", "postgres", f"--locale={_LOCALE}", "-E", "UTF8")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StopError(f"initdb failed: {done.stderr[-500:]}")
        rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules)
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in (_SETTINGS | {"port": str(port)}).items())
        child = Child("PostgreSQL", as_postgres("postgres", "-D", str(data)), home / "log")
        try:
            first_connection(child, host="127.0.0.1", port=str(port), user="postgres", dbname="postgres").close()
            yield Postgres("127.0.0.1", port, "postgres")
        finally:
            child.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
