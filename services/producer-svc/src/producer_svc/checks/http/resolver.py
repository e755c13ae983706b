"""Name look-ups of the engine requests: the same questions, order and words as the engine native's own resolver has.

A check asks in its own thread, within its own time; the system's resolver cannot be interrupted, and tells no codes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from producer_svc.checks.http.name_files import Files, Servers, in_turn, is_address
from producer_svc.checks.http.progress import DeadlineError, DnsError, OwnFaultError
from producer_svc.checks.network import OWN_FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.message import QueryMessage

# What getaddrinfo returns: family, kind, protocol, canonical name, and an address of that family.
Address = tuple[int, int, int, str, Any]

# How many names the cache keeps, and for how long at most.
_MAX_KEPT = 10_000
_LONGEST_S = 7 * 24 * 3600
# How long the addresses of one family wait for those of the other (RFC 8305, section 3).
_OTHER_FAMILY_S = 0.05
_KINDS = (dns.rdatatype.AAAA, dns.rdatatype.A)
# Where a message tells that it is truncated (RFC 1035, section 4.1.1).
_FLAGS, _TRUNCATED = 2, 0x02
_CODES: dict[int, str] = {
    dns.rcode.FORMERR: "cannot read the question (FORMERR)",
    dns.rcode.SERVFAIL: "failed (SERVFAIL)",
    dns.rcode.REFUSED: "refused to answer (REFUSED)",
}


class _UselessError(Exception):
    """A resolver gave no answer that another one may not better."""


@attrs.frozen
class _Said:
    """What a resolver says of one kind of address: a code, else addresses and how long they hold, seconds."""

    code: int
    addresses: tuple[str, ...] = ()
    keep_s: int = 0


class Resolver:
    """Looks names up. Safe to ask from any thread."""

    def __init__(
        self, keep: bool, resolv_conf: str = "/etc/resolv.conf", hosts: str = "/etc/hosts", port: int = 53
    ) -> None:
        """A resolver that reads these files and asks at this port; it keeps addresses as long as it may if `keep`."""
        self._files = Files(Path(resolv_conf), Path(hosts))
        self._port = port
        self._kept: dict[str, tuple[float, list[str]]] | None = {} if keep else None
        self._lock = threading.Lock()

    def resolve(self, host: str, port: int, timeout_s: float) -> Sequence[Address]:
        """The addresses of a host, in the order in which they are to be tried.

        Raises:
            DnsError, DeadlineError: the host has no address, or none was found in time.
            OwnFaultError: this machine has no resource left for the look-up.
        """
        found = [host] if is_address(host) else self._look_up(host.removesuffix(".").lower(), timeout_s)
        try:
            return [socket.getaddrinfo(one, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0] for one in found]
        except socket.gaierror as error:
            raise DnsError(f"{host}: {error.strerror}") from None

    def _look_up(self, name: str, timeout_s: float) -> list[str]:
        until = time.monotonic() + timeout_s
        with self._lock:
            self._files.look()
            servers, known = self._files.servers, self._files.known.get(name)
        if known:
            return known
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
            return ["::1", "127.0.0.1"]
        if self._kept is not None and (kept := self._kept.get(name)) and kept[0] > time.monotonic():
            return kept[1]
        try:
            queries = [dns.message.make_query(name, kind) for kind in _KINDS]
        except (dns.exception.DNSException, UnicodeError):
            raise DnsError(f"{name[:100]}: is not a host name") from None
        addresses, keep_s = self._ask_all(name, queries, servers, until)
        self._keep(name, addresses, keep_s)
        return addresses

    def _keep(self, name: str, addresses: list[str], keep_s: int) -> None:
        if self._kept is None or not 0 < keep_s < 2**31:  # a number whose first bit is set stands for 0 (RFC 2181)
            return
        now = time.monotonic()
        with self._lock:
            if len(self._kept) >= _MAX_KEPT:
                self._kept = {other: kept for other, kept in self._kept.items() if kept[0] > now}
            if len(self._kept) < _MAX_KEPT:
                self._kept[name] = (now + min(keep_s, _LONGEST_S), addresses)

    def _ask_all(self, name: str, queries: list[QueryMessage], servers: Servers, until: float) -> tuple[list[str], int]:
        """Ask one resolver after the other, as often as resolv.conf says.

        Each is waited for as long as it says, but no longer than leaves as much to those after it: a lost datagram or a
        dead resolver does not take all the time of a check.
        """
        why = "no resolver is configured"
        rounds = servers.addresses * servers.attempts
        for done, server in enumerate(rounds):
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise DeadlineError
            try:
                return self._ask(name, queries, server, min(left_s / (len(rounds) - done), servers.timeout_s))
            except _UselessError as error:
                why = str(error)
            except TimeoutError:
                why = f"no answer from the resolver {server}"
            except OSError as error:
                if error.errno in OWN_FAULTS:
                    raise OwnFaultError(error.strerror) from None
                why = f"the resolver {server}: {error.strerror}"
        if time.monotonic() >= until:
            raise DeadlineError
        raise DnsError(f"{name}: {why}")

    def _ask(self, name: str, queries: list[QueryMessage], server: str, timeout_s: float) -> tuple[list[str], int]:
        """The addresses that one resolver knows, and how long they hold.

        Raises:
            DnsError: the name has none.
            _UselessError, TimeoutError, OSError: another resolver may know more.
        """
        said = self._exchange(queries, server, timeout_s)
        addresses = list(chain.from_iterable(one.addresses for one in said))
        if addresses:
            return in_turn(addresses), min(one.keep_s for one in said if one.addresses)
        codes = [one.code for one in said if one.code != dns.rcode.NOERROR]
        if not codes:
            raise DnsError(f"{name}: the name has no address")
        if codes[0] == dns.rcode.NXDOMAIN:
            raise DnsError(f"{name}: no such name (NXDOMAIN)")
        raise _UselessError(f"the resolver {server} {_CODES.get(codes[0], f'answered with code {codes[0]}')}")

    def _exchange(self, queries: list[QueryMessage], server: str, timeout_s: float) -> list[_Said]:
        """Ask for both kinds at once. When one has come, the other is waited for only a little."""
        until = time.monotonic() + timeout_s
        waiting, said = list(queries), list[_Said]()
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((server, self._port))
            for query in queries:
                udp.send(query.to_wire())
            while waiting:
                if any(one.addresses for one in said):
                    until = min(until, time.monotonic() + _OTHER_FAMILY_S)
                # Not select: it knows no more than 1,024 descriptors.
                udp.settimeout(max(0.001, until - time.monotonic()))
                try:
                    wire = udp.recv(65_535)
                except TimeoutError:
                    break
                with contextlib.suppress(dns.exception.DNSException):
                    # What is truncated may break off anywhere.
                    is_cut = len(wire) > _FLAGS and bool(wire[_FLAGS] & _TRUNCATED)
                    message = dns.message.from_wire(wire, ignore_trailing=True, question_only=is_cut)
                    for query in [one for one in waiting if one.is_response(message)]:
                        waiting.remove(query)
                        said.append(_said(self._over_tcp(query, server, until) if is_cut else message))
        if not said or (waiting and not any(one.addresses for one in said)):
            raise TimeoutError
        return said

    def _over_tcp(self, query: QueryMessage, server: str, until: float) -> dns.message.Message:
        left_s = max(0.01, until - time.monotonic())
        try:
            return dns.query.tcp(query, server, timeout=left_s, port=self._port)
        except EOFError:
            raise _UselessError(f"the resolver {server}: closed without an answer") from None
        except dns.exception.Timeout:
            raise TimeoutError from None


def _said(message: dns.message.Message) -> _Said:
    if message.rcode() != dns.rcode.NOERROR:
        return _Said(message.rcode())
    assert isinstance(message, dns.message.QueryMessage)
    try:
        found = message.resolve_chaining()
    except dns.exception.DNSException:  # aliases that go round in a circle
        return _Said(dns.rcode.NOERROR)
    addresses = tuple(record.address for record in found.answer) if found.answer is not None else ()
    return _Said(dns.rcode.NOERROR, addresses, found.minimum_ttl)
