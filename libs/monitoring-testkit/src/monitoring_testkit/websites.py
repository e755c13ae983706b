"""Websites on this machine, for producers to check."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class RawWebsite:
    """A website whose answers are made by a function that gets the socket after the request's headers have come."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        """The website's address."""
        return f"http://127.0.0.1:{self.port}/"

    def answer(self, act: Callable[[socket.socket, bytes], object]) -> None:
        """From now on, call `act` for every connection, with its socket and the head of its request."""
        threading.Thread(target=self._serve, args=(act,), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections, and set `closing` for the functions that wait for it."""
        self.closing.set()
        self._listener.close()

    def _serve(self, act: Callable[[socket.socket, bytes], object]) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self.closing.wait(0.01):
                    return
                continue  # this process has no descriptor left for now
            threading.Thread(target=self._handle, args=(connection, act), daemon=True).start()

    def _handle(self, connection: socket.socket, act: Callable[[socket.socket, bytes], object]) -> None:
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


@contextlib.contextmanager
def fine_website(host: str = "127.0.0.1") -> Iterator[int]:
    """A website at this address that answers OK to every request and ends with the block. Yields its port.

    The website is a process of its own, so that a busy test does not make it slow.
    """
    command = [sys.executable, "-m", "monitoring_testkit.fine_site", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
