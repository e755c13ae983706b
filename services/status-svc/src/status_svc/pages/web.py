"""The routes of the pages: the public view at /, the inner one at /inner/ behind a token or a login."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from monitoring_core.errors import OutageError
from status_svc.conditions import has_already, reads_gzip
from status_svc.pages import documents
from status_svc.pages.bodies import Bodies, Body, body_of
from status_svc.pages.cache import Cache, NothingYetError
from status_svc.pages.rendering import View
from status_svc.pages.searching import asked
from status_svc.pages.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from monitoring_core.clock import Clock
    from monitoring_core.config import StatusConfig
    from status_svc.login import Login
    from status_svc.pages.model import Board, Component
    from status_svc.pages.queries import Queries
    from status_svc.pages.searching import Search

    # Whether a request may see the inner view: it bears a token, or whoever sent it has logged in.
    Permits = Callable[[Request], Awaitable[bool]]
    # Counts a search of somebody who needs to show nothing, and raises when there are too many.
    Counts = Callable[[Request], None]

_NO_STORE = {"Cache-Control": "no-store"}
# Whoever stands in between asks each time whether it has changed, which costs next to nothing.
_ASK = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
_BASIC = 'Basic realm="status", charset="UTF-8"'
_BEARER = "Bearer"
# After this time a browser that hears of inner changes comes back with its token, which may be revoked by then.
_JUDGED_S = 600.0
_SEARCHES_BYTES = 8_000_000


class Pages:
    """The pages, with the cache that they share."""

    def __init__(
        self,
        queries: Queries,
        clock: Clock,
        settings: StatusConfig,
        permits: Permits,
        counts: Counts,
        login: Login | None,
    ) -> None:
        self._base = documents.base(settings)
        self._permits = permits
        self._counts = counts
        self._login = login
        self._clock = clock
        self._cache = Cache(queries, clock, settings)
        self._bodies = Bodies(clock)
        # Apart, because there are as many searches as somebody likes.
        self._found = Bodies(clock, _SEARCHES_BYTES)
        self._streams = {inner: Stream(self._cache, inner=inner) for inner in (False, True)}
        self._views = {
            False: View(title=settings.title),
            True: View(title=f"{settings.title} (inner)", static="../", login=login is not None, inner=True),
        }
        self._static = {name: body_of(document) for name, document in documents.static().items()}

    def routes(self) -> list[Route]:
        """The routes. The last one takes every way that no other has."""
        session = self._login.middleware if self._login else None
        return [
            Route("/static/{name}", self._static_file, methods=["GET"]),
            Route("/events", self._public_events, methods=["GET"]),
            Route("/inner/events", self._inner_events, methods=["GET"], middleware=session),
            Route("/inner/{name:path}", self._inner_document, methods=["GET"], middleware=session),
            Route("/{name:path}", self._public_document, methods=["GET"]),
        ]

    async def close(self) -> None:
        """Let a read that is under way end."""
        await self._cache.close()

    async def _static_file(self, request: Request) -> Response:
        body = self._static.get(request.path_params["name"])
        return _not_found() if body is None else _response(request, body)

    async def _public_events(self, request: Request) -> Response:
        return self._events(request, inner=False)

    async def _inner_events(self, request: Request) -> Response:
        if await self._permits(request):
            login = self._login if self._login and self._login.lasts(request) else None
            until = self._clock.monotonic() + _JUDGED_S

            def lasts() -> bool:
                # A page that stays open hears nothing after the session has ended.
                return self._clock.monotonic() < until and (login is None or login.lasts(request))

            return self._events(request, inner=True, lasts=lasts)
        # Where people log in, a page that is open must not ask them for a password instead.
        return _unknown(_BEARER if self._login else _BASIC)

    async def _public_document(self, request: Request) -> Response:
        return await self._document(request, inner=False)

    async def _inner_document(self, request: Request) -> Response:
        if await self._permits(request):
            return await self._document(request, inner=True)
        # Programs such as feed readers are asked for a token all the same: they cannot log in.
        if self._login and "text/html" in request.headers.get("accept", ""):
            search = _search_of(request)
            return await self._login.begin(request, request.path_params["name"], search.query if search else "")
        return _unknown(_BASIC)

    def _events(self, request: Request, *, inner: bool, lasts: Callable[[], bool] = lambda: True) -> Response:
        stream = self._streams[inner]
        if stream.full:
            return PlainTextResponse(
                "Too many pages are open: this one stays as it is.\n",
                HTTPStatus.SERVICE_UNAVAILABLE,
                headers=_NO_STORE | {"Retry-After": "60"},
            )
        headers = _NO_STORE | {"X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            # Else the connection would wait for the end of events that nobody gets.
            return Response(media_type="text/event-stream", headers=headers)
        return StreamingResponse(stream.events(lasts), media_type="text/event-stream", headers=headers)

    async def _document(self, request: Request, *, inner: bool) -> Response:
        name, search = request.path_params["name"] or "index.html", _search_of(request)
        if search and not inner:
            self._counts(request)
        try:
            board = (await self._cache.current()).of(inner)
            body = await (self._search(search, board, inner) if search else self._body(name, board, inner))
        except (NothingYetError, OutageError):
            return PlainTextResponse(
                "The database cannot be read at this moment. Try again in a minute.\n",
                HTTPStatus.SERVICE_UNAVAILABLE,
                headers=_NO_STORE | {"Retry-After": "10"},
            )
        if body is None:
            return _not_found()
        answer = _response(request, body, private=inner)
        if name.startswith("badges/") and not inner:
            # It is there to be shown by other sites.
            answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer

    async def _search(self, search: Search, board: Board, inner: bool) -> Body | None:
        further: Sequence[Component] | None = ()
        if inner and board.left_out and search.words:
            try:
                further = (await self._cache.search(search.words)).components
            except OutageError:
                further = None
        key = f"{'inner' if inner else 'public'}/?{search.query}"
        view = self._views[inner]
        return await self._found.get(key, board, lambda: documents.found(board, view, search, further))

    async def _body(self, name: str, board: Board, inner: bool) -> Body | None:
        view, number = self._views[inner], documents.number_of(name)
        if inner and board.left_out and number and not board.component(number):
            board, view = await self._cache.further((number,)), attrs.evolve(view, live=False)
        one = documents.component_of(name, board)
        detail = await self._cache.detail(one.id) if inner and one and name.startswith("components/") else None
        base = "" if inner else self._base
        key = f"{'inner' if inner else 'public'}/{name}"
        return await self._bodies.get(key, board, lambda: documents.make(name, board, view, base, detail))


def _search_of(request: Request) -> Search | None:
    return asked(request.query_params) if request.path_params["name"] in ("", "index.html") else None


def _response(request: Request, body: Body, *, private: bool = False) -> Response:
    headers = {"ETag": body.etag} | (_NO_STORE if private else _ASK)
    if has_already(request, body.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if reads_gzip(request):
        return Response(body.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=body.media_type)
    return Response(body.plain, headers=headers, media_type=body.media_type)


def _not_found() -> Response:
    return PlainTextResponse("There is no such page.\n", HTTPStatus.NOT_FOUND, headers=_NO_STORE)


def _unknown(challenge: str) -> Response:
    return PlainTextResponse(
        "A token is needed: give it as the password.\n",
        HTTPStatus.UNAUTHORIZED,
        headers=_NO_STORE | {"WWW-Authenticate": challenge},
    )
