"""Importing targets: staged without a lock, then merged under a short one, all targets or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql

from dbadmin.connect import connected, runner
from dbadmin.targets.merging import MAX_REPORTED, Merge, clashes, repeated
from dbadmin.targets.staging import Rows, stage
from monitoring_core.declared.carrying import hold
from monitoring_core.errors import StopError
from monitoring_core.tables import TARGET_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from dbadmin.targets.merging import BadLine
    from dbadmin.targets.staging import CsvStaging, JsonStaging
    from monitoring_core.config import DatabaseConfig


@attrs.define
class ImportCounts:
    """What an import did, or would do, in lines and in targets."""

    read: int = 0
    bad: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deactivated: int = 0


class _RollBackError(Exception):
    """Ends the transaction and leaves the database as it was."""


@attrs.frozen
class Import:
    """How to import.

    Attributes:
        report: called with the number and the fault of each bad line, up to MAX_REPORTED lines.
        progress: called repeatedly with the number of lines read so far.
        dry_run: check everything, also against the table, but lock nothing and change nothing.
        deactivate_missing: deactivate the targets that the file does not have.
    """

    report: Callable[[int, str], None]
    progress: Callable[[int], None] = lambda _: None
    dry_run: bool = False
    deactivate_missing: bool = False

    def run(self, config: DatabaseConfig, rows: CsvStaging | JsonStaging) -> ImportCounts:
        """Add or update targets, by id where a line has one, else by URL; none of them when any line is bad.

        Other sessions wait only for the last step, which merges the staged rows into the table. Readers never wait.

        Raises:
            OutageError, StopError: PostgreSQL cannot be reached, or refuses; an empty file would deactivate all.
        """
        counts = ImportCounts()
        try:
            with connected(config) as connection:
                stage(connection, config.schema, self._good(rows, counts), rows.columns)
                if self.deactivate_missing and not counts.read:
                    raise StopError("the file has no targets, and --deactivate-missing would deactivate all of them")
                for name in ("url", "id"):
                    self._reject(repeated(connection, name), counts)
                if not counts.bad:
                    self._merge(connection, config.schema, counts)
                if counts.bad or self.dry_run:
                    raise _RollBackError
        except _RollBackError:
            pass
        return counts

    def _good(self, rows: CsvStaging | JsonStaging, counts: ImportCounts) -> Iterator[bytes]:
        """The content of the good lines; reports the bad ones."""
        for part in rows:
            if isinstance(part, Rows):
                counts.read += part.count
                yield part.content
            else:
                counts.read += 1
                self._reject([(part.number, "; ".join(part.problems), 1)], counts)
            self.progress(counts.read)

    def _reject(self, found: Sequence[BadLine], counts: ImportCounts) -> None:
        """Report bad lines and count them. Each holds the number of all bad lines of its kind, in `found` or not."""
        for number, problem, _ in found[: max(0, MAX_REPORTED - counts.bad)]:
            self.report(number, problem)
        counts.bad += found[0][2] if found else 0

    def _merge(self, connection: psycopg.Connection[Any], schema: str, counts: ImportCounts) -> None:
        table = sql.Identifier(schema, TARGET_TABLE)
        if not self.dry_run:
            # Targets must not change between the checks here and the statements that rely on them.
            hold(runner(connection, schema))
        self._reject(clashes(connection, table), counts)
        if counts.bad:
            return
        merge = Merge(connection, table, self.dry_run)
        counts.updated = merge.update()
        counts.added = merge.insert()
        counts.unchanged = counts.read - counts.added - counts.updated
        if self.deactivate_missing:
            counts.deactivated = merge.deactivate_missing()
