"""What a website's certificate says, and which authorities are trusted to sign one."""

from __future__ import annotations

import datetime as dt
import ssl
from functools import lru_cache
from pathlib import Path

import attrs
import certifi
from cryptography import x509

from monitoring_core.clock import EPOCH

_DEBIAN_BUNDLE = "ca-certificates.crt"


@attrs.frozen
class Certificate:
    """What a certificate says."""

    expires_at: dt.datetime | None
    subject: str = ""
    issuer: str = ""

    @classmethod
    def expiring(cls, epoch_s: float, subject: str = "", issuer: str = "") -> Certificate:
        """A certificate that expires `epoch_s` seconds after the epoch."""
        return cls(EPOCH + dt.timedelta(seconds=epoch_s), subject, issuer)


@lru_cache(maxsize=1_000)
def read_certificate(der: bytes) -> Certificate | None:
    """What a certificate says; None when it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = (name.rfc4514_string() for name in (certificate.subject, certificate.issuer))
        return Certificate(certificate.not_valid_after_utc, subject, issuer)
    except (ValueError, x509.InvalidVersion):
        return None


def trusted_authorities() -> str:
    """The certificates of the trusted authorities as PEM: certifi's, and those of this machine.

    The environment variable SSL_CERT_FILE replaces the machine's own file.
    """
    paths = ssl.get_default_verify_paths()
    own = Path(paths.cafile or Path(paths.capath or paths.openssl_capath) / _DEBIAN_BUNDLE)
    bundles = [Path(certifi.where()), own]
    return "\n".join(bundle.read_text(encoding="utf-8", errors="replace") for bundle in bundles if bundle.is_file())
