"""A local website for benchmarks, in its own process: `python site.py CERTIFICATE [SECONDS]` prints its two ports.

Answers come after so many seconds.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

BODY = b"<html><body>" + b"All is well. " * 80 + b"</body></html>"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY
)
DELAY_S = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0


class Website(asyncio.Protocol):
    """Answers each connection once, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if DELAY_S:
            asyncio.get_running_loop().call_later(DELAY_S, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(ANSWER)
        self._transport.close()


async def main(certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Website, "127.0.0.1", 0, ssl=tls, backlog=1024) for tls in (None, context)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
