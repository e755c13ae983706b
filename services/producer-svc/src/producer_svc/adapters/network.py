"""What both engines need to know about addresses, certificates and this machine's own limits."""

from __future__ import annotations

import errno
import ipaddress
import os
import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from cryptography import x509

from producer_svc.exchange import Certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a system call says when it is this machine that has run out of something, or has no network at all.
OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
_DEBIAN_BUNDLE = "ca-certificates.crt"


class DeniedNetworks:
    """The networks that no check connects to."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self.holding = lru_cache(maxsize=10_000)(self._holding)

    def _holding(self, address: str) -> str | None:
        """The denied network that holds an IP address, None when it is allowed."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return next((str(network) for network in self._networks if ip in network), None)


def exhausted() -> str | None:
    """Why this process cannot open anything now; None when it can.

    A look-up fails with the same words when the name does not exist and when there was no descriptor left to ask with.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in OWN_FAULTS:
            return error.strerror
    return None


def denied(address: str, network: str) -> str:
    """Why there was no connection, for a person."""
    return f"{address} is in {network}, which monitor.denied_networks forbids"


def trusted_authorities() -> str:
    """The certificates of the authorities that are trusted, as PEM: certifi's, and those of this machine.

    SSL_CERT_FILE names other ones of this machine.
    """
    paths = ssl.get_default_verify_paths()
    own = Path(paths.cafile or Path(paths.capath or paths.openssl_capath) / _DEBIAN_BUNDLE)
    bundles = [Path(certifi.where()), own]
    return "\n".join(bundle.read_text(encoding="utf-8", errors="replace") for bundle in bundles if bundle.is_file())


@lru_cache(maxsize=1_000)
def read_certificate(der: bytes) -> Certificate | None:
    """What a certificate says; None when it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = (name.rfc4514_string() for name in (certificate.subject, certificate.issuer))
        return Certificate(certificate.not_valid_after_utc, subject, issuer)
    except (ValueError, x509.InvalidVersion):
        return None
