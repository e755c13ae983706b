"""How far a check with requests has come, what is left of its time, and how its steps fail."""

from __future__ import annotations

import time

import attrs

WAITING = "waiting for the answer"


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


class UnableError(ProbeError):
    """The engine cannot do what the website rightly asks for."""


@attrs.define
class Progress:
    """How far one check has come. Times are seconds on the monotonic clock, durations seconds.

    Attributes:
        phase: what the check is at, for a person.
        target: path and query of the request, as they are sent.
        connect_to: where to connect in place of the host of the request.
        family: the version of IP, None for both.
        client_certificate: the name of the certificate to show.
        attempts: every address that was tried, and what came of it.
        chain: the certificates that the website presented, its own first, DER.
        refused: when a certificate was refused; None if that did not happen.
    """

    deadline: float
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    remote_address: str | None = None
    chain: list[bytes] = attrs.field(factory=list)
    tls_version: str | None = None
    phase: str = "looking up the name"
    target: str = "/"
    connect_to: tuple[str, int | None] | None = None
    family: int | None = None
    client_certificate: str | None = None
    attempts: list[tuple[str, str]] = attrs.field(factory=list)
    refused: float | None = None

    def again(self) -> Progress:
        """The progress of one more connection to the same place, within the same budget."""
        return Progress(self.deadline, connect_to=self.connect_to, family=self.family)

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
        """Bytes came."""
        if count and self.phase == WAITING:
            self.phase = "reading the headers"

    @property
    def connecting_s(self) -> float:
        """Seconds spent on look-ups, connects and handshakes so far, all hops together."""
        return (self.dns_s or 0.0) + (self.connect_s or 0.0) + (self.tls_s or 0.0)
