"""What a target was before: the changes that a trigger of the table writes down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from psycopg import sql
from psycopg.rows import class_row

from dbadmin.connect import connected
from dbadmin.targets.table import find_in
from monitoring_core.errors import StopError
from monitoring_core.tables import TARGET_TABLE
from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    import datetime as dt

    from monitoring_core.config import DatabaseConfig

_CHANGES = """
SELECT changed_at, changed_by, program, change, before FROM {history} WHERE target_id = %s
ORDER BY changed_at, change_id"""
_ADDED = """
SELECT amc_added_at AS changed_at, amc_added_by AS changed_by, '' AS program, 'added' AS change, '{{}}'::jsonb AS before
FROM {targets} WHERE amc_id = %s AND amc_added_at IS NOT NULL"""


@attrs.frozen
class Change:
    """One change of a target.

    Attributes:
        changed_by: the account; program is what it called itself, or empty.
        change: added, changed or deleted.
        before: the changed columns as they were, without secrets.
    """

    changed_at: dt.datetime
    changed_by: str
    program: str
    change: str
    before: dict[str, Any]


def read_history(config: DatabaseConfig, name: str) -> list[Change]:
    """The changes of the target with this id or URL, the oldest first; of a deleted one by its id.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses; there neither is nor was such a target.
    """
    with connected(config) as connection, connection.cursor(row_factory=class_row(Change)) as cursor:
        known = find_in(connection, config.schema, [name])
        target_id = known[0].id if known else int(name) if name.isascii() and name.isdecimal() else None
        history = sql.Identifier(config.schema, f"{TARGET_TABLE}_history")
        changes = cursor.execute(sql.SQL(_CHANGES).format(history=history), (target_id,)).fetchall()
        if not known and not changes:
            raise StopError(f"there neither is nor was a target {without_credentials(name)}")
        targets = sql.Identifier(config.schema, TARGET_TABLE)
        added = cursor.execute(sql.SQL(_ADDED).format(targets=targets), (target_id,)).fetchall()
    return sorted([*added, *changes], key=lambda change: change.changed_at)
