"""A service that a test writes through, and what it wrote down of that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import psycopg
    import requests
    from conftest import Served


@attrs.frozen
class Writing:
    """A service that may be written through, and a token that may.

    Attributes:
        account: of PostgreSQL, which writes.
    """

    served: Served
    token: str
    account: str

    def __call__(self, method: str, path: str, content: object = None, **headers: str) -> requests.Response:
        """Send a request. Args: headers: by their names, with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | named
        data = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        return self.served.send(method, f"/api/v1{path}", data=data, headers=named)

    def tag(self, target_id: int = 1) -> str:
        """The ETag of a target as anybody reads it."""
        return str(self.served.get(f"/api/v1/targets/{target_id}").headers["ETag"])


def writes(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """What was written, the first first."""
    return connection.execute(
        "SELECT token, account, operation, subject, status FROM monitoring.status_write ORDER BY write_id"
    ).fetchall()
