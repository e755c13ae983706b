"""PostgreSQL: whether each account can connect, and everything that one account can see of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from dbadmin.connect import APPLICATION_NAME, one_row, outage_or_stop
from dbadmin.doctor.alerts import check_alerts
from dbadmin.doctor.clocks import judge
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.doctor.load import check_connections, check_leases
from dbadmin.doctor.maintenance import (
    check_long_transactions,
    check_maintenance,
    check_websites_certificates,
    check_windows,
)
from dbadmin.doctor.rights import check_rights
from dbadmin.doctor.schema import check_default_partition, check_partitions, check_retention, check_schema
from dbadmin.doctor.trials import try_part
from monitoring_core.config import Role
from monitoring_core.errors import StopError
from monitoring_runtime.postgres import Trouble, connect, diagnose, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config, DatabaseConfig

CONNECT_S = 5
_STATEMENT_S = 10.0
MIN_VERSION = 14
# What mends a server that cannot be reached, or not be trusted.
AWAY = (
    "see that it runs, that database.host and port are right, and that nothing between blocks them; for a certificate, "
    "give database.ca_certificate its authority, and database.host the name in it"
)
_SET_PASSWORDS = "dbadmin create-roles sets the passwords that the configuration names"
_CORRECT = "correct database.user and password, run dbadmin setup if the database is missing, or see to pg_hba.conf"


def check_login(who: str, config: DatabaseConfig, parts: Sequence[Role] = ()) -> Iterator[Finding]:
    """Whether an account can connect, and do what the parts do that connect as it."""
    subject = f"PostgreSQL as {who}"
    try:
        with _connect(config) as connection:
            secure = "over TLS" if connection.pgconn.ssl_in_use else "without TLS"
            yield passed(subject, f"{connection.info.user} at {config.address}, {secure}")
            for role in parts:
                yield from try_part(connection, config.schema, role)
            if Role.CONSUMER in parts:
                yield from check_durability(connection)
    except psycopg.Error as error:
        yield failed(subject, explain(error, config, "cannot be used"), _mend_login(error, who))
    except StopError as error:
        yield failed(subject, str(error), "or give dbadmin the host and port of the server itself")


def check_server(config: Config, database: DatabaseConfig, clock: Clock) -> Iterator[Finding]:
    """The server and its schema, seen by an account that may read everything; of an unfit schema only that it is so."""
    try:
        with _connect(database) as connection:
            yield check_version(connection)
            yield check_encoding(connection)
            yield check_clock(connection, clock)
            yield check_directness(connection)
            schema = check_schema(connection, database.schema)
            yield schema
            if schema.level == "pass":
                yield check_partitions(connection, database, clock)
                yield from check_default_partition(connection, database.schema)
                yield check_retention(connection, database, clock)
                yield from check_maintenance(connection, database.schema)
                yield check_windows(connection, database.schema)
                yield check_long_transactions(connection, database.schema)
                for role in Role:
                    yield from check_rights(connection, config, role)
                yield check_connections(connection, config)
                yield check_leases(connection, config)
                yield check_websites_certificates(connection, database.schema)
                yield from check_alerts(connection, database.schema)
    except psycopg.Error as error:
        yield failed("PostgreSQL", str(outage_or_stop(error, database)), "see the lines above")


def _connect(config: DatabaseConfig) -> psycopg.Connection[Any]:
    return connect(
        config, APPLICATION_NAME, autocommit=True, connect_timeout_s=CONNECT_S, statement_timeout_s=_STATEMENT_S
    )


def _mend_login(error: psycopg.Error, who: str) -> str:
    """What mends a login that failed; which of its reasons a server has, libpq tells in the server's language alone."""
    if diagnose(error).trouble is Trouble.LOGIN_REFUSED:
        return _CORRECT if who == "database.user" else _SET_PASSWORDS
    return AWAY


def check_version(connection: psycopg.Connection[Any]) -> Finding:
    """Whether the server is new enough."""
    version = connection.info.server_version
    if version // 10_000 < MIN_VERSION:
        return failed("PostgreSQL's version", f"is {version // 10_000}", f"use {MIN_VERSION} or later")
    return passed("PostgreSQL's version", f"{version // 10_000}.{version % 10_000}")


def check_encoding(connection: psycopg.Connection[Any]) -> Finding:
    """Whether the database can hold every text: what it cannot hold keeps a consumer from all that comes after it."""
    (encoding,) = one_row(connection, "SELECT current_setting('server_encoding')")
    subject = "encoding of the database"
    if encoding != "UTF8":
        mend = "name another database in database.database, and dbadmin setup makes it in UTF8"
        return failed(subject, f"is {encoding}, in which not every result can be stored", mend)
    return passed(subject, encoding)


def check_clock(connection: psycopg.Connection[Any], clock: Clock) -> Finding:
    """How far the server's clock is from this machine's."""
    before_ms = clock.now_ms()
    (server_s,) = one_row(connection, "SELECT extract(epoch FROM clock_timestamp())")
    after_ms = clock.now_ms()
    ahead_s = float(server_s) - (before_ms + after_ms) / 2000
    return judge("clock of PostgreSQL", ahead_s, (after_ms - before_ms) / 2000)


def check_durability(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Whether what was committed outlives a crash of the server: Kafka's offsets say that it is stored."""
    with connection.transaction():  # through a pool, settings are those of a transaction
        (value,) = one_row(connection, "SELECT current_setting('synchronous_commit')")
    if value == "off":
        yield failed(
            "durability of PostgreSQL",
            "synchronous_commit is off: a crash loses results that count as stored",
            "set it to on, for the server, the database and the account",
        )


def check_directness(connection: psycopg.Connection[Any]) -> Finding:
    """Whether the connection leads to the server itself: a pool tells another process number than the server does."""
    (pid,) = one_row(connection, "SELECT pg_backend_pid()")
    subject = "way to PostgreSQL"
    if pid != connection.info.backend_pid:
        mend = "give dbadmin the host and port of the server itself"
        return warned(subject, "a connection pool is between, and dbadmin's locks belong to a session", mend)
    return passed(subject, "no connection pool is between")
