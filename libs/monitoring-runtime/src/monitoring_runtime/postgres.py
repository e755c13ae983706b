"""Connections to PostgreSQL: how each begins, whether a service fits its schema, and what its errors mean."""

from __future__ import annotations

import enum
import re
import string
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from psycopg.types.json import set_json_loads

from monitoring_core.errors import OutageError, StopError
from monitoring_core.revision import QUERY, why_unfit
from monitoring_core.tables import SCHEMA_VERSION_TABLE
from monitoring_runtime.session import Session
from monitoring_runtime.sqlstates import lacks_partition
from monitoring_runtime.stored_json import read_json

if TYPE_CHECKING:
    from monitoring_core.config import DatabaseConfig


class NotReadyError(psycopg.OperationalError):
    """The server takes no connections yet, or no more: it starts, recovers or shuts down."""


def connect(
    config: DatabaseConfig,
    application_name: str,
    *,
    database: str | None = None,
    autocommit: bool = False,
    connect_timeout_s: int | None = None,
    statement_timeout_s: float | None = None,
    direct: bool = False,
) -> Session:
    """A new connection, in a session with our settings (see `Session`).

    Args:
        application_name: what pg_stat_activity shows.
        database: instead of the one in the configuration.
        connect_timeout_s: instead of the one in the configuration.
        statement_timeout_s: how long the server lets a statement run; None for as long as it takes.
        direct: whether to refuse a pool of connections, through which locks and temporary tables get lost.

    Raises:
        StopError: there is a pool, and it must not be, or it keeps no transaction together.
        psycopg.Error: the connection cannot be made; `explain` says why.
    """
    parameters = config.connection_parameters(application_name)
    if database is not None:
        parameters["dbname"] = database
    if connect_timeout_s is not None:
        parameters["connect_timeout"] = str(connect_timeout_s)
    parameters["client_encoding"] = "UTF8"
    try:
        connection = Session.connect(make_conninfo(**parameters), autocommit=True)
    except psycopg.OperationalError as error:
        # Only this question does libpq answer from the SQLSTATE of a refusal (57P03). Other threads wait meanwhile.
        asked = make_conninfo(**parameters | {"connect_timeout": "2"})
        if _REFUSAL.search(first_line(error)) and PGconn.ping(asked.encode()) == Ping.REJECT:
            raise NotReadyError(*error.args) from None
        raise
    set_json_loads(read_json, connection)
    try:
        connection.pin(statement_timeout_s)
        if connection.in_pool:
            _check_pool(connection, config, direct)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _check_pool(connection: Session, config: DatabaseConfig, direct: bool) -> None:
    if direct:
        raise StopError(
            f"{where(config)} is a pool of connections (PgBouncer), and this command needs the server itself: give it "
            "the server's own address, like --set database.port=5432"
        )
    try:
        connection.execute("BEGIN")
        connection.execute("ROLLBACK")
    except psycopg.errors.ProtocolViolation:  # what PgBouncer calls its refusals
        raise StopError(
            f"{where(config)} is a pool of connections that keeps no transaction together: set its pool_mode to "
            "transaction or session"
        ) from None


@lru_cache(maxsize=256)
def composed(statement: str, schema: str) -> str:
    """A statement with the names of the schema in it: `{name}` is a relation or a function there.

    Statements are constants: there are few of them.
    """
    names = {name: sql.Identifier(schema, name) for _, name, _, _ in string.Formatter().parse(statement) if name}
    return sql.SQL(statement).format(**names).as_string()


class RevisionGuard:
    """Keeps a service from working with a schema that does not serve its release (docs/adr/0008).

    An unfit schema stops a service that has never found it fit: somebody started the wrong release. For a service that
    has, it is an outage: somebody is changing the schema, and the service waits until it is fit again.
    """

    def __init__(self, needed: str, config: DatabaseConfig) -> None:
        """Args: needed: the oldest revision that has all that the service uses."""
        self._needed = needed
        self._config = config
        self._was_fit = False

    def connect(self, application_name: str, *, statement_timeout_s: float | None = None) -> Session:
        """A new connection to a schema that is fit; each statement is a transaction of its own.

        Args:
            application_name, statement_timeout_s: as in `connect`.

        Raises:
            OutageError, StopError: as `check`; StopError also as `connect`.
            psycopg.Error: the connection cannot be made, or the revision not be read.
        """
        connection = connect(self._config, application_name, autocommit=True, statement_timeout_s=statement_timeout_s)
        try:
            self.check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def check(self, connection: psycopg.Connection[Any]) -> None:
        """Look at the schema's revision, on each new connection before it is used.

        Raises:
            OutageError: the schema is not fit, and was at an earlier check.
            StopError: the schema is not fit, and never was.
            psycopg.Error: the revision cannot be read.
        """
        schema = self._config.schema
        query = sql.SQL(QUERY).format(versions=sql.Identifier(schema, SCHEMA_VERSION_TABLE))
        present, oldest_served = connection.execute(query).fetchone() or (None, None)
        if why := why_unfit(self._needed, present, oldest_served, schema):
            raise (OutageError if self._was_fit else StopError)(f"{where(self._config)}, {why}")
        self._was_fit = True


class KeptConnection:
    """The one connection of a loop: opened when it is first used, and again after it was closed.

    A RevisionGuard checks each new connection. Not for more than one thread at once.
    """

    def __init__(
        self, needed: str, config: DatabaseConfig, application_name: str, *, statement_timeout_s: float | None = None
    ) -> None:
        """Args: needed: as in RevisionGuard; application_name, statement_timeout_s: as in `connect`."""
        self._guard = RevisionGuard(needed, config)
        self._application_name = application_name
        self._statement_timeout_s = statement_timeout_s
        self._session: Session | None = None

    def opened(self) -> Session:
        """The connection.

        Raises:
            OutageError, StopError, psycopg.Error: as RevisionGuard.connect.
        """
        if self._session is None:
            self._session = self._guard.connect(self._application_name, statement_timeout_s=self._statement_timeout_s)
        return self._session

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._session is not None:
            self._session.close()
            self._session = None


class Trouble(enum.Enum):
    """What kind of trouble an error of PostgreSQL is."""

    UNREACHABLE = enum.auto()
    LOGIN_REFUSED = enum.auto()
    TABLES_MISSING = enum.auto()
    RIGHTS_MISSING = enum.auto()
    PARTITION_MISSING = enum.auto()
    OTHER = enum.auto()


# PostgreSQL documentation, appendix A. libpq does not pass on the SQLSTATE when a connection fails.
_BY_SQLSTATE = {
    "42P01": Trouble.TABLES_MISSING,  # undefined_table
    "3F000": Trouble.TABLES_MISSING,  # invalid_schema_name
    "42501": Trouble.RIGHTS_MISSING,  # insufficient_privilege
}

# How libpq passes on what a server says: its severity, in its own language, and two spaces before the text. libpq
# itself speaks English, because no program here sets its language.
_REFUSAL = re.compile(r" failed: \S[^:]*:  (.*)")


@attrs.frozen
class Diagnosis:
    """What an error of PostgreSQL means.

    Attributes:
        detail: what the server or libpq said, one line.
    """

    trouble: Trouble
    detail: str


def diagnose(error: psycopg.Error) -> Diagnosis:
    """The kind of trouble that an error stands for, from its SQLSTATE or from libpq's text."""
    line = first_line(error)
    if lacks_partition(error):
        return Diagnosis(Trouble.PARTITION_MISSING, line)
    if error.sqlstate is not None:
        return Diagnosis(_BY_SQLSTATE.get(error.sqlstate, Trouble.OTHER), line)
    if not isinstance(error, psycopg.OperationalError):
        return Diagnosis(Trouble.OTHER, line)
    if refusal := _REFUSAL.search(line):
        trouble = Trouble.UNREACHABLE if isinstance(error, NotReadyError) else Trouble.LOGIN_REFUSED
        return Diagnosis(trouble, refusal[1])
    return Diagnosis(Trouble.UNREACHABLE, line.rpartition("failed: ")[2])


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its name: PostgreSQL's further lines hold values of rows and statements."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def explain(error: psycopg.Error, config: DatabaseConfig, failure: str) -> str:
    """An error in one plain line, with the address and, where it is known, the command that mends it.

    Args:
        failure: what does not work, like "cannot store results", for trouble that the address alone does not explain.
    """
    diagnosis = diagnose(error)
    match diagnosis.trouble:
        case Trouble.UNREACHABLE:
            return f"{where(config)} cannot be reached: {diagnosis.detail}"
        case Trouble.LOGIN_REFUSED:
            return f"{where(config)} refuses the connection: {diagnosis.detail}"
        case Trouble.TABLES_MISSING:
            missing = f"has not all tables of schema {config.schema}"
            return f"{where(config)}, database {config.database} {missing}: run dbadmin create-schema"
        case Trouble.PARTITION_MISSING:
            return f"{where(config)} {failure}: their day has no partition (run dbadmin maintain)"
        case Trouble.RIGHTS_MISSING:
            return f"{where(config)} {failure}: {diagnosis.detail} (run dbadmin create-roles)"
    return f"{where(config)} {failure}: {diagnosis.detail}"


def where(config: DatabaseConfig) -> str:
    """The server as messages for people name it."""
    return f"PostgreSQL at {config.address}"
