"""A resolver on this machine, which answers what a test says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

A, CNAME, AAAA = 1, 5, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5

# A name and a type (A or AAAA); returns whole answers, without their id, or None to say nothing.
Knowledge = Callable[[str, int], "bytes | None"]


class Resolver:
    """Answers over UDP and TCP on one port, with what a function knows.

    Attributes:
        asked: every question, name and type.
        knows, over_tcp: what is answered over UDP, and over TCP.
        forger: whether somebody who cannot see the questions answers them first.
    """

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self._udp, self._tcp = _both(address, port)
        self.port: int = self._udp.getsockname()[1]
        self.forger = False
        self.asked: list[tuple[str, int]] = []
        self.knows: Knowledge = lambda _name, _kind: None
        self.over_tcp: Knowledge = lambda _name, _kind: None
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._udp.close()
        self._tcp.close()

    def _answer(self, question: bytes, knows: Knowledge) -> bytes | None:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        kind = struct.unpack_from(">H", question, at + 1)[0]
        name = ".".join(labels)
        self.asked.append((name, kind))
        said = knows(name, kind)
        if said is None:
            return None
        head, records = said[:6], said[6:]
        return question[:2] + head[:2] + question[4:6] + head[2:6] + b"\0\0" + question[12 : at + 5] + records

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, sender = self._udp.recvfrom(4096)
                if answer := self._answer(question, self.knows):
                    if self.forger:
                        self._udp.sendto(bytes([answer[0] ^ 1]) + answer[1:-4] + b"\x7f\0\0\x09", sender)
                    self._udp.sendto(answer, sender)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                with connection:
                    question = connection.recv(4096)[2:]
                    if answer := self._answer(question, self.over_tcp):
                        connection.sendall(struct.pack(">H", len(answer)) + answer)


def _both(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A socket for UDP and one for TCP on the same port, any free one for 0."""
    for _ in range(20):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind((address, port))
            return udp, socket.create_server(udp.getsockname())
        except OSError:  # another process has the port for TCP
            udp.close()
    raise OSError(f"no port of {address} is free for UDP and TCP")


def wire_name(name: str) -> bytes:
    """A name as DNS writes it."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner: str, kind: int, data: str, ttl: int = 0) -> bytes:
    """A resource record; `data` is an address or a name."""
    packed = {
        A: lambda: socket.inet_pton(socket.AF_INET, data),
        AAAA: lambda: socket.inet_pton(socket.AF_INET6, data),
        CNAME: lambda: wire_name(data),
    }[kind]()
    return wire_name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(packed)) + packed


def said(*records: bytes, code: int = NOERROR, truncated: bool = False) -> bytes:
    """What a resolver answers, for `Resolver.knows`."""
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    return struct.pack(">HHH", flags, len(records), 0) + b"".join(records)


def known(addresses: dict[tuple[str, int], str], ttl: int = 0) -> Knowledge:
    """These addresses and no others; other names do not exist."""

    def knows(name: str, kind: int) -> bytes:
        if (name, kind) in addresses:
            return said(record(name, kind, addresses[name, kind], ttl))
        return said(code=NOERROR if any(name == other for other, _ in addresses) else NXDOMAIN)

    return knows
