"""The least that a check can be, evenly spaced, until it is ended: `python floor.py SCHEME PORT RATE NAMES`.

One check after the other, in blocking calls: ask the resolver for the address, connect, over HTTPS a full handshake
with the chain verified, send the request, read to the end. It judges nothing and tells nobody.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import sys
import time

from network import DOMAIN, WEBSITE

_WAIT_S = 5.0


def question(name: str) -> bytes:
    """A query for the IPv4 address of a name (RFC 1035, section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)


def address(answer: bytes) -> str:
    """The address of an answer with one record, which is its last four bytes."""
    return socket.inet_ntoa(answer[-4:])


def check(resolver: socket.socket, asked: bytes, name: str, port: int, context: ssl.SSLContext | None) -> None:
    """One check."""
    resolver.send(asked)
    with socket.socket() as plain:
        plain.connect((address(resolver.recv(512)), port))
        connection = context.wrap_socket(plain, server_hostname=name) if context else plain
        with connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            while connection.recv(65_536):
                pass


def main() -> None:
    scheme, port, rate, names = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    context = None if scheme == "http" else ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    targets = [(question(name), name) for name in (f"w{n}.{DOMAIN}" for n in range(1, names + 1))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.settimeout(_WAIT_S)
        resolver.connect((WEBSITE, 53))
        began, number = time.monotonic(), 0
        while True:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            asked, name = targets[number % names]
            check(resolver, asked, name, port, context)
            number += 1


if __name__ == "__main__":
    main()
