"""The outbox's file, a database of SQLite."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from monitoring_core.errors import OutageError
from producer_svc.outbox_entries import OutboxBatch, OutboxEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = structlog.get_logger()

_TABLE = "CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, size INTEGER, up INTEGER, entries BLOB)"
_MOVED_TOGETHER = 100
_NOT_A_DATABASE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_Row = tuple[int, int, int, bytes]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes]])


class SqliteStore:
    """Batches in a file of `directory` that this process locks until it ends.

    Opening it also adopts the batches in the files of processes that have ended, and quarantines a file that cannot be
    read. Written batches survive the death of the process at any moment; a power failure may lose the newest ones.

    Attributes:
        count: how many results the file holds.
        last_id: the highest id in the file when it was opened; 0 without batches.
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
        """How many bytes the batches take. Free pages do not count: SQLite uses them again."""
        if self._database is None:
            return 0
        with _outage(self._directory):
            ((pages,),) = self._database.execute("PRAGMA page_count")
            ((free,),) = self._database.execute("PRAGMA freelist_count")
            ((size,),) = self._database.execute("PRAGMA page_size")
        return int(size) * (int(pages) - int(free))

    def write(self, batches: Sequence[OutboxBatch], remove: Sequence[int]) -> None:
        """Add batches and remove others, both or nothing.

        Raises:
            OutageError: the file cannot be written.
        """
        database, removed = self._open(), 0
        with _outage(self._directory), database:
            database.execute("BEGIN")
            database.executemany("INSERT INTO batches VALUES (?, ?, ?, ?)", map(_row, batches))
            for batch_id in remove:
                gone = database.execute("DELETE FROM batches WHERE id = ? RETURNING size", (batch_id,)).fetchall()
                removed += sum(size for (size,) in gone)
        self.count += sum(batch.size for batch in batches) - removed

    def first(self, after: int, before: int | None) -> OutboxBatch | None:
        """The first batch between two ids, neither included. One that is damaged has no entries.

        Raises:
            OutageError: the file cannot be read.
        """
        database = self._open()
        with _outage(self._directory):
            row = database.execute(
                "SELECT id, size, up, entries FROM batches WHERE id > ? AND id < ? ORDER BY id LIMIT 1",
                (after, (1 << 63) - 1 if before is None else before),
            ).fetchone()
        return None if row is None else _batch(row)

    def drop(self, after: int, results: int) -> list[OutboxBatch]:
        """Remove batches with an id above `after`, oldest first and up ones before others, until `results` are gone.

        Raises:
            OutageError: the file cannot be written.
        """
        database, dropped = self._open(), list[OutboxBatch]()
        with _outage(self._directory), database:
            database.execute("BEGIN")
            for up in (True, False):
                oldest = "SELECT id, size, up, entries FROM batches WHERE id > ? AND up = ? ORDER BY id"
                with contextlib.closing(database.execute(oldest, (after, up))) as rows:
                    while results > 0 and (row := rows.fetchone()):
                        dropped.append(_batch(row))
                        results -= dropped[-1].size
            database.executemany("DELETE FROM batches WHERE id = ?", ((batch.id,) for batch in dropped))
        self.count -= sum(batch.size for batch in dropped)
        return dropped

    def close(self) -> None:
        """Close the file and give up its lock."""
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
                ((self.count, last),) = self._database.execute("SELECT coalesce(sum(size), 0), max(id) FROM batches")
        except OutageError:
            self.close()
            raise
        self.last_id = last or 0
        return self._database

    def _own_file(self) -> tuple[Path, int]:
        """The first file that no living process has locked, and its lock."""
        number = 1
        while True:
            path = self._directory / f"outbox-{number}.sqlite"
            if (lock := _lock(path)) is not None:
                # Results may hold text of private pages, so only this user may read them.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                return path, lock
            number += 1

    def _adopt(self, own: sqlite3.Connection, own_path: Path) -> None:
        """Move the batches in the files of dead processes into this one's."""
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
    """Move all batches. A crash in the middle leaves some in both files; a result that is sent twice is stored once."""
    while rows := source.execute("SELECT id, size, up, entries FROM batches LIMIT ?", (_MOVED_TOGETHER,)).fetchall():
        with target:
            target.execute("BEGIN")
            target.executemany("INSERT INTO batches (size, up, entries) VALUES (?, ?, ?)", (row[1:] for row in rows))
        with source:
            source.execute("BEGIN")
            source.executemany("DELETE FROM batches WHERE id = ?", ((row[0],) for row in rows))


def _row(batch: OutboxBatch) -> _Row:
    entries = _encoder.encode([(entry.slot_ms, entry.key, entry.value) for entry in batch.entries])
    return batch.id, batch.size, batch.up, entries


def _batch(row: _Row) -> OutboxBatch:
    batch_id, size, up, content = row
    try:
        entries = [
            OutboxEntry(slot_ms, key, value, bool(up), batch_id) for slot_ms, key, value in _decoder.decode(content)
        ]
    except (msgspec.MsgspecError, TypeError):  # damaged content, or NULL
        entries = []
    return OutboxBatch(batch_id, bool(up), entries, size)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to the file; a file that is damaged or not SQLite's is quarantined and replaced."""
    while True:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            ((damage,), *_) = database.execute("PRAGMA quick_check")  # looks at every page
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) not in _NOT_A_DATABASE:
                database.close()
                raise
            damage = str(error)
        if damage == "ok":
            return database
        database.close()
        _quarantine(path, damage)


def _quarantine(path: Path, damage: str) -> None:
    """Rename a file that cannot be read, for a person to look at."""
    unreadable = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
    path.rename(unreadable)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    log.error("the outbox's file cannot be read and is put aside", error=damage, file=str(unreadable))


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
