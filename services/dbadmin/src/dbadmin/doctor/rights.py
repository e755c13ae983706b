"""The rights of the accounts on the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import one_row
from dbadmin.doctor.findings import Finding, failed, passed
from dbadmin.install.privileges import PRIVILEGES
from monitoring_core.config import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from monitoring_core.config import Config

_CREATE = "run dbadmin create-roles"


def check_rights(connection: psycopg.Connection[Any], config: Config, role: Role) -> Iterator[Finding]:
    """Whether the account of a part may do all that the part does."""
    user = config.roles.user(role)
    if user is None:
        if role in (Role.READER, Role.ADMINISTRATOR, Role.STATUS_WRITER):
            return
        user = connection.info.user
    subject, schema = f"rights of the {role}", config.database.schema
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone():
        yield failed(subject, f"there is no account {user}", _CREATE)
        return
    if role is Role.ADMINISTRATOR:
        missing = _missing_ownership(connection, user, schema)
    else:
        missing = _missing_rights(connection, user, schema, role)
    if missing:
        yield failed(subject, f"{user} lacks {'; '.join(missing)}", _CREATE)
    else:
        yield passed(subject, f"{user} has all that it needs")


def _missing_ownership(connection: psycopg.Connection[Any], user: str, schema: str) -> list[str]:
    query = "SELECT pg_has_role(%s, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s"
    (owns,) = connection.execute(query, (user, schema)).fetchone() or (False,)
    return [] if owns else [f"the ownership of schema {schema}"]


def _missing_rights(connection: psycopg.Connection[Any], user: str, schema: str, role: Role) -> list[str]:
    (usage,) = one_row(connection, "SELECT has_schema_privilege(%s, %s, 'USAGE')", (user, schema))
    missing = [] if usage else [f"USAGE on schema {schema}"]
    query = "SELECT to_regclass(%s) IS NULL OR has_table_privilege(%s, to_regclass(%s), %s)"
    for table, rights in PRIVILEGES[role].items():
        name = sql.Identifier(schema, table).as_string(connection)
        for right in sorted(rights):
            (has,) = one_row(connection, query, (name, user, name, right))
            if not has:
                missing.append(f"{right} on {table}")
    return missing
