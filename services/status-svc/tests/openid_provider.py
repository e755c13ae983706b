"""An OpenID provider for tests: on a port of this machine, with real signatures, which lies when it is told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import socket
import threading
import time
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus, urlencode

import attrs
import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

# With characters that a header must have encoded (RFC 6749, 2.3.1).
CLIENT_ID, CLIENT_SECRET = "status", "secret+of the/client"
_numbers = itertools.count()


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": f"key {next(_numbers)}", "use": "sig", "alg": "RS256"})


@cache
def first_key() -> RSAKey:
    """Made once: it takes half a second."""
    return new_key()


def sign(claims: dict[str, Any], key: RSAKey) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


@attrs.define
class Provider:
    """Lets everybody in who comes, as the person that a test wants.

    Attributes:
        secret: of the one client that it knows.
        asks: whether it shows a page first, as providers do.
        person: the claims about who logs in.
        userinfo: further claims, which are not in ID tokens.
        change: replaces claims of ID tokens.
        signed: makes an ID token of claims; None sends none.
        metadata: replaces what it says of itself.
        answers: replaces what is answered at a path.
        asked: the paths that were asked for.
        seen: what it was asked to do: parameters of the last authorization.
    """

    issuer: str
    secret: str = CLIENT_SECRET
    asks: bool = False
    key: RSAKey = attrs.field(factory=first_key)
    person: dict[str, Any] = attrs.field(factory=lambda: {"sub": "ada", "groups": ["operators"]})
    userinfo: dict[str, Any] = attrs.field(factory=dict)
    change: dict[str, Any] = attrs.field(factory=dict)
    signed: Callable[[dict[str, Any], RSAKey], str | None] = sign
    metadata: dict[str, Any] = attrs.field(factory=dict)
    answers: dict[str, Response] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    seen: dict[str, str] = attrs.field(factory=dict)
    _codes: dict[str, dict[str, str]] = attrs.field(factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
                Route("/userinfo", self._userinfo),
            ]
        )

    def _answer(self, request: Request, usual: Callable[[], Response]) -> Response:
        self.asked.append(request.url.path)
        return self.answers.get(request.url.path) or usual()

    async def _configuration(self, request: Request) -> Response:
        told = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return self._answer(request, lambda: JSONResponse(told | self.metadata))

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.seen = asked
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{next(_numbers)}"
        self._codes[code] = asked
        back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
        link = f'<a href="{escape(back)}">I am {escape(self.person["sub"])}</a>'
        page = f'<title>Provider</title><link rel="icon" href="data:,">{link}'
        return self._answer(request, lambda: HTMLResponse(page) if self.asks else RedirectResponse(back, 302))

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        return self._answer(request, lambda: self._exchange(form, request.headers.get("authorization")))

    def _exchange(self, form: dict[str, str], authorization: str | None) -> Response:
        expected = base64.b64encode(f"{CLIENT_ID}:{quote_plus(self.secret)}".encode()).decode()
        if authorization != f"Basic {expected}" and form.get("client_secret") != self.secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form["code"], None)
        if asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant", "error_description": "<b>spent</b>"}, 400)
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = self.signed(claims | self.person | self.change, self.key)
        answer = {"access_token": "for userinfo", "token_type": "Bearer", "expires_in": 300}
        return JSONResponse(answer | ({} if token is None else {"id_token": token}))

    async def _keys(self, request: Request) -> Response:
        return self._answer(request, lambda: JSONResponse(KeySet([self.key]).as_dict(private=False)))

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer for userinfo":
            return Response(status_code=401)
        return self._answer(request, lambda: JSONResponse({"sub": self.person["sub"]} | self.userinfo))


@contextlib.contextmanager
def provider(host: str = "127.0.0.1") -> Iterator[Provider]:
    """A provider that ends with the block. Args: host: its name for browsers."""
    listener = socket.create_server(("127.0.0.1", 0))
    one = Provider(f"http://{host}:{listener.getsockname()[1]}")
    server = uvicorn.Server(
        uvicorn.Config(one.app(), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield one
    finally:
        server.should_exit = True
        thread.join(10)
