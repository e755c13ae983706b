"""The outbox's file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import structlog

from monitoring_core.errors import OutageError
from producer_svc.outbox import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = structlog.get_logger()

_TABLE = "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, slot_ms INTEGER, key BLOB, value BLOB, up INTEGER)"
_DROP = (
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id > ? AND up = ? ORDER BY id LIMIT ?) "
    "RETURNING id, slot_ms"
)
_MOVED_TOGETHER = 10_000
_NOT_A_DATABASE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SqliteStore:
    """Entries in a file of `directory`, which belongs to this process as long as it lives.

    What other files hold whose processes have ended is taken over. A file that cannot be read is put aside. Written
    pages survive the death of the process, whenever it comes; a machine that loses its power may lose the last ones.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        self._database: sqlite3.Connection | None = None
        self.count = 0
        self.last_id = 0
        try:
            self._open()
        except OutageError as error:
            log.error("the outbox cannot be opened: results are in memory alone until it can", error=str(error))

    @property
    def used_bytes(self) -> int:
        """How much of the file holds entries."""
        if self._database is None:
            return 0
        with _outage(self._directory):
            ((pages,),) = self._database.execute("PRAGMA page_count")
            ((free,),) = self._database.execute("PRAGMA freelist_count")
            ((size,),) = self._database.execute("PRAGMA page_size")
        return int(size) * (int(pages) - int(free))

    def write(self, entries: Sequence[Entry], remove: Sequence[int]) -> None:
        """Add entries and remove others, both or nothing.

        Raises:
            OutageError: the file cannot be written.
        """
        database = self._open()
        with _outage(self._directory), database:
            database.execute("BEGIN")
            database.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?)", entries)
            # One that was sent twice is acknowledged twice.
            removed = database.executemany("DELETE FROM outbox WHERE id = ?", ((entry_id,) for entry_id in remove))
        self.count += len(entries) - max(0, removed.rowcount)

    def read(self, after: int, before: int | None, limit: int) -> list[Entry]:
        """The first entries between two ids, neither included.

        Raises:
            OutageError: the file cannot be read.
        """
        database = self._open()
        with _outage(self._directory):
            rows = database.execute(
                "SELECT id, slot_ms, key, value, up FROM outbox WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                (after, (1 << 63) - 1 if before is None else before, limit),
            )
            return [Entry(entry_id, slot_ms, key, value, bool(up)) for entry_id, slot_ms, key, value, up in rows]

    def drop(self, after: int, limit: int) -> list[tuple[int, int]]:
        """Remove the oldest entries past an id, those that are up first; the ids and slots of what was removed.

        Raises:
            OutageError: the file cannot be written.
        """
        database, dropped = self._open(), list[tuple[int, int]]()
        with _outage(self._directory), database:
            database.execute("BEGIN")
            for up in (True, False):
                dropped += database.execute(_DROP, (after, up, limit - len(dropped))).fetchall()
        self.count -= len(dropped)
        return dropped

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self) -> sqlite3.Connection:
        if self._database is not None:
            return self._database
        try:
            with _outage(self._directory):
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                path, self._lock = self._own_file()
                self._database = _connect(path)
                self._adopt(self._database, path)
                ((self.count, last),) = self._database.execute("SELECT count(*), max(id) FROM outbox")
        except OutageError:
            self.close()
            raise
        self.last_id = last or 0
        return self._database

    def _own_file(self) -> tuple[Path, int]:
        """The first file that no living process has, and its lock."""
        number = 1
        while True:
            path = self._directory / f"outbox-{number}.sqlite"
            if (lock := _lock(path)) is not None:
                # Results may hold what a page said: they are for this user alone.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                return path, lock
            number += 1

    def _adopt(self, own: sqlite3.Connection, own_path: Path) -> None:
        """Move what the files of dead processes hold into this one's."""
        for path in sorted(self._directory.glob("outbox-*.sqlite")):
            if path == own_path or (lock := _lock(path)) is None:
                continue
            try:
                with contextlib.closing(_connect(path)) as other:
                    _move(other, own)
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
            finally:
                os.close(lock)


def _move(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Move all entries; for a moment they are in both files, since what is sent twice is stored once."""
    while rows := source.execute(
        "SELECT id, slot_ms, key, value, up FROM outbox LIMIT ?", (_MOVED_TOGETHER,)
    ).fetchall():
        with target:
            target.execute("BEGIN")
            target.executemany(
                "INSERT INTO outbox (slot_ms, key, value, up) VALUES (?, ?, ?, ?)", (row[1:] for row in rows)
            )
        with source:
            source.execute("BEGIN")
            source.executemany("DELETE FROM outbox WHERE id = ?", ((row[0],) for row in rows))


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to the file; a file that is none of SQLite's, or is damaged, is put aside."""
    while True:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            database.execute("SELECT count(*) FROM outbox").fetchone()  # looks at every page
        except sqlite3.DatabaseError as error:
            database.close()
            if (error.sqlite_errorcode & 0xFF) not in _NOT_A_DATABASE:
                raise
            aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            log.error("the outbox's file cannot be read and is put aside", error=str(error), file=str(aside))
        else:
            return database


def _lock(path: Path) -> int | None:
    """The lock of a file, held until it is closed or the process ends; None when another process has it."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        return None
    return lock


@contextlib.contextmanager
def _outage(directory: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OutageError(f"outbox in {directory}: {error}") from None
