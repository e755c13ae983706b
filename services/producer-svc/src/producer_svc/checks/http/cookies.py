"""Cookies that a website sets on the way through its redirects (RFC 6265), by the rules of the standard library."""

from __future__ import annotations

from email.message import Message
from typing import TYPE_CHECKING, Any

import attrs
from requests.cookies import MockRequest, MockResponse, RequestsCookieJar, get_cookie_header

from producer_svc.checks.http.requests_adapter import prepared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producer_svc.checks.http.request import Request


class Cookies:
    """The cookies of one check."""

    def __init__(self) -> None:
        self._jar = RequestsCookieJar()

    def learn(self, request: Request, set_cookies: Iterable[str]) -> None:
        """Keep what the answer to a request sets, in the values of its Set-Cookie fields."""
        message = Message()
        for value in set_cookies:
            message["Set-Cookie"] = value
        response: Any = MockResponse(message)
        asked: Any = MockRequest(prepared(request))
        self._jar.extract_cookies(response, asked)

    def sent_with(self, request: Request) -> Request:
        """The request with the cookies that belong to it."""
        cookie = get_cookie_header(self._jar, prepared(request))  # type: ignore[no-untyped-call]
        if cookie is None:
            return request
        others = tuple((name, value) for name, value in request.headers if name.lower() != "cookie")
        return attrs.evolve(request, headers=(*others, ("Cookie", cookie)))
