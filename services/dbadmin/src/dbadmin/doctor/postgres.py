"""PostgreSQL: each account, the schema in it, and what it still has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from dbadmin.connect import conninfo, explained
from dbadmin.doctor.clocks import judge
from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.history import partitions
from dbadmin.install.privileges import PRIVILEGES
from dbadmin.install.revisions import newest_revision
from dbadmin.sizing.inventory import loads_in, max_connections_in
from dbadmin.sizing.planning import CHECK_US, Circumstances, Costs, plan
from monitoring_core.assignment import producers_needed
from monitoring_core.clock import from_ms
from monitoring_core.config import Role
from monitoring_core.tables import LEASE_TABLE, RESULT_DEFAULT_TABLE, SCHEMA_VERSION_TABLE, TARGET_TABLE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from monitoring_core.clock import Clock
    from monitoring_core.config import Config, DatabaseConfig

CONNECT_S = 5
_STATEMENT_MS = 10_000
MIN_VERSION = 14
_LOGIN = "dbadmin create-roles sets the passwords that the configuration names"


def check_login(who: str, config: DatabaseConfig) -> Iterator[Finding]:
    """Whether an account can connect."""
    subject = f"PostgreSQL as {who}"
    try:
        with _connect(config) as connection:
            info = connection.info
            secure = "over TLS" if connection.pgconn.ssl_in_use else "without TLS"
            yield passed(subject, f"{info.user} at {config.address}, {secure}")
    except psycopg.Error as error:
        yield failed(subject, str(explained(error, config)), _mend_login(str(error), who))


def check_server(config: Config, database: DatabaseConfig, clock: Clock) -> Iterator[Finding]:
    """Everything else, with an account that may look at all of it; nothing when it cannot connect."""
    try:
        with _connect(database) as connection:
            yield from _version(connection)
            yield check_clock(connection, clock)
            if (found := check_schema(connection, database.schema)).level != "pass":
                yield found
                return
            yield found
            yield check_partitions(connection, database, clock)
            yield from check_default_partition(connection, database.schema)
            for role in Role:
                yield from check_rights(connection, config, role)
            yield check_connections(connection, config)
            yield check_leases(connection, config)
    except psycopg.Error as error:
        yield failed("PostgreSQL", str(explained(error, database)), "see the lines above")


def _connect(config: DatabaseConfig) -> psycopg.Connection[Any]:
    connection = psycopg.connect(conninfo(config), connect_timeout=CONNECT_S, autocommit=True)
    connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(_STATEMENT_MS)))
    return connection


def _mend_login(error: str, who: str) -> str:
    if "password authentication failed" in error or "no password supplied" in error:
        return "correct database.password" if who == "database.user" else _LOGIN
    if "does not exist" in error:
        return "run dbadmin setup"
    if "certificate verify failed" in error or "does not match host name" in error:
        return (
            "give database.ca_certificate the authority of this server, and database.host the name in its certificate"
        )
    if "no pg_hba.conf entry" in error:
        return "allow this address and user in the server's pg_hba.conf, or its allow list"
    return "see that it runs, that database.host and port are right, and that nothing between blocks them"


def _version(connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    version = connection.info.server_version
    if version // 10_000 < MIN_VERSION:
        yield failed("PostgreSQL's version", f"is {version // 10_000}", f"use {MIN_VERSION} or later")
    else:
        yield passed("PostgreSQL's version", f"{version // 10_000}.{version % 10_000}")


def check_clock(connection: psycopg.Connection[Any], clock: Clock) -> Finding:
    """How far its clock is from this machine's."""
    before = clock.now_ms()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    after = clock.now_ms()
    there_s = float(row[0]) if row else 0.0
    return judge("clock of PostgreSQL", there_s - (before + after) / 2000, (after - before) / 2000)


def check_schema(connection: psycopg.Connection[Any], schema: str) -> Finding:
    """Whether the schema is at the revision that this dbadmin makes."""
    subject, newest = f"schema {schema}", newest_revision()
    table = sql.Identifier(schema, SCHEMA_VERSION_TABLE)
    try:
        row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    except psycopg.errors.InsufficientPrivilege:
        return failed(subject, f"{connection.info.user} may not read it", "run dbadmin create-roles")
    if row is None:
        return failed(subject, "is missing", "run dbadmin create-schema")
    if row[0] == newest:
        return passed(subject, f"revision {newest}")
    if row[0] < newest:
        return failed(subject, f"is at revision {row[0]}, older than {newest}", "run dbadmin create-schema")
    return failed(subject, f"is at revision {row[0]}, which this dbadmin does not know", "use a newer dbadmin")


def check_partitions(connection: psycopg.Connection[Any], config: DatabaseConfig, clock: Clock) -> Finding:
    """Whether the coming days have partitions."""
    subject, mend = "partitions ahead", "run dbadmin maintain, every hour by a timer"
    if not partitions.is_partitioned(connection, config.schema):
        return passed(subject, "a hypertable makes its own")
    days = set(partitions.attached_days(connection, config.schema))
    wanted = partitions.days(_today(clock), config.partitions_ahead)[1:]
    ahead = next((number for number, day in enumerate(wanted) if day not in days), len(wanted))
    if ahead < 2:
        return failed(subject, f"today or tomorrow has none: {'today' if not ahead else 'tomorrow'}", mend)
    if ahead < len(wanted) / 2:
        return warned(subject, f"up to {wanted[ahead - 1]}, {len(wanted) - ahead} days are missing", mend)
    return passed(subject, f"up to {wanted[ahead - 1]}")


def check_default_partition(connection: psycopg.Connection[Any], schema: str) -> Iterator[Finding]:
    """Rows of days that had no partition."""
    table = sql.Identifier(schema, RESULT_DEFAULT_TABLE)
    known = connection.execute("SELECT to_regclass(%s)", (table.as_string(connection),)).fetchone()
    if known and known[0]:
        row = connection.execute(sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) r").format(table)).fetchone()
        if row and row[0]:
            count = "1,000 or more" if row[0] == 1000 else str(row[0])
            yield warned("default partition", f"holds {count} rows of days without a partition", "run dbadmin maintain")


def check_rights(connection: psycopg.Connection[Any], config: Config, role: Role) -> Iterator[Finding]:
    """Whether the account that a part uses may do all that the part does."""
    user = config.roles.user(role)
    if user is None:
        if role in (Role.READER, Role.ADMINISTRATOR):
            return
        user = connection.info.user
    subject, schema = f"rights of the {role}", config.database.schema
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone():
        yield failed(subject, f"there is no account {user}", "run dbadmin create-roles")
        return
    if role is Role.ADMINISTRATOR:
        row = connection.execute(
            "SELECT pg_has_role(%s, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s", (user, schema)
        ).fetchone()
        missing = [] if row and row[0] else [f"the ownership of schema {schema}"]
    else:
        missing = _missing_rights(connection, user, schema, role)
    if missing:
        yield failed(subject, f"{user} lacks {'; '.join(missing)}", "run dbadmin create-roles")
    else:
        yield passed(subject, f"{user} has all that it needs")


def _missing_rights(connection: psycopg.Connection[Any], user: str, schema: str, role: Role) -> list[str]:
    row = connection.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", (user, schema)).fetchone()
    missing = [] if row and row[0] else [f"USAGE on schema {schema}"]
    for table, rights in PRIVILEGES[role].items():
        name = sql.Identifier(schema, table).as_string(connection)
        for right in sorted(rights):
            row = connection.execute(
                "SELECT to_regclass(%s) IS NULL OR has_table_privilege(%s, to_regclass(%s), %s)",
                (name, user, name, right),
            ).fetchone()
            if not row or not row[0]:
                missing.append(f"{right} on {table}")
    return missing


def check_connections(connection: psycopg.Connection[Any], config: Config) -> Finding:
    """Whether all that the targets need can connect at once."""
    costs = Costs(check_us=CHECK_US[config.monitor.engine])
    known = Circumstances(max_connections=max_connections_in(connection))
    needs = plan(config, loads_in(connection, config), costs, known)
    need = next(need for need in needs if need.what == "connections to PostgreSQL")
    have, subject = int(need.have or 0), "connections to PostgreSQL"
    if need.need > have:
        return failed(subject, f"{need.need:g} are needed and {have} allowed", need.advice)
    if need.need > 0.8 * have:
        return warned(subject, f"{need.need:g} are needed of {have}", need.advice)
    return passed(subject, f"{need.need:g} are needed of {have}")


def check_leases(connection: psycopg.Connection[Any], config: Config) -> Finding:
    """Whether each producer ID that is needed is held."""
    count = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE amc_active").format(sql.Identifier(config.database.schema, TARGET_TABLE))
    ).fetchone()
    held = connection.execute(
        sql.SQL("SELECT producer_id FROM {} WHERE location = %s AND expires_at > now()").format(
            sql.Identifier(config.database.schema, LEASE_TABLE)
        ),
        (config.monitor.location,),
    ).fetchall()
    needed = producers_needed(int(count[0]) if count else 0, config.monitor.websites_per_container)
    free = sorted(set(range(1, needed + 1)) - {int(row[0]) for row in held})
    subject = f"producers in {config.monitor.location}"
    if free:
        shown = ", ".join(map(str, free[:10])) + (", …" if len(free) > 10 else "")
        return warned(subject, f"{len(free)} of {needed} IDs have none: {shown}", "run producer-svc run --id for each")
    return passed(subject, f"{needed} needed, all IDs are held")


def _today(clock: Clock) -> dt.date:
    return from_ms(clock.now_ms()).date()
