"""Certificates as the library `cryptography` reads them. It is imported when the first certificate is read."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning

if TYPE_CHECKING:
    import datetime as dt

# Of serial numbers that are not positive, which authorities of many machines have. It would stand before every result.
warnings.filterwarnings("ignore", "Parsed a serial number", CryptographyDeprecationWarning)


def contents(der: bytes) -> tuple[dt.datetime, str, str] | None:
    """When a certificate ends, whom it names, and who issued it; None when it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = (name.rfc4514_string() for name in (certificate.subject, certificate.issuer))
        return certificate.not_valid_after_utc, subject, issuer
    except (ValueError, x509.InvalidVersion):
        return None


def certificate_and_key(text: bytes) -> tuple[bytes, dt.datetime]:
    """The certificates and the key of a text in PEM, and when the first certificate ends, which is the key's own.

    Raises:
        ValueError: they do not stand in it.
    """
    try:
        certificates, key = x509.load_pem_x509_certificates(text), load_pem_private_key(text, None)
        own, other = (
            one.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for one in (certificates[0].public_key(), key.public_key())
        )
        parts = [certificate.public_bytes(Encoding.PEM) for certificate in certificates]
        parts.append(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not what the library says: no part of a key must come into a result.
        own, other = b"", b"none"
    if own != other:
        raise ValueError("the file does not hold a certificate and its key, not encrypted, in PEM")
    return b"".join(parts), certificates[0].not_valid_after_utc
