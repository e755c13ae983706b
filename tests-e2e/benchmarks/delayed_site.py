"""A website that answers late and writes down when: `python delayed_site.py ADDRESS PORT DELAY_S FILE`.

At the end the file gets a line for each request: its path, when the kernel had received it, and when the answer was
handed to the kernel, both in seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import heapq
import selectors
import signal
import socket
import struct
import sys
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\nAll is well. </body>\r\n"
# asm-generic/socket.h: the kernel says when it received what is read; Python has no name for it.
_SO_TIMESTAMPNS = 35


class DelayedSite:
    """One thread, and a heap of the answers that are due."""

    def __init__(self, address: str, port: int, delay_s: float) -> None:
        self._delay_s = delay_s
        self._due: list[tuple[float, int, socket.socket, str]] = []
        self.stamps: list[tuple[str, float, float]] = []
        self._listener = socket.create_server((address, port), backlog=4_096)
        # Accepted when its request is there; the sockets take over the timestamps.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        self._listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._listener.setblocking(False)

    def run(self) -> None:
        """Answer for ever."""
        with selectors.EpollSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                wait_s = max(0.0, self._due[0][0] - time.time()) if self._due else None
                if selector.select(wait_s):
                    self._accept()
                while self._due and self._due[0][0] <= time.time():
                    self._answer()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                head, extra, _, _ = client.recvmsg(4_096, 64)
                came = _received(extra)
                path = head.split(b" ", 2)[1].decode()
                heapq.heappush(self._due, (came + self._delay_s, client.fileno(), client, path))

    def _answer(self) -> None:
        due, _, client, path = heapq.heappop(self._due)
        with contextlib.suppress(OSError), client:
            answered = time.time()
            client.sendall(ANSWER)
            self.stamps.append((path, due - self._delay_s, answered))


def _received(extra: list[tuple[int, int, bytes]]) -> float:
    """When the kernel received the request."""
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("=qq", data)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def main() -> None:
    site = DelayedSite(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        site.run()
    finally:
        lines = (f"{path} {came:.6f} {answered:.6f}\n" for path, came, answered in site.stamps)
        Path(sys.argv[4]).write_text("".join(lines))


if __name__ == "__main__":
    main()
