"""The table of tokens for status-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from dbadmin.connect import connected
from monitoring_core.errors import StopError
from monitoring_core.tables import TOKEN_TABLE
from monitoring_core.tokens import new_token, token_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.tokens import Scope

_ADD = """
INSERT INTO {tokens} (name, hash, scopes, expires_at)
VALUES (%(name)s, %(hash)s, %(scopes)s, now() + make_interval(secs => %(valid_s)s))
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING token_id"""
_READ = """
SELECT token_id, name, scopes, added_at, added_by, expires_at, revoked_at,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS state
FROM {tokens} ORDER BY token_id"""
_REVOKE = "UPDATE {tokens} SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL"


def add_token(config: DatabaseConfig, name: str, scopes: Iterable[Scope], valid_s: float | None) -> str:
    """Add a token and return it: it is kept nowhere.

    Args:
        valid_s: for how many seconds it is valid; None for always.

    Raises:
        StopError: a token that is not revoked has this name, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
    """
    token = new_token()
    values = {"name": name, "hash": token_hash(token), "scopes": [str(scope) for scope in scopes], "valid_s": valid_s}
    with connected(config) as connection:
        if connection.execute(_composed(config, _ADD), values).fetchone() is None:
            raise StopError(f"there is a token {name!r} already: revoke it first, or take another name")
    return token


def read_tokens(config: DatabaseConfig) -> list[dict[str, Any]]:
    """All tokens, without their hashes.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_composed(config, _READ)).fetchall()


def revoke_token(config: DatabaseConfig, name: str) -> None:
    """Make a token invalid for good.

    Raises:
        StopError: no token that is not revoked has this name, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
    """
    with connected(config) as connection:
        if connection.execute(_composed(config, _REVOKE), (name,)).rowcount == 0:
            raise StopError(f"there is no token {name!r} that could be revoked: dbadmin tokens list shows all")


def _composed(config: DatabaseConfig, statement: str) -> sql.Composed:
    return sql.SQL(statement).format(tokens=sql.Identifier(config.schema, TOKEN_TABLE))
