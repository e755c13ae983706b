"""The comments on the schema: everything has one, on every kind of installation, and going back takes them away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from dbadmin.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test

# Tables, views and their columns, with their comments; partitions hold the rows of the table that they are of.
DESCRIBED = """
SELECT c.relname || coalesce('.' || a.attname, ''), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
UNION ALL
SELECT c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class c
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition"""


@pytest.fixture
def connection(server: str, config: Config) -> Any:
    """A connection to the test's own database, which is made."""
    name = config.database.database
    with psycopg.connect(server, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(server, dbname=name, autocommit=True) as made:
        yield made


def dbadmin(file: Path, *arguments: str, schema: str = "monitoring") -> None:
    done = CliRunner().invoke(main, [*arguments, "--config", str(file), "--set", f"database.schema={schema}"])
    assert done.exit_code == 0, done.output


def described(connection: psycopg.Connection[Any], schema: str = "monitoring") -> dict[str, str | None]:
    quoted = sql.Identifier(schema).as_string(connection)
    return dict(connection.execute(DESCRIBED, {"schema": quoted}).fetchall())


@pytest.mark.parametrize("schema", ["monitoring", 'My "odd" sché:ma; DROP {}'])
def test_every_table_view_and_column_has_a_comment(
    config_file: Path, connection: psycopg.Connection[Any], schema: str
) -> None:
    """Whoever opens the schema with another tool reads what each thing is; also in a schema of an odd name."""
    dbadmin(config_file, "create-schema", schema=schema)
    comments = described(connection, schema)
    assert len(comments) > 100
    assert [name for name, comment in comments.items() if not comment] == []


def test_going_back_takes_the_comments_away_and_coming_again_brings_them(
    config_file: Path, connection: psycopg.Connection[Any]
) -> None:
    """Neither direction leaves anything behind or changes anything else."""
    dbadmin(config_file, "create-schema")
    before = described(connection)
    dbadmin(config_file, "downgrade-schema", "0004", "--yes")
    assert set(described(connection).values()) == {None}
    dbadmin(config_file, "create-schema")
    assert described(connection) == before


def test_a_schema_from_before_its_oldest_served_revision_was_kept_gets_comments_too(
    config_file: Path, connection: psycopg.Connection[Any]
) -> None:
    """The revision comments on the column, which an older schema may not have yet when the revision runs."""
    dbadmin(config_file, "create-schema")
    dbadmin(config_file, "downgrade-schema", "0004", "--yes")
    connection.execute("ALTER TABLE monitoring.schema_version DROP COLUMN oldest_served")
    dbadmin(config_file, "create-schema")
    assert described(connection)["schema_version.oldest_served"]
    assert connection.execute("SELECT * FROM monitoring.schema_version").fetchall() == [("0022", "0001")]
