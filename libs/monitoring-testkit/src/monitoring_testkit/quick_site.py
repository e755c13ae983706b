"""The cheapest website that there is: `python -m monitoring_testkit.quick_site` prints its port."""

from __future__ import annotations

import contextlib
import socket

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell"


def main() -> None:
    """Answer each connection once, for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as listener:
        # A connection is accepted when its request has come.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            with contextlib.suppress(OSError), client:
                client.recv(4_096)
                client.sendall(ANSWER)


if __name__ == "__main__":
    main()
