"""What a website's certificate says, and which authorities are trusted to sign one."""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import certifi

from monitoring_core.clock import EPOCH

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

_DEBIAN_BUNDLE = "ca-certificates.crt"
_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# How often the files with trusted authorities are looked at.
LOOK_EVERY_S = 5.0


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
def first_to_expire(chain: tuple[bytes, ...], authorities: str) -> Certificate | None:
    """The certificate that expires first of those from a website's own up to an authority that is trusted.

    What a website presents beyond that, like an expired certificate of an authority's predecessor, breaks nothing.

    Args:
        chain: what the website presents, DER, its own first.
        authorities: those that are trusted, PEM.
    """
    trusted = _by_name(authorities)
    presented = [certificate for der in chain if (certificate := read_certificate(der))]
    path = presented[:1]
    while path and path[-1].issuer not in trusted:
        above = next((one for one in presented if one.subject == path[-1].issuer and one not in path), None)
        if above is None:
            break
        path.append(above)
    if path and (authority := trusted.get(path[-1].issuer)):
        path.append(authority)
    return min((one for one in path if one.expires_at), key=_end, default=None)


@lru_cache(maxsize=1)
def _by_name(authorities: str) -> dict[str, Certificate]:
    """The trusted authorities by their names; of several with one name, the one that ends last."""
    found: dict[str, Certificate] = {}
    for der in certificates_of(authorities):
        certificate = read_certificate(der)
        if certificate and _end(certificate) >= _end(found.get(certificate.subject, certificate)):
            found[certificate.subject] = certificate
    return found


def certificates_of(text: str) -> Iterator[bytes]:
    """The certificates in a text in PEM, DER."""
    for pem in _PEM.findall(text):
        with contextlib.suppress(ValueError):
            yield ssl.PEM_cert_to_DER_cert(pem)


def _end(certificate: Certificate) -> dt.datetime:
    return certificate.expires_at or EPOCH


class TrustedAuthorities:
    """The certificates of the trusted authorities: certifi's, and those of this machine, read again when they change.

    The environment variable SSL_CERT_FILE replaces the machine's own file. A file that vanishes, or holds no
    certificate any more, changes nothing: it may be about to be replaced.

    Attributes:
        pem: all of them.
    """

    def __init__(self) -> None:
        paths = ssl.get_default_verify_paths()
        own = Path(paths.cafile or Path(paths.capath or paths.openssl_capath) / _DEBIAN_BUNDLE)
        self._files = (Path(certifi.where()), own)
        self._looked = time.monotonic()
        self._read = self._seen = [_stamp(file) for file in self._files]
        self._texts = [_certificates_in(file) for file in self._files]
        self.pem = "\n".join(self._texts)

    def have_changed(self) -> bool:
        """Look at the files now and then; whether that led to another `pem`.

        A change counts when the next look finds the same, since a file may be half written.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return False
        self._looked, before, self._seen = now, self._seen, [_stamp(file) for file in self._files]
        if self._seen == self._read or self._seen != before:
            return False
        self._read, pem = self._seen, self.pem
        self._texts = [_certificates_in(file) or text for file, text in zip(self._files, self._texts, strict=True)]
        self.pem = "\n".join(self._texts)
        return self.pem != pem


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file is another than before."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _certificates_in(path: Path) -> str:
    """The certificates in a file, without what stands between them; nothing if it cannot be read."""
    try:
        return "\n".join(_PEM.findall(path.read_text(encoding="ascii", errors="replace")))
    except OSError:
        return ""
