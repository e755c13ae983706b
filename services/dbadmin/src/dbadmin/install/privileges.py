"""What each part may do with the tables, the views and the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbadmin.connect import one_row
from monitoring_core.config import Role
from monitoring_core.tables import (
    ACKNOWLEDGEMENT_TABLE,
    ALERT_POSITION_TABLE,
    ALERT_RESULT_VIEW,
    ALERT_SNAPSHOT_TABLE,
    ALERT_TARGET_VIEW,
    ATTEMPT_TABLE,
    CHANNEL_TABLE,
    DIRTY_HOUR_TABLE,
    GAP_TABLE,
    LATER_TABLE,
    LEASE_TABLE,
    LOGOUT_TABLE,
    NOTE_TABLE,
    NOTIFICATION_TABLE,
    OCCURRENCE_TABLE,
    POSITION_TABLE,
    PUBLISHER_TABLE,
    RESULT_DEFAULT_TABLE,
    RESULT_TABLE,
    RESULT_TIME_VIEW,
    SCHEMA_VERSION_TABLE,
    TARGET_TABLE,
    TARGET_VERSION_TABLE,
    TOKEN_TABLE,
    TOLD_TABLE,
    TRANSITION_TABLE,
    WINDOW_TABLE,
    WRITE_TABLE,
)
from monitoring_runtime.commands import counted

if TYPE_CHECKING:
    import psycopg

    from monitoring_core.config import Config, RolesConfig

_READ = frozenset({"SELECT"})
# Rights on the partitioned table are enough for each of its partitions, future ones included. The administrator owns
# every table.
PRIVILEGES: dict[Role, dict[str, frozenset[str]]] = {
    Role.PRODUCER: {
        SCHEMA_VERSION_TABLE: _READ,
        TARGET_TABLE: _READ,
        TARGET_VERSION_TABLE: _READ,
        LEASE_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
    },
    Role.CONSUMER: {
        SCHEMA_VERSION_TABLE: _READ,
        RESULT_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        # The consumer counts its rows for a metric.
        RESULT_DEFAULT_TABLE: _READ,
        DIRTY_HOUR_TABLE: frozenset({"INSERT"}),
        POSITION_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        GAP_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
    },
    Role.ALERT: {
        SCHEMA_VERSION_TABLE: _READ,
        # Of targets no more than the view shows: the table has headers and bodies, which may hold secrets.
        ALERT_TARGET_VIEW: _READ,
        TARGET_VERSION_TABLE: _READ,
        WINDOW_TABLE: _READ,
        TRANSITION_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        ACKNOWLEDGEMENT_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        ALERT_POSITION_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        ALERT_SNAPSHOT_TABLE: frozenset({"SELECT", "INSERT", "DELETE"}),
        RESULT_TIME_VIEW: _READ,
        ALERT_RESULT_VIEW: _READ,
        NOTIFICATION_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        ATTEMPT_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        TOLD_TABLE: frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
        LATER_TABLE: frozenset({"SELECT", "INSERT", "DELETE"}),
        CHANNEL_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        PUBLISHER_TABLE: frozenset({"SELECT", "UPDATE"}),
    },
    # It writes nothing but that somebody has logged out.
    Role.STATUS: {LOGOUT_TABLE: frozenset({"SELECT", "INSERT"})}
    | dict.fromkeys(
        (
            SCHEMA_VERSION_TABLE,
            TARGET_VERSION_TABLE,
            "website_target",
            "website_status",
            "website_availability_hourly",
            "website_availability_daily",
            "website_incident",
            "website_check",
            "website_reason_hourly",
            "website_coverage_hourly",
            "website_due",
            "availability_progress",
            "availability_dirty_day",
            TRANSITION_TABLE,
            ACKNOWLEDGEMENT_TABLE,
            WINDOW_TABLE,
            TOKEN_TABLE,
            NOTE_TABLE,
        ),
        _READ,
    ),
    Role.STATUS_WRITER: {
        SCHEMA_VERSION_TABLE: _READ,
        # A change is judged together with all that the target has.
        TARGET_TABLE: frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
        "website_target": _READ,
        "website_incident": _READ,
        TRANSITION_TABLE: _READ,
        ACKNOWLEDGEMENT_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        WINDOW_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        NOTE_TABLE: frozenset({"SELECT", "INSERT", "UPDATE"}),
        # Nobody changes it later.
        WRITE_TABLE: frozenset({"SELECT", "INSERT"}),
    },
    Role.READER: dict.fromkeys(
        (
            "website_status",
            "website_availability_hourly",
            "website_availability_daily",
            "website_incident",
            "website_check",
            "website_reason_hourly",
            "website_coverage_hourly",
            # Of these a report is made: what was due, and how far maintain has come.
            "website_due",
            "availability_progress",
            "availability_dirty_day",
            "website_availability_outside_daily",
            OCCURRENCE_TABLE,
            TRANSITION_TABLE,
            ACKNOWLEDGEMENT_TABLE,
            WINDOW_TABLE,
            NOTIFICATION_TABLE,
            ATTEMPT_TABLE,
            CHANNEL_TABLE,
        ),
        _READ,
    ),
}
# The consumer stages rows that conflict in a temporary table, and an import of targets stages every row.
_DATABASE: dict[Role, tuple[str, ...]] = {
    Role.ADMINISTRATOR: ("CONNECT", "CREATE", "TEMPORARY"),
    Role.PRODUCER: ("CONNECT",),
    Role.CONSUMER: ("CONNECT", "TEMPORARY"),
    Role.ALERT: ("CONNECT",),
    Role.STATUS: ("CONNECT",),
    Role.STATUS_WRITER: ("CONNECT",),
    Role.READER: ("CONNECT",),
}
_PRESENT = """
SELECT c.relname, r.rolname IS NOT NULL, a.privilege_type FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL aclexplode(c.relacl) a ON true LEFT JOIN pg_roles r ON r.oid = a.grantee AND r.rolname = %s
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v')"""


def grant_to_database(connection: psycopg.Connection[Any], config: Config) -> None:
    """Let each account connect, and give it the rights on the database that it needs.

    If this user owns the database, the right to make temporary tables is left to the accounts alone, and the right to
    make anything in the schema public to its owner.
    """
    database = sql.Identifier(config.database.database)
    (owns,) = one_row(
        connection, "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
    )
    if owns:
        connection.execute(sql.SQL("REVOKE CREATE, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
        if _owns_schema(connection, "public") and config.database.schema != "public":
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for role, rights in _DATABASE.items():
        if user := config.roles.user(role):
            statement = sql.SQL("GRANT {} ON DATABASE {} TO {}")
            connection.execute(statement.format(sql.SQL(", ".join(rights)), database, sql.Identifier(user)))


def grant_privileges(connection: psycopg.Connection[Any], schema: str, roles: RolesConfig) -> list[str]:
    """Give each account exactly the rights that it needs on the schema's tables and views; returns a line a change.

    Other rights on them are revoked. An account that does not exist yet gets a line too.
    """
    if not _owns_schema(connection, schema):
        return []
    lines = []
    for role, wanted in PRIVILEGES.items():
        user = roles.user(role)
        if user is None:
            continue
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone():
            lines.append(f"role {user}: missing, run dbadmin create-roles")
            continue
        name = sql.Identifier(user)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), name))
        if changed := _make_exact(connection, schema, user, wanted):
            lines.append(f"role {user}: {counted(changed, 'right')} in schema {schema} changed")
    return lines


def _make_exact(connection: psycopg.Connection[Any], schema: str, user: str, wanted: dict[str, frozenset[str]]) -> int:
    """Grant the missing rights and revoke unwanted ones; returns the number of rights changed."""
    present: dict[str, set[str]] = {}
    for relation, ours, right in connection.execute(_PRESENT, (user, schema)).fetchall():
        present.setdefault(relation, set()).update({right} if ours else set())
    changed = 0
    for relation, has in present.items():
        wants = wanted.get(relation, frozenset())
        for statement, rights in (("GRANT {} ON {} TO {}", wants - has), ("REVOKE {} ON {} FROM {}", has - wants)):
            if rights:
                parts = sql.SQL(", ".join(sorted(rights))), sql.Identifier(schema, relation), sql.Identifier(user)
                connection.execute(sql.SQL(statement).format(*parts))
                changed += len(rights)
    return changed


def _owns_schema(connection: psycopg.Connection[Any], schema: str) -> bool:
    row = connection.execute(
        "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    return bool(row and row[0])
