"""People log in with an OpenID provider to see the inner pages (docs/adr/0021). It needs the extra `oidc`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import structlog
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from monitoring_core.errors import OutageError
from monitoring_core.result import one_line
from status_svc.admission import admits
from status_svc.ports import UntrustedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig
    from status_svc.access import Access
    from status_svc.logouts import Logouts
    from status_svc.ports import Provider

log = structlog.get_logger()

COOKIE = "status_session"
_CALLBACK = "callback"
_NO_STORE = {"Cache-Control": "no-store"}
_WHO, _SINCE, _UNTIL, _NAME = "who", "since", "until", "name"
# A browser drops cookies of more than 4 KiB, so what is kept in one is bounded.
_LONGEST_NAME = 200
_LONGEST_WHO = 255


class Login:
    """Who has logged in is in a signed cookie, which browsers send to the inner pages alone."""

    def __init__(self, settings: StatusConfig, provider: Provider, logouts: Logouts, key: str, clock: Clock) -> None:
        """Args: key: signs the cookies."""
        self._settings = settings
        self._provider = provider
        self._logouts = logouts
        self._clock = clock
        self._public = f"{(settings.public_url or '').rstrip('/')}/"
        self._inner = f"{self._public}inner/"
        # Whoever changes who may log in ends all sessions, because they were judged by other rules.
        rules = repr((settings.oidc_issuer, settings.oidc_client_id, sorted(settings.oidc_allowed)))
        self.middleware = [
            Middleware(
                SessionMiddleware,
                secret_key=f"{key} {rules}",
                session_cookie=COOKIE,
                max_age=int(settings.oidc_session.total_seconds()),
                path=urlsplit(self._inner).path,
                same_site="lax",
                https_only=self._inner.startswith("https:"),
            )
        ]

    def routes(self, access: Access) -> list[Route]:
        """Where browsers come back to, and where they log out."""

        async def callback(request: Request) -> Response:
            access.count(request)
            return await self._come_back(request)

        async def logout(request: Request) -> Response:
            access.count(request)
            return await self._leave(request)

        return [
            Route(f"/inner/{_CALLBACK}", callback, methods=["GET"], middleware=self.middleware),
            Route("/inner/logout", logout, methods=["POST"], middleware=self.middleware),
        ]

    async def who(self, request: Request) -> str | None:
        """Who has logged in in this browser, by the name that the provider gives; None for nobody.

        Raises:
            OutageError: PostgreSQL never said which logins were ended.
        """
        if request.session.get(_WHO):
            await self._logouts.look()
        return request.session[_WHO] if self.lasts(request) else None

    def lasts(self, request: Request) -> bool:
        """Whether somebody has logged in in this browser, as far as is known already."""
        session: dict[str, Any] = request.session
        return session.get(_UNTIL, 0) > self._now_s() and not self._logouts.ended(session[_WHO], session.get(_SINCE, 0))

    async def begin(self, request: Request, name: str, query: str = "") -> Response:
        """Send a browser to the provider; it comes back to the inner document of this name, with this query."""
        request.session.clear()
        quoted = quote(name) + (f"?{query}" if query else "")
        request.session[_NAME] = quoted if len(quoted) <= _LONGEST_NAME else ""
        try:
            answer = await self._provider.begin(request, self._inner + _CALLBACK)
        except OutageError as error:
            return _away(error)
        answer.headers.update(_NO_STORE)
        return answer

    async def _come_back(self, request: Request) -> Response:
        try:
            claims = await self._provider.finish(request)
            since = await self._logouts.now()
        except OutageError as error:
            return _away(error)
        except UntrustedError as error:
            log.warning("a login failed", error=str(error))
            return _refused("The login did not succeed. Open the page again to try once more.\n")
        who = _name_of(str(claims["sub"]))
        name = str(request.session.get(_NAME, ""))
        request.session.clear()
        if not who or not admits(self._settings.oidc_allowed, claims):
            log.warning("a login was refused", who=who)
            return _refused("You may not see these pages: ask whoever runs them.\n")
        until = self._now_s() + self._settings.oidc_session.total_seconds()
        request.session.update({_WHO: who, _SINCE: since, _UNTIL: until})
        log.info("somebody logged in", who=who)
        # Always below the address of this service, whatever the name is.
        return RedirectResponse(self._inner + name, HTTPStatus.SEE_OTHER, _NO_STORE)

    async def _leave(self, request: Request) -> Response:
        """End all logins of whoever leaves: a copy of the cookie may be elsewhere."""
        try:
            if who := await self.who(request):
                await self._logouts.end(who)
                log.info("somebody logged out", who=who)
        except OutageError as error:
            log.warning("somebody logged out in one browser alone", error=str(error))
            return _unavailable("You are logged out in this browser. What else you have open stays open for now.\n")
        finally:
            request.session.clear()
        return RedirectResponse(self._public, HTTPStatus.SEE_OTHER, _NO_STORE)

    def _now_s(self) -> float:
        return self._clock.now_ms() / 1_000


def _name_of(subject: str) -> str:
    """What is kept of somebody's name, which is ASCII of 255 characters at most (OpenID Connect Core 1.0, 2)."""
    return one_line(subject, _LONGEST_WHO).encode("ascii", "backslashreplace").decode()[:_LONGEST_WHO]


def _refused(why: str) -> Response:
    return PlainTextResponse(why, HTTPStatus.FORBIDDEN, headers=_NO_STORE)


def _away(error: OutageError) -> Response:
    log.warning("nobody can log in", error=str(error))
    return _unavailable("Nobody can log in at this moment, because a service does not answer. Try again in a minute.\n")


def _unavailable(why: str) -> Response:
    headers = _NO_STORE | {"Retry-After": "60"}
    return PlainTextResponse(why, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
