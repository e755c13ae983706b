"""The accounts of the parts in PostgreSQL, each with exactly the rights that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import connected, one_row
from dbadmin.history.statistics import disable_jit_for
from dbadmin.install.locks import hold_installation_lock, say_nothing
from dbadmin.install.privileges import grant_privileges, grant_to_database
from monitoring_core.config import Role
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from dbadmin.install.locks import Tell
    from monitoring_core.config import Account, Config

# Sequences and indexes belong to the owner of their table. The names come quoted.
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


def create_roles(config: Config, tell: Tell = say_nothing) -> Iterator[str]:
    """Make the accounts of the section `roles`, and give each its rights; yields a line for each. May be repeated.

    Passwords are set at every run, so that a changed file takes effect. The server gets only a verifier, computed here,
    from which the password cannot be read.

    Args:
        tell: is told what is waited for.

    Raises:
        ConfigError: a password is not where the configuration says.
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    accounts = config.roles.accounts()
    if not accounts:
        yield "roles: none are configured, all parts connect as database.user"
        return
    with connected(config.database) as connection:
        hold_installation_lock(connection, tell, session=False)
        lines = [_create(connection, account) for account in accounts]
        lines += _grant(connection, config)
    yield from lines


def _create(connection: psycopg.Connection[Any], account: Account) -> str:
    me = connection.info.user
    if account.user == me:
        raise StopError(f"roles.{account.role}_user is {me}, as database.user is: give each role a user of its own")
    found = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (account.user,)).fetchone()
    if found and found[0]:
        raise StopError(f"roles.{account.role}_user {account.user} is a superuser: name another user")
    verb = sql.SQL("ALTER" if found else "CREATE")
    connection.execute(sql.SQL("{} ROLE {} LOGIN").format(verb, sql.Identifier(account.user)))
    if account.password:
        _set_password(connection, account.user, account.password.reveal())
    what = "its password is set" if account.password else "it has no password"
    return f"role {account.user}: {'present' if found else 'made'} for the role {account.role}, {what}"


def _set_password(connection: psycopg.Connection[Any], user: str, password: str) -> None:
    # libpq computes the SCRAM verifier (RFC 5802) on this side.
    verifier = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier.decode()))
    connection.execute(statement)


def _grant(connection: psycopg.Connection[Any], config: Config) -> list[str]:
    administrator, schema = config.roles.user(Role.ADMINISTRATOR), config.database.schema
    if administrator is not None:
        _join(connection, administrator)
    grant_to_database(connection, config)
    for role in (Role.STATUS, Role.READER):
        if reader := config.roles.user(role):
            disable_jit_for(connection, reader, config.database.database)
    lines = hand_over(connection, schema, administrator) if administrator is not None else []
    return lines + grant_privileges(connection, schema, config.roles)


def _join(connection: psycopg.Connection[Any], administrator: str) -> None:
    """Let this user act for the administrator.

    A user that makes a role may grant that role to itself; since PostgreSQL 16 the grant says what it allows.
    """
    options = "WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160_000 else ""
    (superuser,) = one_row(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if not superuser:
        statement = sql.SQL("GRANT {} TO CURRENT_USER {}").format(sql.Identifier(administrator), sql.SQL(options))
        connection.execute(statement)


def hand_over(connection: psycopg.Connection[Any], schema: str, administrator: str) -> list[str]:
    """Make the administrator the owner of the schema and of everything in it; returns a line when anything changed."""
    owner = sql.Identifier(administrator)
    statements = [
        sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(name), owner)
        for kind, name in connection.execute(_OWNED_BY_OTHERS, {"schema": schema, "owner": administrator}).fetchall()
    ]
    for statement in statements:
        connection.execute(statement)
    return [f"schema {schema}: {len(statements)} things handed over to {administrator}"] if statements else []
