"""An OpenID provider, asked by Authlib: authorization code, PKCE, and ID tokens that are checked (docs/adr/0021)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.starlette_client import StarletteIntegration, StarletteOAuth2App
from joserfc.errors import ClaimError, JoseError

from monitoring_core.errors import OutageError
from monitoring_core.result import one_line
from status_svc.admission import needed
from status_svc.cached import Cached
from status_svc.ports import UntrustedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from monitoring_core.config import Secret, StatusConfig

_TIMEOUT_S = 10.0
# An ID token with hundreds of groups, and the keys of a provider, are smaller by far.
_MOST_BYTES = 256 * 1024
# For so long what a provider says of itself is kept. Its keys are read anew for each login, so that one which it has
# withdrawn is not believed any more.
_METADATA_S = 600.0
# How much the clocks of the provider and of this machine may differ.
_LEEWAY_S = 60
# Signed with a key that the provider alone has: neither `none`, nor with a secret that others may know.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
_ADDRESS = {"email", "email_verified"}
_WELL_KNOWN = "/.well-known/openid-configuration"


class _Metadata(msgspec.Struct):
    """What a provider says of itself, as far as it is used (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class OpenIdProvider:
    """The port Provider."""

    def __init__(self, settings: StatusConfig, issuer: str, secret: Secret) -> None:
        """Args: secret: of this client; it is read again for each login, because secrets are replaced."""
        self._settings = settings
        self._issuer = issuer
        self._secret = secret
        self._metadata = Cached(self._read_metadata, _METADATA_S)

    async def begin(self, request: Request, back: str) -> Response:
        """What status_svc.ports.Provider.begin promises."""
        async with self._explained():
            app = await self._app()
            return cast("Response", await app.authorize_redirect(request, back))

    async def finish(self, request: Request) -> Mapping[str, Any]:
        """What status_svc.ports.Provider.finish promises."""
        async with self._explained():
            app = await self._app()
            wanted = {
                "iss": {"essential": True, "value": self._issuer},
                "aud": {"essential": True, "value": self._settings.oidc_client_id},
            }
            token = await app.authorize_access_token(request, claims_options=wanted, leeway=_LEEWAY_S)
            if "userinfo" not in token:
                raise UntrustedError("the provider sent no ID token")
            claims: dict[str, Any] = dict(token["userinfo"])
            # The token and userinfo may speak of different addresses: who verified one is who tells it.
            if _ADDRESS - claims.keys():
                claims = {name: value for name, value in claims.items() if name not in _ADDRESS}
            if needed(self._settings.oidc_allowed) - claims.keys() and "userinfo_endpoint" in app.server_metadata:
                claims = await self._userinfo(app, token, claims["sub"]) | claims
            return claims

    async def _userinfo(self, app: Any, token: Any, subject: str) -> dict[str, Any]:
        """Claims that the provider keeps out of ID tokens."""
        told = dict(await app.userinfo(token=token))
        # OpenID Connect Core 1.0, 5.3.2: else it may be about somebody else.
        if told.get("sub") != subject:
            raise UntrustedError("userinfo is about somebody else")
        return told

    async def _app(self) -> Any:
        metadata = await self._metadata.get()
        app = StarletteOAuth2App(
            StarletteIntegration("oidc"),
            "oidc",
            client_id=self._settings.oidc_client_id,
            client_secret=self._secret.reveal(),
            client_auth_methods=[("client_secret_basic", _in_the_header)],
            client_kwargs={"scope": " ".join(self._settings.oidc_scopes), "code_challenge_method": "S256"},
            **metadata,
        )
        app.client_cls = _Client
        return app

    async def _read_metadata(self) -> dict[str, Any]:
        """What Authlib is to know of the provider. It takes whatever else it is given for options."""
        async with _Client() as client:
            answer = await client.request("GET", f"{self._issuer.rstrip('/')}{_WELL_KNOWN}", withhold_token=True)
        answer.raise_for_status()
        told = msgspec.json.decode(answer.content, type=_Metadata)
        # OpenID Connect Discovery 1.0, 4.3.
        if told.issuer != self._issuer:
            raise self._strange(f"it calls itself {one_line(told.issuer, 200)!r}")
        known: dict[str, Any] = {name: url for name in _ENDPOINTS if (url := getattr(told, name))}
        if insecure := [name for name, url in known.items() if not self._is_secure(url)]:
            raise self._strange(f"{insecure[0]} is no URL of https")
        algorithms = [one for one in _ALGORITHMS if one in told.id_token_signing_alg_values_supported]
        if not algorithms:
            raise self._strange("it signs ID tokens in no way that is trusted")
        known["id_token_signing_alg_values_supported"] = algorithms
        if "client_secret_basic" not in told.token_endpoint_auth_methods_supported:
            known["token_endpoint_auth_method"] = "client_secret_post"  # noqa: S105 (the name of a way)
        return known

    def _is_secure(self, url: str) -> bool:
        # An issuer without https is on this machine.
        return url.startswith("https://") or (url.startswith("http://") and self._issuer.startswith("http://"))

    @contextlib.asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                yield
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise OutageError(f"the OpenID provider {self._issuer} does not answer: {type(error).__name__}") from None
        except ClaimError as error:
            raise UntrustedError(f"{type(error).__name__}: {one_line(str(error.claim), 60)}") from None
        except JoseError as error:
            raise UntrustedError(type(error).__name__) from None
        except AuthlibBaseError as error:
            # The code of an error is a word (RFC 6749, 5.2); what a provider says beside it may be anything.
            raise UntrustedError(f"{type(error).__name__}: {one_line(str(error.error), 60)}") from None
        except msgspec.MsgspecError as error:
            raise self._strange(str(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # Its text may quote an answer, and so a token.
            raise self._strange(type(error).__name__) from None

    def _strange(self, what: str) -> OutageError:
        return OutageError(f"the OpenID provider {self._issuer} answers what is not OpenID Connect: {what}")


def _in_the_header(client: Any, _method: str, uri: str, headers: Any, body: str) -> tuple[str, Any, str]:
    """Name and secret as RFC 6749, 2.3.1, has them: form-encoded first, which Authlib leaves out."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


class _Client(AsyncOAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """A client that reads no more than so much of an answer, as it is sent: it unpacks nothing."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        answer = await super().send(request, **options | {"stream": True})
        try:
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > _MOST_BYTES:
                    raise httpx2.DecodingError(f"more than {_MOST_BYTES} bytes", request=request)
        finally:
            await answer.aclose()
        headers = {"Content-Type": answer.headers.get("Content-Type", "")}
        return httpx2.Response(answer.status_code, headers=headers, content=bytes(body), request=request)
