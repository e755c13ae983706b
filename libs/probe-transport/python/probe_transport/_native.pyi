from collections.abc import Sequence
from typing import final

__version__: str

@final
class Answer:
    """What came of a hop: a request that one connection of its own carried.

    Moments are seconds on the monotonic clock, durations seconds; what the hop never came to is None.

    Attributes:
        token: the one that the hop was submitted with.
        started, ended: when the hop began, and when its last byte came or it failed.
        dns_s, connect_s, tls_s: what the look-up, the connection and the TLS handshake took.
        first_byte_s: from the request sent to the head of the answer read.
        transfer_s: from the head of the answer read to the end.
        address: the IP address of the connection.
        attempts: every address that was tried, and what came of it, for a person.
        certificates: what the website presented, DER, its own first; also when it was refused.
        tls_version: "1.2" or "1.3".
        http_version: "1.0", "1.1" or "2".
        resumed: whether the TLS session of an earlier handshake was resumed.
        stalled_s: how long this process stood still during the hop, in pauses of at least a quarter of a second.
        status: the status code of the answer.
        fields: the fields of the answer's head in their order, names in lower case, a character for each byte.
        body: as it came over the wire, without the framing; empty when it was not to be read.
        cut: whether the body was left when it was larger than `max_body`.
        failure: the step that failed: `name`, `connect`, `hung_up`, `tls`, `protocol`, `answer`, `body`, `deadline`,
            `older` where the website wants the request over HTTP/1.1, `unable` where the library for TLS cannot tell
            whether the website is at fault, or `own` for a fault of this machine.
        detail: one line about the failure for a person; of `deadline`, what the hop was at.
    """

    token: int
    started: float
    ended: float
    dns_s: float | None
    connect_s: float | None
    tls_s: float | None
    first_byte_s: float | None
    transfer_s: float | None
    address: str | None
    attempts: list[tuple[str, str]]
    certificates: list[bytes]
    tls_version: str | None
    http_version: str | None
    resumed: bool
    stalled_s: float
    status: int | None
    fields: list[tuple[str, str]]
    body: bytes
    cut: bool
    failure: str | None
    detail: str

@final
class ClientCertificate:
    """A certificate with which hops show who they are."""

    def __new__(cls, pem: bytes) -> ClientCertificate:
        """Read it.

        Args:
            pem: the certificate, those above it, and its key, which is not encrypted.

        Raises:
            ValueError: there is no certificate with its key in the text, no part of which is in the error.
        """

@final
class Transport:
    """Makes hops in a thread of its own, any number at once."""

    def __new__(
        cls,
        authorities: bytes,
        denied_networks: Sequence[str],
        dns_cache: bool,
        max_concurrent: int,
        *,
        max_per_host: int = ...,
        resolv_conf: str = "/etc/resolv.conf",
        hosts: str = "/etc/hosts",
        dns_port: int = 53,
    ) -> Transport:
        """Begin the thread.

        Args:
            authorities: the certificates of the trusted authorities, PEM.
            denied_networks: networks, like `10.0.0.0/8`, to whose addresses no connection is made.
            dns_cache: whether addresses are kept for as long as their TTL says.
            max_concurrent: how many hops run at once; others wait, except those that are due at once.
            max_per_host: how many of these run at one host.
            resolv_conf, hosts: the files that say how names are looked up.
            dns_port: where the resolvers listen.

        Raises:
            ValueError: a network is none.
            OSError: the thread cannot begin.
        """

    def trust(self, authorities: bytes) -> None:
        """From the next handshake on, trust these authorities (PEM) in place of those before.

        No session is resumed that was agreed on under those.
        """

    def submit(
        self,
        token: int,
        due: float | None,
        timeout_s: float,
        method: str,
        url: str,
        fields: bytes,
        body: bytes | None,
        expected: Sequence[tuple[int, int]],
        max_body: int,
        follow: bool,
        verify: bool,
        *,
        http1: bool = True,
        http2: bool = False,
        endless: bool = True,
        connect_to: tuple[str, int | None] | None = None,
        family: int = 0,
        target: int = 0,
        resume_for_s: float = 0.0,
        client_certificate: ClientCertificate | None = None,
    ) -> None:
        """Hand in a hop. It begins with the next `drain`, but not before it is due.

        Args:
            due: when it begins, as soon as fewer than `max_concurrent` run; None if it goes on with a check that runs.
            timeout_s: how long the hop may take from its beginning.
            fields: lines of the request's head, each with its line break; Host and Content-Length are added.
            expected: ranges of status codes, both ends included; the body of other answers is not read.
            max_body: after how many bytes the rest of a body is left.
            follow: whether a redirect ends the hop at its head.
            verify: whether the website's certificate is verified.
            http1, http2: which versions are offered over TLS; the website chooses, and HTTP/2 comes first.
            endless: whether a stream without end, such as one of events, is read until the time is over, or not at all.
            connect_to: the host, and the port unless the URL's, that is connected to in place of the URL's.
            family: 4 or 6 for the version of IP that is connected to, 0 for both.
            target: whose TLS session may be resumed.
            resume_for_s: for how long after a full handshake it may be resumed; 0 for never.
            client_certificate: what is shown to a website that asks for one; no session is resumed then.

        Raises:
            ValueError: the URL cannot be requested.
        """

    def drain(self, wait_s: float, enough: int) -> list[Answer]:
        """The answers since the last call.

        Waits at most `wait_s` seconds until there are `enough`, or one that leads to another hop. No other thread is
        held up meanwhile.
        """
