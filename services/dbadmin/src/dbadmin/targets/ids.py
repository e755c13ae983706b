"""The ids of new targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import one_row

if TYPE_CHECKING:
    import psycopg


def raise_sequence(connection: psycopg.Connection[Any], table: sql.Identifier) -> None:
    """Make the next id larger than all in the table, as it is not after ids were stated, or the rows alone restored.

    It is never lowered, so ids of deleted targets stay unused.
    """
    name = table.as_string(connection)
    (sequence,) = one_row(connection, "SELECT pg_get_serial_sequence(%s, 'amc_id')", (name,))
    # A sequence that is not behind is left alone: others may take ids of it at this moment.
    statement = sql.SQL("""SELECT setval(%s, greatest_id) FROM (SELECT max(amc_id) AS greatest_id FROM {}) ids, {}
        WHERE greatest_id > last_value OR (greatest_id = last_value AND NOT is_called)""")
    connection.execute(statement.format(table, sql.SQL(sequence)), (sequence,))
