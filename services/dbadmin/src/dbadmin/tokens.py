"""The table of tokens for status-svc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from dbadmin.connect import connected
from monitoring_core.errors import StopError
from monitoring_core.tokens import new_token, token_hash
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.tokens import Scope

_ADD = """
INSERT INTO {status_token} (name, hash, scopes, expires_at)
VALUES (%(name)s, %(hash)s, %(scopes)s, now() + make_interval(secs => %(valid_s)s))
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING token_id"""
_READ = """
SELECT token_id, name, scopes, added_at, added_by, expires_at, revoked_at,
    CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END AS state
FROM {status_token} ORDER BY token_id"""
_REVOKE = "UPDATE {status_token} SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL"

# What was written to a target: to itself, to a note on one of its incidents, or to an alert about it.
_WRITES = """
SELECT * FROM (
    SELECT write_id AS id, written_at, token, operation, subject, status, location, idempotency_key, account,
        CASE split_part(subject, '/', 2)
            WHEN 'targets' THEN split_part(subject, '/', 3)::bigint
            WHEN 'notes' THEN
                (SELECT target_id FROM {incident_note} WHERE note_id = split_part(subject, '/', 3)::bigint)
            WHEN 'alerts' THEN
                (SELECT target_id FROM {alert_transition} WHERE alert_id = split_part(subject, '/', 3) LIMIT 1)
        END AS target_id
    FROM {status_write}
    WHERE written_at >= coalesce(%(since)s::timestamptz, '-infinity') AND token = coalesce(%(token)s::text, token)
) AS written
WHERE %(target_id)s::bigint IS NULL OR target_id = %(target_id)s
ORDER BY id DESC LIMIT %(limit)s"""


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
        if connection.execute(composed(_ADD, config.schema), values).fetchone() is None:
            raise StopError(f"there is a token {name!r} already: revoke it first, or take another name")
    return token


def read_tokens(config: DatabaseConfig) -> list[dict[str, Any]]:
    """All tokens, without their hashes.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(composed(_READ, config.schema)).fetchall()


def revoke_token(config: DatabaseConfig, name: str) -> None:
    """Make a token invalid for good.

    Raises:
        StopError: no token that is not revoked has this name, or PostgreSQL refuses.
        OutageError: PostgreSQL cannot be reached.
    """
    with connected(config) as connection:
        if connection.execute(composed(_REVOKE, config.schema), (name,)).rowcount == 0:
            raise StopError(f"there is no token {name!r} that could be revoked: dbadmin tokens list shows all")


def read_writes(
    config: DatabaseConfig, since: dt.datetime | None, token: str | None, target_id: int | None, limit: int | None
) -> Iterator[dict[str, Any]]:
    """What was written through the API of status-svc, the newest first, streamed; without what was answered.

    Args:
        since: not before that; None for all that is kept.
        token: by the token of this name, as it was called then.
        target_id: to this target, its notes and its alerts.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    values = {"since": since, "token": token, "target_id": target_id, "limit": limit}
    with connected(config) as connection, connection.cursor("writes", row_factory=dict_row) as cursor:
        cursor.execute(composed(_WRITES, config.schema), values)
        yield from cursor
