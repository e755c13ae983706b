"""A website that tests script, and the way to the fakes."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Test modules are imported each by itself (--import-mode=importlib): this is how they find producer_fakes.
sys.path.insert(0, str(Path(__file__).parent))


class RawWebsite:
    """Answers every connection with what a function does to the socket, after the request's headers came."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answer(self, act: Callable[[socket.socket, bytes], None]) -> None:
        threading.Thread(target=self._serve, args=(act,), daemon=True).start()

    def _serve(self, act: Callable[[socket.socket, bytes], None]) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection, act), daemon=True).start()

    def _handle(self, connection: socket.socket, act: Callable[[socket.socket, bytes], None]) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head and (chunk := connection.recv(65536)):
                    head += chunk
                if not head:
                    return
                self.requests.append(head)
                act(connection, head)
            except OSError:
                return

    def close(self) -> None:
        self.closing.set()
        self._listener.close()


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    site = RawWebsite()
    yield site
    site.close()
