"""The SQL of the writer, for one schema."""

from __future__ import annotations

import attrs
from psycopg import sql

from monitoring_core.tables import DIRTY_HOUR_TABLE, RESULT_COLUMNS, RESULT_DEFAULT_TABLE, RESULT_KEY, RESULT_TABLE

_STAGING = sql.Identifier("pg_temp", "batch")
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, RESULT_COLUMNS))
_COPY = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)")
_INSERT = sql.SQL(
    "INSERT INTO {table} AS old ({columns}) SELECT {columns} FROM {staging} {which} ON CONFLICT ({key}) DO {what}"
)


@attrs.frozen
class Statements:
    """The statements of the writer.

    Attributes:
        create_staging: make the staging table, for a batch that conflicts with rows in the table; it ends with the
            transaction.
        copy: copy rows straight into the table.
        copy_staged: copy rows into the staging table.
        insert_new: insert the staged rows whose keys are not in the table.
        replace_unknown: let staged rows that are not unknown replace unknown rows of the same key.
        mark_hours: mark the hours of rows for `dbadmin maintain`.
        count_by_default: count rows in the default partition, 1,000 at most.
    """

    create_staging: sql.Composed
    copy: sql.Composed
    copy_staged: sql.Composed
    insert_new: sql.Composed
    replace_unknown: sql.Composed
    mark_hours: sql.Composed
    count_by_default: sql.Composed


def statements(schema: str) -> Statements:
    """The statements for the tables of `schema`."""
    table = sql.Identifier(schema, RESULT_TABLE)
    parts = {
        "table": table,
        "columns": _COLUMNS,
        "staging": _STAGING,
        "key": sql.SQL(", ").join(map(sql.Identifier, RESULT_KEY)),
    }
    return Statements(
        create_staging=sql.SQL("CREATE TEMP TABLE batch ({}) ON COMMIT DROP").format(_definitions()),
        copy=_COPY.format(table=table, columns=_COLUMNS),
        copy_staged=_COPY.format(table=_STAGING, columns=_COLUMNS),
        insert_new=_INSERT.format(which=sql.SQL(""), what=sql.SQL("NOTHING"), **parts),
        replace_unknown=_INSERT.format(which=sql.SQL("WHERE status <> 'unknown'"), what=_update(), **parts),
        mark_hours=sql.SQL("INSERT INTO {} SELECT unnest(%s::timestamptz[])").format(
            sql.Identifier(schema, DIRTY_HOUR_TABLE)
        ),
        count_by_default=sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) AS found").format(
            sql.Identifier(schema, RESULT_DEFAULT_TABLE)
        ),
    )


def _definitions() -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in RESULT_COLUMNS.items()
    )


def _update() -> sql.Composed:
    values = [name for name in RESULT_COLUMNS if name not in RESULT_KEY]
    return sql.SQL("UPDATE SET ({changed}) = ROW({excluded}) WHERE old.status = 'unknown'").format(
        changed=sql.SQL(", ").join(map(sql.Identifier, values)),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in values),
    )
