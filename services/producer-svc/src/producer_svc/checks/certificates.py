"""What a website's certificate says, and which authorities are trusted to sign one."""

from __future__ import annotations

import re
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import certifi

from monitoring_core.clock import EPOCH

if TYPE_CHECKING:
    import datetime as dt

_DEBIAN_BUNDLE = "ca-certificates.crt"


@attrs.frozen
class Certificate:
    """What a certificate says."""

    expires_at: dt.datetime | None
    subject: str = ""
    issuer: str = ""


@lru_cache(maxsize=1_000)
def read_certificate(der: bytes) -> Certificate | None:
    """What a certificate says; None when it cannot be read."""
    # The library takes 8 MB, which a producer of websites without TLS does not need.
    from producer_svc.checks.x509 import contents

    found = contents(der)
    return Certificate(*found) if found else None


@lru_cache(maxsize=1_000)
def first_to_expire(chain: tuple[bytes, ...]) -> Certificate | None:
    """The certificate that expires first of those from a website's own up to an authority that is trusted.

    What a website presents beyond that, like an expired certificate of an authority's predecessor, breaks nothing.

    Args:
        chain: what the website presents, DER, its own first.
    """
    presented = [certificate for der in chain if (certificate := read_certificate(der))]
    path = presented[:1]
    while path and path[-1].issuer not in _trusted():
        above = next((one for one in presented if one.subject == path[-1].issuer and one not in path), None)
        if above is None:
            break
        path.append(above)
    if path and (authority := _trusted().get(path[-1].issuer)):
        path.append(authority)
    return min((one for one in path if one.expires_at), key=_end, default=None)


@lru_cache(maxsize=1)
def _trusted() -> dict[str, Certificate]:
    """The trusted authorities by their names; of several with one name, the one that ends last."""
    found: dict[str, Certificate] = {}
    for pem in re.findall("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", trusted_authorities(), re.DOTALL):
        certificate = read_certificate(ssl.PEM_cert_to_DER_cert(pem))
        if certificate and _end(certificate) >= _end(found.get(certificate.subject, certificate)):
            found[certificate.subject] = certificate
    return found


def _end(certificate: Certificate) -> dt.datetime:
    return certificate.expires_at or EPOCH


def trusted_authorities() -> str:
    """The certificates of the trusted authorities as PEM: certifi's, and those of this machine.

    The environment variable SSL_CERT_FILE replaces the machine's own file.
    """
    paths = ssl.get_default_verify_paths()
    own = Path(paths.cafile or Path(paths.capath or paths.openssl_capath) / _DEBIAN_BUNDLE)
    bundles = [Path(certifi.where()), own]
    return "\n".join(bundle.read_text(encoding="utf-8", errors="replace") for bundle in bundles if bundle.is_file())
