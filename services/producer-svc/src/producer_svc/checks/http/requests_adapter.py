"""requests on connections that keep to the time budget of a check, and on TLS contexts that all checks share."""

from __future__ import annotations

import contextlib
import ssl
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.poolmanager import PoolManager

from monitoring_core.config.secret_files import passing_file
from producer_svc.checks.certificates import TrustedAuthorities, certificates_of
from producer_svc.checks.http.client_certificates import unusable
from producer_svc.checks.http.connection import Route, pool_classes
from producer_svc.checks.http.sockets import BudgetTlsSocket
from producer_svc.checks.http.urls import authority_of

if TYPE_CHECKING:
    from producer_svc.checks.http.client_certificates import ClientCertificate, ClientCertificates
    from producer_svc.checks.http.progress import Progress
    from producer_svc.checks.http.request import Request
    from producer_svc.checks.http.resolver import Resolver
    from producer_svc.checks.network import DeniedNetworks

# ssl.OP_LEGACY_SERVER_CONNECT, which has a name from Python 3.12 on. Without it, OpenSSL refuses servers that do not
# know RFC 5746; to a client that never renegotiates they are as good as others, and browsers take them.
_OP_LEGACY_SERVER_CONNECT = 0x4
# OpenSSL's own choice, as curl has it. Python's leaves out what old servers have alone, and browsers take.
_CIPHERS = "DEFAULT:@SECLEVEL=2"


class TlsContexts:
    """The contexts for all checks, each made once: the authorities take ten times as long to load as a check.

    Attributes:
        authorities: those that are trusted.
    """

    def __init__(self, certificates: ClientCertificates) -> None:
        self.authorities = TrustedAuthorities()
        self._certificates = certificates
        self._made: dict[tuple[bool, bool, str | None], tuple[ClientCertificate | None, ssl.SSLContext]] = {}
        # The target asks for it; a warning on standard error at each of its checks would help nobody.
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        self.get(True, None)
        self.trusting = self.get(False, None)

    def renew(self) -> None:
        """Make them anew if the trusted authorities have changed."""
        if self.authorities.have_changed():
            self._made = {}
            self.get(True, None)

    def get(self, verify: bool, client_certificate: str | None, host: str = "") -> ssl.SSLContext:
        """The context for a check.

        Args:
            verify: whether the website's certificate is verified.
            client_certificate: the name of the one to show.
            host: who must be named in the website's.

        Raises:
            EndingError: the client certificate cannot be used.
        """
        made = self._made  # others may come in its place meanwhile
        found = None if client_certificate is None else self._certificates.get(client_certificate)
        key = (verify, verify and "_" not in host, client_certificate)
        known = made.get(key)
        if known is None or known[0] is not found:
            context = _tls_context(self.authorities.pem if verify else None, key[1])
            if found:
                _load(context, found)
            known = made[key] = (found, context)
        return known[1]


def _tls_context(authorities: str | None, compares_names: bool) -> ssl.SSLContext:
    """A context with the trust of browsers.

    Args:
        authorities: those that are trusted, PEM; None to verify nothing.
        compares_names: whether OpenSSL compares the names, which takes no wildcard for a name with an underscore; else
            urllib3 does.
    """
    if authorities is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for certificate in certificates_of(authorities):
            with contextlib.suppress(ssl.SSLError):  # what cannot be read is left out, as on native
                context.load_verify_locations(cadata=certificate)
        # As browsers and the engine native have it: any trusted certificate is an anchor; names are in the SAN alone.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.hostname_checks_common_name = False
        context.check_hostname = compares_names
    else:
        context = ssl._create_unverified_context()  # noqa: S323 (only for targets with verify_tls false)
    context.sslsocket_class = BudgetTlsSocket
    context.set_ciphers(_CIPHERS)
    context.options |= _OP_LEGACY_SERVER_CONNECT
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Let a context show a certificate.

    Raises:
        EndingError: it cannot be used.
    """
    try:
        # Not the file that was read: it may have changed, and OpenSSL takes less of what files hold.
        with passing_file(certificate.pem) as path:
            context.load_cert_chain(path)
    except (OSError, ValueError) as error:
        raise unusable(certificate.name, getattr(error, "reason", None) or "cannot be read") from None


class BudgetAdapter(HTTPAdapter):
    """requests' adapter for one check at a time.

    Attributes:
        progress: of the current check; the caller sets it.
        verify: whether the certificate of the check's target is verified; the caller sets it.
    """

    progress: Progress
    verify: bool

    def __init__(self, contexts: TlsContexts, resolver: Resolver, networks: DeniedNetworks) -> None:
        self._contexts = contexts
        self._route = Route(resolver, networks, contexts.trusting, lambda: self.progress)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self._route)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        settings = {}
        if str(request.url).startswith("https"):
            host = urlsplit(str(request.url)).hostname or ""
            settings["ssl_context"] = self._contexts.get(self.verify, self.progress.client_certificate, host)
        return self.poolmanager.connection_from_url(str(request.url), pool_kwargs=settings)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the shared context already says whether and against what to verify."""


def prepared(request: Request) -> requests.PreparedRequest:
    """A request as requests sends it. Its own `prepare` would normalise the URL again, at a tenth of a check's cost."""
    made = requests.PreparedRequest()
    made.method, made.url, made.body = request.method, request.url, request.body
    # urllib3 would tell another host: it leaves out the dot at the end of a name.
    made.headers = CaseInsensitiveDict((("Host", authority_of(request.url)), *request.headers))
    if request.method == "POST":
        made.prepare_content_length(request.body)
    return made
