"""Which certificates are trusted, by the rules of browsers and alike on each engine; and what results say of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from monitoring_core.config import EngineName, HttpVersion
from monitoring_core.result import Reason, Status
from monitoring_testkit.producer.engines import concrete_engines, needs_native
from monitoring_testkit.producer.probing import Prober, check, page
from producer_svc.checks import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.integration_test, pytest.mark.usefixtures("unstalled")]
ENGINES = concrete_engines()

NOW, DAY = dt.datetime.now(dt.UTC).replace(microsecond=0), dt.timedelta(days=1)
IP = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
SHA256, SHA224 = hashes.SHA256(), hashes.SHA224()


Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@attrs.frozen
class Certificate:
    """A certificate and its key."""

    x509: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)


def issue(
    name: str,
    issuer: Certificate | None = None,
    *names: x509.GeneralName,
    authority: bool = False,
    before: dt.datetime = NOW - 10 * DAY,
    after: dt.datetime = NOW + 300 * DAY,
    key: Key | None = None,
    more: x509.ExtensionType | None = None,
    length: int | None = None,
    issued_by: str | None = None,
    algorithm: hashes.SHA224 | hashes.SHA256 = SHA256,
) -> Certificate:
    """A certificate for names, signed by its issuer or by itself, with one critical extension more.

    Args:
        length: how many intermediate certificates there may be below it.
        issued_by: how it spells its issuer's name, if not as that does.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = named(name)
    signer = issuer.key if issuer else key
    by = named(issued_by) if issued_by else issuer.x509.subject if issuer else subject
    builder = (
        x509.CertificateBuilder(by, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before)
        .not_valid_after(after)
        .add_extension(x509.BasicConstraints(authority, length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if more:
        builder = builder.add_extension(more, critical=True)
    hashes_itself = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return Certificate(builder.sign(signer, None if hashes_itself else algorithm), key)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def usable_for(*usages: str) -> x509.KeyUsage:
    """What a key is for, in the words of the library."""
    known = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    return x509.KeyUsage(
        **{usage: usage in usages for usage in known.split()}, encipher_only=False, decipher_only=False
    )


@contextlib.contextmanager
def served(leaf: Certificate, *chain: Certificate, answer: bytes = page(), **settings: Any) -> Iterator[int]:
    """A website with these certificates, which closes without close_notify. Yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.write(b"".join(certificate.pem for certificate in (leaf, *chain)))
        file.flush()
        context.load_cert_chain(file.name)
    for name, value in settings.items():
        if name == "clients":
            context.load_verify_locations(cadata=value)
            context.verify_mode = ssl.CERT_REQUIRED
        elif name == "ciphers":
            context.set_ciphers(value)
        elif name == "group":
            context.set_ecdh_curve(value)
        else:
            setattr(context, name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError):
                    secure = context.wrap_socket(connection, server_side=True)
                    secure.recv(65536)
                    secure.sendall(answer)
                    socket.socket(fileno=secure.detach()).close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def trusting(
    monkeypatch: pytest.MonkeyPatch, folder: Path, engine: EngineName, *trusted: Certificate, **settings: Any
) -> Prober:
    """An engine that trusts these certificates."""
    file = folder / "trusted.pem"
    file.write_bytes(b"".join(certificate.pem for certificate in trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return Prober(engine, **settings)


ROOT = issue("Root", authority=True)
BETWEEN = issue("Between", ROOT, authority=True)
FINE = issue("site", ROOT, IP, x509.DNSName("localhost"))
SELF_SIGNED = issue("site", None, IP)
OWN_AUTHORITY = issue("site", None, IP, authority=True)
BELOW = issue("site", BETWEEN, IP)
LOCAL = x509.DNSName("localhost")
PAST_ROOT = issue("Past Root", authority=True, before=NOW - 900 * DAY, after=NOW - DAY)
WILD = issue("site", BETWEEN, x509.DNSName("*.a.localhost"))
CONSTRAINED = issue(
    "Constrained",
    ROOT,
    authority=True,
    more=x509.NameConstraints([LOCAL], [x509.IPAddress(ipaddress.ip_network("0.0.0.0/0"))]),
)
LONG_AGO = dt.datetime(1950, 1, 1, tzinfo=dt.UTC)
OF_CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
OF_CLIENT = issue("site", None, IP, more=OF_CLIENTS)
FUTURE = issue("site", None, IP, before=NOW + DAY)
MUTE = issue("Mute", ROOT, authority=True, more=usable_for("crl_sign"))
MUTE_ROOT = issue("Mute Root", authority=True, more=usable_for("digital_signature"))
CLIENT_ROOT = issue("Client Root", authority=True, more=OF_CLIENTS)
ODD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
ODD_ROOT = issue("Odd Root", authority=True, more=ODD)
FUTURE_ROOT = issue("Future Root", authority=True, before=NOW + DAY)
SHORT_ROOT = issue("Short Root", authority=True, length=0)
SHORT = issue("Short", ROOT, authority=True, length=0)
BELOW_SHORT = issue("Below Short", SHORT, authority=True)
OF_MAIL = issue("Of Mail", ROOT, authority=True, more=x509.NameConstraints([x509.RFC822Name("mail.example")], None))
ED448_ROOT = issue("Ed448 Root", authority=True, key=ed448.Ed448PrivateKey.generate())


def below(
    between: Certificate, root: Certificate = ROOT
) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...], str]:
    """A website below an intermediate certificate that it sends."""
    return (issue("site", between, IP), between), (root,), "127.0.0.1"


# The website's certificate and what it sends with it, what is trusted, the host, and what the error says if it is down.
TRUST: dict[str, tuple[tuple[Certificate, ...], tuple[Certificate, ...], str, str | None]] = {
    "fine": ((FINE,), (ROOT,), "127.0.0.1", None),
    "by a name": ((FINE,), (ROOT,), "localhost", None),
    "a dot at the end of the name": ((FINE,), (ROOT,), "localhost.", None),
    "an intermediate is sent": ((BELOW, BETWEEN), (ROOT,), "127.0.0.1", None),
    "an intermediate is not sent": ((BELOW,), (ROOT,), "127.0.0.1", "unable to get local issuer certificate"),
    "the intermediate alone is trusted": ((BELOW, BETWEEN), (BETWEEN,), "127.0.0.1", None),
    "the intermediate is trusted, and not sent": ((BELOW,), (BETWEEN,), "127.0.0.1", None),
    "it is trusted itself": ((BELOW,), (BELOW,), "127.0.0.1", None),
    "it is trusted itself, for another name": ((BELOW,), (BELOW,), "localhost", "mismatch"),
    "it is self-signed": ((SELF_SIGNED,), (ROOT,), "127.0.0.1", ""),
    "it is self-signed and trusted": ((SELF_SIGNED,), (SELF_SIGNED,), "127.0.0.1", None),
    "it is an authority's, self-signed and trusted": ((OWN_AUTHORITY,), (OWN_AUTHORITY,), "127.0.0.1", None),
    "the name is in the CN alone": ((issue("localhost", ROOT),), (ROOT,), "localhost", "mismatch"),
    "the name is in the CN, another in the SAN": (
        (issue("localhost", ROOT, x509.DNSName("www.example.org")),),
        (ROOT,),
        "localhost",
        "mismatch",
    ),
    "the address is written as a name": (
        (issue("site", ROOT, x509.DNSName("127.0.0.1")),),
        (ROOT,),
        "127.0.0.1",
        "mismatch",
    ),
    "it ended a day ago": (
        (issue("site", ROOT, IP, after=NOW - DAY),),
        (ROOT,),
        "127.0.0.1",
        "certificate has expired",
    ),
    "a trusted authority has ended": (
        (issue("site", PAST_ROOT, IP),),
        (PAST_ROOT, ROOT),
        "127.0.0.1",
        "certificate has expired: CN=Past Root",
    ),
    "a trusted authority has ended, and is sent": (
        (issue("site", PAST_ROOT, IP), PAST_ROOT),
        (PAST_ROOT, ROOT),
        "127.0.0.1",
        "certificate has expired: CN=Past Root",
    ),
    "a wildcard for a name with an underscore": ((WILD, BETWEEN), (ROOT,), "my_shop.a.localhost", None),
    "a wildcard for another name with an underscore": ((WILD, BETWEEN), (ROOT,), "my_shop.b.localhost", "mismatch"),
    "a wildcard for another level": ((WILD, BETWEEN), (ROOT,), "my.shop.a.localhost", "mismatch"),
    "an authority that may not be one": (
        (issue("site", FINE, IP), FINE),
        (ROOT,),
        "127.0.0.1",
        "invalid CA certificate",
    ),
    "names that its authority may not have": (
        (issue("site", CONSTRAINED, IP), CONSTRAINED),
        (ROOT,),
        "127.0.0.1",
        "subtree violation",
    ),
    "names that its authority may have": (
        (issue("site", CONSTRAINED, LOCAL), CONSTRAINED),
        (ROOT,),
        "localhost",
        None,
    ),
    "for clients alone": (
        (issue("site", ROOT, IP, more=OF_CLIENTS),),
        (ROOT,),
        "127.0.0.1",
        "unsuitable certificate purpose",
    ),
    "its key is for signing certificates alone": (
        (issue("site", ROOT, IP, more=usable_for("key_cert_sign")),),
        (ROOT,),
        "127.0.0.1",
        "unsuitable certificate purpose",
    ),
    "its key is for signatures alone": (
        (issue("site", ROOT, IP, more=usable_for("digital_signature")),),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "trusted itself, for clients alone": ((OF_CLIENT,), (OF_CLIENT,), "127.0.0.1", "unsuitable certificate purpose"),
    "trusted itself, not valid yet": ((FUTURE,), (FUTURE,), "127.0.0.1", "certificate is not yet valid"),
    "the key of an intermediate may sign no certificates": (*below(MUTE), "invalid CA certificate"),
    "the key of a trusted authority may sign no certificates": (
        (issue("site", MUTE_ROOT, IP),),
        (MUTE_ROOT,),
        "127.0.0.1",
        "invalid CA certificate",
    ),
    "a trusted authority is none": ((issue("site", FINE, IP),), (FINE,), "127.0.0.1", "invalid CA certificate"),
    "a trusted authority is for clients alone": (
        (issue("site", CLIENT_ROOT, IP),),
        (CLIENT_ROOT,),
        "127.0.0.1",
        "unsuitable certificate purpose",
    ),
    "a trusted authority has an extension that nobody knows": (
        (issue("site", ODD_ROOT, IP),),
        (ODD_ROOT,),
        "127.0.0.1",
        "unhandled critical extension",
    ),
    "a trusted authority is not valid yet": (
        (issue("site", FUTURE_ROOT, IP),),
        (FUTURE_ROOT,),
        "127.0.0.1",
        "certificate is not yet valid",
    ),
    "no intermediate may be below a trusted authority": (
        *below(issue("Between", SHORT_ROOT, authority=True), SHORT_ROOT),
        "path length constraint exceeded",
    ),
    "none is below it": ((issue("site", SHORT_ROOT, IP),), (SHORT_ROOT,), "127.0.0.1", None),
    "no intermediate may be below an intermediate": (
        (issue("site", BELOW_SHORT, IP), BELOW_SHORT, SHORT),
        (ROOT,),
        "127.0.0.1",
        "path length constraint exceeded",
    ),
    "its authority's name in other letters": (
        (issue("site", BETWEEN, IP, issued_by="between "), BETWEEN),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "a trusted authority's name in other letters": (
        (issue("site", ROOT, IP, issued_by="ROOT"),),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "addresses of mail that its authority may have": (
        (issue("site", OF_MAIL, IP, x509.RFC822Name("a@mail.example")), OF_MAIL),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "it is signed with SHA-224": ((issue("site", ROOT, IP, algorithm=SHA224),), (ROOT,), "127.0.0.1", None),
    "its authority signs with Ed448": ((issue("site", ED448_ROOT, IP),), (ED448_ROOT,), "127.0.0.1", None),
    "its key is of Ed25519": (
        (issue("site", ROOT, IP, key=ed25519.Ed25519PrivateKey.generate()),),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "its key is of P-521": (
        (issue("site", ROOT, IP, key=ec.generate_private_key(ec.SECP521R1())),),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
    "it begins in the year 1950": ((issue("site", ROOT, IP, before=LONG_AGO),), (ROOT,), "127.0.0.1", None),
    "it ended in the year 1969": (
        (issue("site", ROOT, IP, before=LONG_AGO, after=LONG_AGO.replace(year=1969)),),
        (ROOT,),
        "127.0.0.1",
        "certificate has expired",
    ),
    "its authority lasts from 1950 to 2060": (
        *below(issue("Between", ROOT, authority=True, before=LONG_AGO, after=LONG_AGO.replace(year=2060))),
        None,
    ),
    "it ends in the year 9999": (
        (issue("site", ROOT, IP, after=dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),),
        (ROOT,),
        "127.0.0.1",
        None,
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TRUST)
def test_trust(name: str, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are in the SAN alone, and any trusted certificate is an anchor."""
    chain, trusted, host, error = TRUST[name]
    probe = trusting(monkeypatch, tmp_path, engine, *trusted)
    with served(*chain) as port:
        result = check(probe, f"https://{host}:{port}/")
    assert result.reason == (None if error is None else Reason.TLS_ERROR), result.error
    assert (error or "") in (result.error or "")
    assert result.certificate_expires_at == chain[0].x509.not_valid_after_utc


@pytest.mark.parametrize("engine", ENGINES)
def test_authorities_that_are_replaced(engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count a little later; a file that is missing, empty or half written does not take the trust away."""
    monkeypatch.setattr(certificates, "LOOK_EVERY_S", 0.0)
    probe, file = trusting(monkeypatch, tmp_path, engine, ROOT, tls_resumption=DAY), tmp_path / "trusted.pem"
    other = issue("Other Root", authority=True)
    with served(FINE) as port, served(issue("site", other, IP)) as other_port:

        def errors() -> list[str | None]:
            """Of both websites; what was found before the change was seen for the second time does not count."""
            urls = [f"https://127.0.0.1:{one}/" for one in (port, other_port)]
            return [[check(probe, url).error for url in urls] for _ in range(2)][-1]

        unknown = "unable to get local issuer certificate"
        assert errors() == [None, unknown]
        file.write_bytes(b"garbage\n" + other.pem + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        assert errors() == [unknown, None]
        for change in (lambda: file.write_bytes(b""), lambda: file.write_bytes(ROOT.pem[:-40]), file.unlink):
            change()
            assert errors() == [unknown, None]
        (tmp_path / "new.pem").write_bytes(ROOT.pem)
        (tmp_path / "new.pem").rename(file)
        assert errors() == [None, unknown]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trusted_authority_that_ends_is_none(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the second, in a producer that runs and has verified the website's chain before."""
    ends = dt.datetime.now(dt.UTC) + 3 * dt.timedelta(seconds=1)
    root = issue("Ending Root", authority=True, after=ends)
    probe = trusting(monkeypatch, tmp_path, engine, root)
    with served(issue("site", root, IP)) as port:
        assert [check(probe, f"https://127.0.0.1:{port}/").error for _ in range(2)] == [None, None]
        time.sleep((ends - dt.datetime.now(dt.UTC)).total_seconds() + 1.1)
        assert "certificate has expired: CN=Ending Root" in (check(probe, f"https://127.0.0.1:{port}/").error or "")


_POLICIES = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)])
_DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site")]))
OLD = {"maximum_version": ssl.TLSVersion.TLSv1_2}
OF_DIRECTORY = issue("Of Directory", ROOT, authority=True, more=x509.NameConstraints([_DIRECTORY], None))
# What is served and with which settings, the host, and what is found.
BEYOND: dict[str, tuple[tuple[Certificate, ...], dict[str, Any], str, Reason | None]] = {
    "marked as an authority's": ((issue("site", ROOT, IP, authority=True),), {}, "127.0.0.1", None),
    "a policy that is critical": ((issue("site", ROOT, IP, more=_POLICIES),), {}, "127.0.0.1", None),
    "names of directories": ((issue("site", OF_DIRECTORY, IP), OF_DIRECTORY), {}, "127.0.0.1", None),
    "names of directories that are not permitted": (
        (issue("other", OF_DIRECTORY, IP), OF_DIRECTORY),
        {},
        "127.0.0.1",
        Reason.TLS_ERROR,
    ),
    "a hyphen at the beginning of the name": (
        (issue("site", ROOT, x509.DNSName("-shop.localhost")),),
        {},
        "-shop.localhost",
        None,
    ),
    "ciphers of old": ((FINE,), OLD | {"ciphers": "ECDHE-ECDSA-AES128-SHA"}, "127.0.0.1", None),
    "a group that few have": ((FINE,), {"group": "secp521r1"}, "127.0.0.1", None),
    "another group that few have": ((FINE,), {"group": "X448"}, "127.0.0.1", None),
    "ciphers that nobody takes": (
        (FINE,),
        OLD | {"ciphers": "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"},
        "127.0.0.1",
        Reason.TLS_ERROR,
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", BEYOND)
def test_what_few_libraries_judge(
    name: str, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is that of browsers, also where the library of one engine knows less than they do."""
    chain, settings, host, reason = BEYOND[name]
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(*chain, **settings) as port:
        for _ in range(2):
            result = check(probe, f"https://{host}:{port}/")
            assert (result.reason, result.status is Status.UP) == (reason, reason is None), result.error
    assert (probe.engine.running, probe.engine.abandon()) == (0, [])


OLD_ROOT = issue("Old Root", authority=True, before=NOW - 900 * DAY, after=NOW - DAY)
CROSS = issue("Root", OLD_ROOT, authority=True, key=ROOT.key, after=NOW - DAY)
ENDING = issue("Ending", ROOT, authority=True, after=NOW + 3 * DAY)
ENDED = issue("Ended", ROOT, authority=True, after=NOW - DAY)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("chain", "ends", "subject"),
    [
        ((FINE,), FINE, None),
        ((issue("site", ENDING, IP), ENDING), ENDING, "CN=Ending"),
        ((issue("site", ROOT, IP), CROSS), None, None),  # what is above a trusted authority breaks nothing
    ],
)
def test_what_ends_first_is_told(
    chain: tuple[Certificate, ...],
    ends: Certificate | None,
    subject: str | None,
    engine: EngineName,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chain breaks with the first of its certificates, whatever the website's own says."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(*chain) as port:
        result = check(probe, f"https://127.0.0.1:{port}/")
    assert result.status is Status.UP, result.error
    assert result.chain_expires_at == (ends or chain[0]).x509.not_valid_after_utc
    assert result.chain_expires_subject == subject


@pytest.mark.parametrize("engine", ENGINES)
def test_an_expired_intermediate_is_named(engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`certificate has expired` beside one that is good for 300 days would mislead."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(issue("site", ENDED, IP), ENDED) as port:
        result = check(probe, f"https://127.0.0.1:{port}/")
    when = f"{ENDED.x509.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    assert result.error == f"certificate has expired: CN=Ended, which ended {when}"
    assert result.chain_expires_subject == "CN=Ended"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_missed_is_named(
    version: ssl.TLSVersion, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the website says so in the handshake or after it."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(FINE, maximum_version=version, clients=ROOT.pem.decode()) as port:
        result = check(probe, f"https://127.0.0.1:{port}/")
    assert (result.reason, result.error) == (Reason.TLS_ERROR, "the website asks for a client certificate")


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))


def showing(
    monkeypatch: pytest.MonkeyPatch, folder: Path, engine: EngineName, **files: tuple[Certificate, ...]
) -> Prober:
    """An engine that trusts ROOT and has certificates to show, each the first of a chain."""
    for name, (own, *above) in files.items():
        pem = key_pem(own.key) + b"".join(certificate.pem for certificate in (own, *above))
        (folder / name).write_bytes(pem)
    return trusting(monkeypatch, folder, engine, ROOT, client_certificate_directory=str(folder))


@pytest.mark.parametrize("engine", ENGINES)
@VERSIONS
def test_a_client_certificate_is_shown(
    version: ssl.TLSVersion, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is above it; also through a redirect to another port of the host, and without verifying the website."""
    probe = showing(monkeypatch, tmp_path, engine, shop=(issue("client", BETWEEN), BETWEEN))
    wants: dict[str, Any] = {"maximum_version": version, "clients": ROOT.pem.decode()}
    with served(FINE, **wants) as port:
        redirect = page(b"", status="302 Found", headers=f"Location: https://127.0.0.1:{port}/\r\n")
        with served(FINE, answer=redirect, **wants) as first:
            for verify in (True, False):
                result = check(
                    probe, f"https://127.0.0.1:{first}/", client_certificate="shop", verify_tls=verify, regexp="hello"
                )
                assert (result.status, result.error, result.redirects) == (Status.UP, None, 1)
            # Another target, which shows none, is not helped by what was agreed with the first.
            assert check(probe, f"https://127.0.0.1:{port}/").reason is Reason.TLS_ERROR


@pytest.mark.parametrize("engine", ENGINES)
@VERSIONS
def test_a_client_certificate_is_shown_to_its_own_host_alone(
    version: ssl.TLSVersion, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect takes it nowhere else, not even where sessions are resumed."""
    showing(monkeypatch, tmp_path, engine, shop=(issue("client", ROOT),))
    probe = Prober(engine, client_certificate_directory=str(tmp_path), tls_resumption=DAY)
    both = issue("both", ROOT, IP, x509.DNSName("localhost"))
    with served(both, maximum_version=version, clients=ROOT.pem.decode()) as port:
        away = page(b"", status="302 Found", headers=f"Location: https://localhost:{port}/\r\n")
        with served(both, answer=away, maximum_version=version, clients=ROOT.pem.decode()) as first:
            for _ in range(2):
                result = check(probe, f"https://127.0.0.1:{first}/", client_certificate="shop")
                assert (result.redirects, result.error) == (1, "the website asks for a client certificate")


@pytest.mark.parametrize("engine", ENGINES)
@VERSIONS
def test_a_client_certificate_that_is_refused_is_named(
    version: ssl.TLSVersion, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The website trusts another authority."""
    probe = showing(monkeypatch, tmp_path, engine, shop=(issue("client", issue("Other", authority=True)),))
    with served(FINE, maximum_version=version, clients=ROOT.pem.decode()) as port:
        result = check(probe, f"https://127.0.0.1:{port}/", client_certificate="shop")
    assert (result.reason, result.error) == (Reason.TLS_ERROR, "the website refuses the client certificate")


CLIENT = issue("client", ROOT)
PAST = issue("past", ROOT, after=NOW - DAY)
NO_PAIR = "the file does not hold a certificate and its key, not encrypted, in PEM"
# What is in the file, and the error.
UNUSABLE: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "No such file or directory"),
    "empty": (b"", "the file {} must hold 1 to 65536 bytes of text"),
    "large": (CLIENT.pem + key_pem(CLIENT.key) + b"x" * 70_000, "the file {} must hold 1 to 65536 bytes of text"),
    "binary": (b"\xff\xfe", "the file {} is not text"),
    "text": (b"hunter2", NO_PAIR),
    "without its key": (CLIENT.pem, NO_PAIR),
    "without its certificate": (key_pem(CLIENT.key), NO_PAIR),
    "with another's key": (CLIENT.pem + key_pem(ROOT.key), NO_PAIR),
    "encrypted": (CLIENT.pem + key_pem(CLIENT.key, b"hunter2"), NO_PAIR),
    "damaged": (CLIENT.pem + key_pem(CLIENT.key).replace(b"M", b"N"), NO_PAIR),
    "past": (PAST.pem + key_pem(PAST.key), f"it ended {PAST.x509.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_client_certificate_that_cannot_be_used_says_nothing_about_the_website(
    name: str, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unknown, and tells nothing of what is in the file. Once the file is mended, the check is made."""
    content, error = UNUSABLE[name]
    probe = showing(monkeypatch, tmp_path, engine)
    file = tmp_path / "shop.pem"
    if content is not None:
        file.write_bytes(content)
    with served(FINE, clients=ROOT.pem.decode()) as port:
        url = f"https://127.0.0.1:{port}/"
        result = check(probe, url, client_certificate="shop.pem")
        assert result.error == f"client certificate shop.pem: {error.format(file)}"
        assert (result.status, result.reason) == (Status.UNKNOWN, Reason.PROBER_ERROR)
        file.write_bytes(CLIENT.pem + key_pem(CLIENT.key))
        assert check(probe, url, client_certificate="shop.pem").error is None
        file.write_bytes(b"")
        assert check(probe, url, client_certificate="shop.pem").reason is Reason.PROBER_ERROR


WRITTEN = CLIENT.pem + key_pem(CLIENT.key)
# As files with certificates are found.
SPELLED = {
    "the key first": key_pem(CLIENT.key) + CLIENT.pem,
    "with a byte order mark": b"\xef\xbb\xbf" + WRITTEN,
    "with other line ends": WRITTEN.replace(b"\n", b"\r\n"),
    "with words between": b"Bag Attributes\n  friendlyName: shop\n"
    + CLIENT.pem
    + b"Key Attributes: none\n"
    + key_pem(CLIENT.key),
    "indented": WRITTEN.replace(b"\n", b"\n ").rstrip(b" "),
    "without an end of the last line": WRITTEN.rstrip(b"\n"),
}


@needs_native
@pytest.mark.parametrize("name", SPELLED)
def test_a_client_certificate_is_read_alike(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file is written, both engines can show what is in it."""
    (tmp_path / "shop.pem").write_bytes(SPELLED[name])
    with served(FINE, clients=ROOT.pem.decode()) as port:
        errors = [
            check(
                showing(monkeypatch, tmp_path, engine), f"https://127.0.0.1:{port}/", client_certificate="shop.pem"
            ).error
            for engine in (EngineName.REQUESTS, EngineName.NATIVE)
        ]
    assert errors == [None, None]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_certificate_is_in_a_file(engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else has its name does not hold up the check; Kubernetes mounts links to files."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/shop.pem").write_bytes(WRITTEN)
    (tmp_path / "shop.pem").symlink_to("files/shop.pem")
    os.mkfifo(tmp_path / "pipe.pem")
    probe = showing(monkeypatch, tmp_path, engine)
    with served(FINE, clients=ROOT.pem.decode()) as port:
        url = f"https://127.0.0.1:{port}/"
        assert check(probe, url, client_certificate="shop.pem").error is None
        for name in ("pipe.pem", "files"):
            result = check(probe, url, client_certificate=name)
            assert (result.reason, result.error) == (
                Reason.PROBER_ERROR,
                f"client certificate {name}: {tmp_path / name} is no file",
            )


@pytest.mark.parametrize("engine", ENGINES)
def test_an_odd_certificate_of_an_authority_is_not_complained_of(engine: EngineName, tmp_path: Path) -> None:
    """Machines trust some whose serial number is not positive, of which the library for certificates warns."""
    der = CLIENT.x509.public_bytes(Encoding.DER)
    serial = CLIENT.x509.serial_number.to_bytes(CLIENT.x509.serial_number.bit_length() // 8 + 1, "big")
    odd = ssl.DER_cert_to_PEM_cert(der.replace(serial, b"\x80" + serial[1:]))
    (tmp_path / "trusted.pem").write_bytes(ROOT.pem + odd.encode())
    with served(FINE) as port:
        command = [
            sys.executable,
            "-c",
            "from producer_svc.cli import main; main()",
            "probe",
            f"https://127.0.0.1:{port}/",
        ]
        done = subprocess.run(
            [*command, "--engine", str(engine)],
            check=False,
            env=os.environ | {"SSL_CERT_FILE": str(tmp_path / "trusted.pem")},
            capture_output=True,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_certificate_needs_a_directory(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That says no more about the website; over HTTP there is nobody to show it to."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(FINE) as port:
        result = check(probe, f"https://127.0.0.1:{port}/", client_certificate="shop")
        assert result.reason is Reason.PROBER_ERROR
        assert result.error == "client certificate shop: monitor.client_certificate_directory is not set"
        assert check(probe, f"http://127.0.0.1:{port}/", client_certificate="shop").reason is Reason.CONNECTION_ERROR


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "answer",
    [
        page(),
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_an_end_without_close_notify_is_an_end(
    answer: bytes, version: ssl.TLSVersion, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As browsers have it: many servers just close the connection."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(FINE, answer=answer, maximum_version=version) as port:
        result = check(probe, f"https://127.0.0.1:{port}/", regexp="hello")
    assert result.status is Status.UP, result.error


# A fatal alert of TLS: no_application_protocol (RFC 7301, section 3.2).
NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"


def old_hello(leaf: Certificate) -> bytes:
    """The first flight of a server of TLS 1.2 that does not know RFC 5746: its hello has no extension at all."""
    der = leaf.x509.public_bytes(Encoding.DER)
    one = len(der).to_bytes(3, "big") + der
    exchanged = b"\x03\x00\x1d\x20" + os.urandom(32) + b"\x04\x03\x00\x40" + os.urandom(64)  # x25519, ECDSA
    messages = [
        (2, b"\x03\x03" + os.urandom(32) + b"\0\xc0\x2b\0"),  # ECDHE_ECDSA with AES-128-GCM
        (11, len(one).to_bytes(3, "big") + one),
        (12, exchanged),
        (14, b""),
    ]
    flight = b"".join(bytes([kind]) + len(content).to_bytes(3, "big") + content for kind, content in messages)
    return b"\x16\x03\x03" + len(flight).to_bytes(2, "big") + flight


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_cannot_renegotiate_safely_is_taken(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is judged, as browsers do; to who never renegotiates nothing is unsafe."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(old_hello(issue("other", None, IP)))
                connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        result = check(probe, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert result.reason is Reason.TLS_ERROR
    assert "certificate" in str(result.error), result.error


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("refuses", [True, False])
def test_http2_alone_is_not_held_against_a_website(
    refuses: bool, engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that does not speak it, or is not to, says so; whether the website tells or begins to speak it."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT, http_versions=(HttpVersion.ONE,))
    with contextlib.ExitStack() as stack:
        if refuses:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listener.getsockname()[1]

            def refuse() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(NO_PROTOCOL)

            threading.Thread(target=refuse, daemon=True).start()
        else:
            port = stack.enter_context(served(FINE, answer=b"\0\0\x12\4\0\0\0\0\0" + b"\0" * 18))
        result = check(probe, f"https://127.0.0.1:{port}/")
    assert (result.status, result.reason) == (Status.UNKNOWN, Reason.PROBER_ERROR)
    assert "HTTP/2" in (result.error or "")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_slow_connection_leaves_less_for_what_follows(scheme: str, engine: EngineName) -> None:
    """The first packets are swallowed; when the website accepts at last, it hangs. The check still ends in its time."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))

        def accept() -> None:
            time.sleep(1.2)  # after the first packets, a second before the next ones
            # Room for all who come again, however late this thread is.
            listener.listen(16)
            with contextlib.suppress(OSError):
                while True:
                    stack.callback(listener.accept()[0].close)

        probe = Prober(engine)
        threading.Thread(target=accept, daemon=True).start()
        began = time.monotonic()
        result = check(probe, f"{scheme}://127.0.0.1:{port}/", timeout_s=4.0)
        # With a time of its own, what follows would take until the seventh second.
        assert time.monotonic() - began < 6.5
    assert result.reason is Reason.TIMEOUT, result.error
    assert result.connect_s is not None
    assert result.connect_s > 0.9


@pytest.mark.parametrize("engine", ENGINES)
def test_http2_first_does_without_it(engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A website that does not speak it is asked in HTTP/1.1 in the same handshake."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT, http_versions=(HttpVersion.TWO, HttpVersion.ONE))
    with served(FINE) as port:
        result = check(probe, f"https://127.0.0.1:{port}/", regexp="hello")
    assert (result.status, result.http_version) == (Status.UP, "1.1"), result.error


@pytest.mark.parametrize("engine", ENGINES)
def test_an_origin_shows_the_certificate_of_its_website(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the URL is asked for and verified, wherever the connection goes."""
    probe = trusting(monkeypatch, tmp_path, engine, ROOT)
    with served(issue("site", ROOT, x509.DNSName("shop.invalid"))) as port:
        assert check(probe, "https://shop.invalid/", connect_to=f"127.0.0.1:{port}").error is None
        result = check(probe, "https://other.invalid/", connect_to=f"127.0.0.1:{port}")
    assert result.reason is Reason.TLS_ERROR
    assert result.certificate_expires_at == NOW + 300 * DAY
