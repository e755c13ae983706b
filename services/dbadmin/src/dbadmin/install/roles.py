"""The accounts of the parts in PostgreSQL, each with exactly the rights that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import connected
from dbadmin.history.statistics import compile_nothing_for
from dbadmin.install.locks import INSTALLATION_LOCK
from dbadmin.install.privileges import grant_privileges, grant_to_database
from monitoring_core.config import Role
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Account, Config

# Sequences belong to their tables, and indexes too. The names come quoted.
_OWNED_BY_OTHERS = """
SELECT 'SCHEMA', format('%%I', nspname) FROM pg_namespace
WHERE nspname = %(schema)s AND pg_get_userbyid(nspowner) <> %(owner)s
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, format('%%I.%%I', nspname, relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = %(schema)s AND relkind IN ('r', 'p', 'v') AND pg_get_userbyid(relowner) <> %(owner)s
UNION ALL
SELECT 'ROUTINE', format('%%I.%%I(%%s)', nspname, proname, pg_get_function_identity_arguments(p.oid))
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname = %(schema)s AND pg_get_userbyid(proowner) <> %(owner)s"""


def create_roles(config: Config) -> Iterator[str]:
    """Make the accounts of the section `roles`, and give each its rights; a line for each. May be repeated.

    Passwords are set anew at every run, so that a changed file is what counts. What is sent to the server is a verifier
    computed here, from which no password can be read.

    Raises:
        ConfigError: a password is not where the configuration says.
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    accounts = config.roles.accounts()
    if not accounts:
        yield "roles: none are configured, all parts connect as database.user"
        return
    with connected(config.database) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (INSTALLATION_LOCK,))
        said = [_make(connection, account) for account in accounts]
        administrator = config.roles.user(Role.ADMINISTRATOR)
        if administrator is not None:
            _become_able_to_be(connection, administrator)
        grant_to_database(connection, config)
        if reader := config.roles.user(Role.READER):
            compile_nothing_for(connection, reader, config.database.database)
        if administrator is not None:
            said += hand_over(connection, config.database.schema, administrator)
        said += grant_privileges(connection, config.database.schema, config.roles)
    yield from said


def _make(connection: Any, account: Account) -> str:
    me = connection.info.user
    if account.user == me:
        raise StopError(f"roles.{account.role}_user is {me}, as database.user is: give each role a user of its own")
    found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (account.user,)).fetchone()
    if found and found[0]:
        raise StopError(f"roles.{account.role}_user {account.user} is a superuser: name another user")
    name, verb = sql.Identifier(account.user), "ALTER" if found else "CREATE"
    connection.execute(sql.SQL("{} ROLE {} LOGIN").format(sql.SQL(verb), name))
    if account.password:
        # libpq's own function, which applies SCRAM (RFC 5802) on this side.
        verifier = connection.pgconn.encrypt_password(
            account.password.reveal().encode(), account.user.encode(), b"scram-sha-256"
        )
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier.decode())))
    what = "its password is set" if account.password else "it has no password"
    return f"role {account.user}: {'present' if found else 'made'} for the {account.role}, {what}"


def _become_able_to_be(connection: Any, administrator: str) -> None:
    """Let this user act for the administrator. Whoever makes a role may grant it to himself; since PostgreSQL 16 that
    says what for.
    """
    options = "WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160_000 else ""
    (superuser,) = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if not superuser:
        statement = sql.SQL("GRANT {} TO CURRENT_USER {}").format(sql.Identifier(administrator), sql.SQL(options))
        connection.execute(statement)


def hand_over(connection: Any, schema: str, administrator: str) -> list[str]:
    """Make the administrator the owner of the schema and of all that is in it; a line when anything was changed."""
    owner = sql.Identifier(administrator)
    statements = [
        sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(name), owner)
        for kind, name in connection.execute(_OWNED_BY_OTHERS, {"schema": schema, "owner": administrator}).fetchall()
    ]
    for statement in statements:
        connection.execute(statement)
    return [f"schema {schema}: {len(statements)} things handed over to {administrator}"] if statements else []
