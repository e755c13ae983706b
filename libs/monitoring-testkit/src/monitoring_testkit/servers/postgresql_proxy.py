"""A proxy between a client and PostgreSQL, through which a test breaks the network."""

from __future__ import annotations

import contextlib
import socket
import threading


class PostgresqlProxy:
    """Passes connections on to a PostgreSQL; cuts a connection at every third COMMIT, or lets nothing pass.

    Attributes:
        before: how many more connections to cut before their COMMIT is passed on.
        after: how many more connections to cut after PostgreSQL has answered their COMMIT, before the answer passes.
        passing: set while data passes.
        socket_path: the socket of the PostgreSQL that new connections are passed on to.
    """

    def __init__(self, socket_path: str) -> None:
        """Listen on a port of the loopback, and pass all data on to PostgreSQL's socket."""
        self.before = self.after = self._commits = 0
        self.passing = threading.Event()
        self.passing.set()
        self.socket_path = socket_path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self.passing.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.socket_path)
            cut_answer = threading.Event()
            for pump in (self._upstream, self._downstream):
                threading.Thread(target=pump, args=(client, server, cut_answer), daemon=True).start()

    def _upstream(self, client: socket.socket, server: socket.socket, cut_answer: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.passing.wait()
                if b"COMMIT\0" in data:
                    self._commits += 1
                    if self._commits % 3 == 1 and self.before:
                        self.before -= 1
                        break
                    if self._commits % 3 == 1 and self.after:
                        self.after -= 1
                        cut_answer.set()
                server.sendall(data)
        _cut(client, server)

    def _downstream(self, client: socket.socket, server: socket.socket, cut_answer: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self.passing.wait()
                if cut_answer.is_set():
                    break
                client.sendall(data)
        _cut(client, server)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
