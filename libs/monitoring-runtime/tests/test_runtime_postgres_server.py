"""How a connection to a real PostgreSQL begins, which schema it accepts, and how the server refuses a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import psycopg
import pytest

from monitoring_core.config import DatabaseConfig
from monitoring_core.errors import OutageError, StopError
from monitoring_runtime.postgres import KeptConnection, RevisionGuard, Trouble, connect, diagnose, explain
from monitoring_runtime.stored_json import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration_test


@pytest.fixture
def config(server: str) -> DatabaseConfig:
    info = psycopg.conninfo.conninfo_to_dict(server)
    return DatabaseConfig(
        host=str(info["host"]), port=int(info.get("port") or 5432), user="postgres", database="postgres"
    )


def shown(connection: psycopg.Connection[tuple[object, ...]], setting: str) -> object:
    row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
    return row and row[0]


def test_a_connection_shows_who_made_it_and_is_pinned(config: DatabaseConfig) -> None:
    """The server ends a statement that takes longer than is allowed."""
    with connect(config, "a-service", statement_timeout_s=0.05, autocommit=True) as connection:
        assert (shown(connection, "application_name"), shown(connection, "statement_timeout")) == ("a-service", "50ms")
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            connection.execute("SELECT pg_sleep(10)")
    assert explain(caught.value, config, "cannot work") == (
        f"PostgreSQL at {config.address} cannot work: canceling statement due to statement timeout"
    )


def test_the_statement_timeout_outlives_a_transaction_that_is_rolled_back(config: DatabaseConfig) -> None:
    """It belongs to the session, whether statements are transactions of their own or not."""
    with connect(config, "test", statement_timeout_s=7, autocommit=False) as connection:
        connection.rollback()
        assert shown(connection, "statement_timeout") == "7s"


@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_json_that_python_does_not_take_is_a_value_of_its_own(kind: str, config: DatabaseConfig) -> None:
    """PostgreSQL takes deeper JSON, and longer numbers; one such row must not hide the others."""
    deep, digits = f"[{'[' * 3_000}{']' * 3_000}]", f"[{'9' * 5_000}]"
    texts = ["[1]", deep, digits, "[" * 51 + "]" * 51, "[" * 50 + "]" * 50]
    with connect(config, "test") as connection:
        rows = connection.execute(f"SELECT text::{kind} FROM unnest(%s::text[]) text", (texts,)).fetchall()
    first, *unreadable, deepest = (value for (value,) in rows)
    assert (first, unreadable) == ([1], [UNREADABLE] * 3)
    assert isinstance(deepest, list)


# What somebody may set for a database or an account, and what holds in our sessions.
SETTINGS = {
    "client_encoding": ("'LATIN1'", "UTF8"),
    "datestyle": ("'German, DMY'", "ISO, MDY"),
    "intervalstyle": ("'iso_8601'", "postgres"),
    "timezone": ("'Asia/Kolkata'", "UTC"),
    "search_path": ("'pg_catalog'", "public"),
    "default_tablespace": ("'pg_default'", ""),
    "standard_conforming_strings": ("off", "on"),
    "synchronous_commit": ("off", "on"),
    "default_transaction_read_only": ("on", "off"),
    "default_transaction_isolation": ("'serializable'", "read committed"),
    "statement_timeout": ("'77s'", "0"),
    "lock_timeout": ("'1ms'", "0"),
    "idle_in_transaction_session_timeout": ("'20ms'", "0"),
    "idle_session_timeout": ("'800ms'", "0"),
    "extra_float_digits": ("-3", "1"),
    "array_nulls": ("off", "on"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_database_do_not_reach_our_sessions(config: DatabaseConfig, name: str) -> None:
    """They are set for each session, after it has begun."""
    theirs, ours = SETTINGS[name]
    with connect(config, "test", autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE postgres SET {name} = {theirs}".encode())
        try:
            with connect(config, "test") as other:
                assert shown(other, name) == ours
        finally:
            connection.execute(f"ALTER DATABASE postgres RESET {name}".encode())


def test_a_server_that_promises_more_than_a_commit_on_disk_keeps_its_promise(config: DatabaseConfig) -> None:
    """Its standbys have the commit applied before it is acknowledged."""
    with connect(config, "test", autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres SET synchronous_commit = remote_apply")
        try:
            with connect(config, "test") as other:
                assert shown(other, "synchronous_commit") == "remote_apply"
        finally:
            connection.execute("ALTER DATABASE postgres RESET synchronous_commit")


@pytest.mark.parametrize("autocommit", [False, True])
def test_statements_are_transactions_of_their_own_only_on_request(config: DatabaseConfig, autocommit: bool) -> None:
    """The statements that pin the session leave no transaction open behind them."""
    connection = connect(config, "test", autocommit=autocommit, statement_timeout_s=1)
    try:
        assert connection.autocommit is autocommit
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    finally:
        connection.close()


def test_another_database_and_another_patience_than_configured(config: DatabaseConfig) -> None:
    """For commands that work in the server's own databases."""
    with connect(config, "test", database="template1", connect_timeout_s=3) as connection:
        assert connection.info.dbname == "template1"
        assert connection.info.get_parameters()["connect_timeout"] == "3"


@pytest.mark.parametrize(
    ("change", "detail"),
    [({"user": "nobody"}, 'role "nobody" does not exist'), ({"database": "none"}, 'database "none" does not exist')],
)
def test_a_refused_login_is_not_an_unreachable_server(
    config: DatabaseConfig, change: dict[str, str], detail: str
) -> None:
    """The line has the server's own words, without the long beginning of libpq's sentence."""
    refused = attrs.evolve(config, **change)  # type: ignore[arg-type]  # both are text
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(refused, "test")
    assert diagnose(caught.value).trouble is Trouble.LOGIN_REFUSED
    assert explain(caught.value, refused, "cannot work") == (
        f"PostgreSQL at {config.address} refuses the connection: {detail}"
    )


@pytest.fixture
def versions(config: DatabaseConfig) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to a schema with an empty table of revisions."""
    with connect(config, "test", autocommit=True) as connection:
        connection.execute("CREATE SCHEMA monitoring")
        connection.execute("CREATE TABLE monitoring.schema_version (version_num text, oldest_served text)")
        yield connection
        connection.execute("DROP SCHEMA monitoring CASCADE")


def revise(connection: psycopg.Connection[tuple[object, ...]], revision: str, oldest_served: str | None) -> None:
    connection.execute("DELETE FROM monitoring.schema_version")
    connection.execute("INSERT INTO monitoring.schema_version VALUES (%s, %s)", (revision, oldest_served))


def test_an_unfit_schema_is_a_reason_to_stop_before_a_fit_one_was_seen(
    config: DatabaseConfig, versions: psycopg.Connection[tuple[object, ...]]
) -> None:
    """Someone started the wrong release: trying again will not help."""
    guard = RevisionGuard("0004", config)
    with pytest.raises(StopError, match=r"schema monitoring is empty, too old for this service, which needs 0004"):
        guard.check(versions)
    revise(versions, "0003", None)
    with pytest.raises(StopError, match=rf"^PostgreSQL at {config.address}, schema monitoring is at revision 0003"):
        guard.check(versions)
    revise(versions, "0006", "0005")
    with pytest.raises(StopError, match=r"too new for this service"):
        guard.check(versions)


def test_an_unfit_schema_is_an_outage_once_a_fit_one_was_seen(
    config: DatabaseConfig, versions: psycopg.Connection[tuple[object, ...]]
) -> None:
    """Someone is changing the schema: the service continues when the change is done."""
    guard = RevisionGuard("0004", config)
    revise(versions, "0005", "0004")
    guard.check(versions)
    revise(versions, "0003", None)
    with pytest.raises(OutageError, match=r"too old for this service"):
        guard.check(versions)
    revise(versions, "0004", None)
    guard.check(versions)


def test_a_schema_that_is_not_there_is_an_error_of_postgresql(config: DatabaseConfig) -> None:
    """The line about the error names the command that makes the schema."""
    with connect(config, "test", autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
        RevisionGuard("0004", attrs.evolve(config, schema="nowhere")).check(connection)
    assert diagnose(caught.value).trouble is Trouble.TABLES_MISSING


def test_a_connection_is_kept_until_it_is_closed(
    config: DatabaseConfig, versions: psycopg.Connection[tuple[object, ...]]
) -> None:
    """The schema is looked at whenever a new one is made."""
    revise(versions, "0004", None)
    kept = KeptConnection("0004", config, "test", statement_timeout_s=5.0)
    first = kept.opened()
    assert kept.opened() is first
    kept.close()
    kept.close()
    assert first.closed
    revise(versions, "0003", None)
    with pytest.raises(OutageError, match=r"too old for this service"):
        kept.opened()
    revise(versions, "0004", None)
    assert kept.opened().execute("SHOW statement_timeout").fetchone() == ("5s",)
    kept.close()
