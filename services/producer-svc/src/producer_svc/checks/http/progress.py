"""How far a check with requests has come, what is left of its time, and how its steps fail."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from producer_svc.checks.http.limits import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from producer_svc.checks.certificates import Certificate


class ProbeError(Exception):
    """A step of a check failed.

    Not an OSError: urllib3 and requests would take that for an error of their own and try again.
    """


class DeadlineError(ProbeError):
    """The time budget of the check is spent."""


class DnsError(ProbeError):
    """The name has no address."""


class ConnectError(ProbeError):
    """No address of the name can be connected to."""


class TlsError(ProbeError):
    """The TLS handshake failed, or the certificate is not to be trusted."""


class OwnFaultError(ProbeError):
    """The prober ran out of a resource; the website has no part in it."""


@attrs.define
class Progress:
    """How far one check has come. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        header_bytes: bytes received since the request was sent; None when no headers are being read.
        refused: when a certificate was refused; None if that did not happen.
    """

    deadline: float
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    remote_address: str | None = None
    certificate: Certificate | None = None
    tls_version: str | None = None
    header_bytes: int | None = None
    refused: float | None = None

    def remaining_s(self) -> float:
        """What is left of the budget, seconds.

        Raises:
            DeadlineError: nothing is left.
        """
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineError
        return left_s

    def received(self, count: int) -> None:
        """Count bytes that were received.

        Raises:
            ConnectError: the headers are too large.
        """
        if self.header_bytes is not None:
            self.header_bytes += count
            if self.header_bytes > MAX_HEADER_BYTES:
                raise ConnectError("the answer has too many headers, or too large ones")

    @property
    def connecting_s(self) -> float:
        """Seconds spent on look-ups, connects and handshakes so far, all hops together."""
        return (self.dns_s or 0.0) + (self.connect_s or 0.0) + (self.tls_s or 0.0)
