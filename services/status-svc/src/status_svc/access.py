"""Who may do what: tokens, and how many requests each client may make."""

from __future__ import annotations

import base64
import contextlib
import functools
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import OutageError
from monitoring_core.tokens import Scope, token_hash
from status_svc.limits import Limits, network_of
from status_svc.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from starlette.requests import Request
    from starlette.responses import Response

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig
    from status_svc.ports import Database

    Endpoint = Callable[[Request], Awaitable[Response]]

_KNOWN = """
SELECT token_id, name, scopes FROM {status_token}
WHERE hash = %(hash)s AND revoked_at IS NULL AND coalesce(expires_at > now(), true)"""
_MOST_KEPT = 1_000
_ASK = {"WWW-Authenticate": "Bearer"}


@attrs.frozen
class Token:
    """A token that is valid.

    Attributes:
        name: whose it is.
    """

    id: int
    name: str
    scopes: frozenset[str]


class Access:
    """Lets requests in.

    What the database says of a token is kept as long as answers are (`status.cache`): a token that is revoked works for
    that long. A page that is open hears on until it has to show its token again (`pages.web`). While PostgreSQL is
    away, what it said last holds, so that whoever looks at pages is not locked out of what they show then.
    """

    def __init__(self, settings: StatusConfig, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._limits = Limits(settings.requests_per_minute, clock)
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, Token]] = OrderedDict()

    def guard(self, scope: Scope, endpoint: Endpoint) -> Endpoint:
        """An endpoint that answers only whoever may. It finds the token at `request.state.token`, None without one."""

        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            request.state.token = await self.admit(request, scope)
            return await endpoint(request)

        return guarded

    async def admit(self, request: Request, scope: Scope, *, browser: bool = False) -> Token | None:
        """The token of a request that may do this; None for somebody without a token who may all the same.

        Args:
            browser: whether the token may also be the password that a browser keeps. A browser shows it whatever site
                made it ask, so this is for pages alone, which change nothing.

        Raises:
            ProblemError: it may not, or there are too many of this client.
        """
        shown = request.headers.get("Authorization")
        if shown is None:
            self.count(request)
            if scope is Scope.READ and self._settings.anonymous_read:
                return None
            raise ProblemError(401, "Send a token: Authorization: Bearer TOKEN (dbadmin tokens add).", _ASK)
        token = await self._token(request, _secret(shown, browser=browser))
        self.count(request, token.id)
        if scope not in token.scopes:
            raise ProblemError(403, f"The token has no scope {scope}.")
        return token

    async def _token(self, request: Request, secret: str) -> Token:
        key = token_hash(secret) if secret else b""
        now = self._clock.monotonic()
        if (kept := self._kept.get(key)) and now - kept[0] < self._settings.cache.total_seconds():
            return kept[1]
        # Tokens that are not known cost a statement each: they count for the address.
        self.count(request)
        try:
            rows = await self._database.rows(_KNOWN, {"hash": key}) if key else []
        except OutageError:
            if kept is None:
                raise
            self._kept[key] = now, kept[1]
            return kept[1]
        if not rows:
            self._kept.pop(key, None)
            raise ProblemError(401, "The token is not known, has expired, or was revoked.", _ASK)
        token = Token(rows[0]["token_id"], rows[0]["name"], frozenset(rows[0]["scopes"]))
        self._kept[key] = now, token
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return token

    def count(self, request: Request, client: Hashable = None) -> None:
        """Count a request for a client; for the address that it comes from when nothing else is known of it.

        Raises:
            ProblemError: there are too many of this client.
        """
        client = address_of(request) if client is None else client
        if wait_s := self._limits.wait_s(client):
            raise ProblemError(429, "Wait before you ask again.", {"Retry-After": str(math.ceil(wait_s))})


def _secret(shown: str, *, browser: bool) -> str:
    """The token in the field Authorization: a bearer's or, from a browser, the password; else nothing."""
    kind, _, value = shown.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if browser and kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
    return ""


def address_of(request: Request) -> str:
    """What stands for the address that a request comes from."""
    return network_of(request.client.host) if request.client else ""
