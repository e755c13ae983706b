"""A website that costs as little as possible: `python -m monitoring_testkit.fine_site HOST` prints its port."""

from __future__ import annotations

import contextlib
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
_REQUEST_S = 5


def main(host: str) -> None:
    """Answer each connection once, one after the other, for ever."""
    with socket.create_server((host, 0), backlog=4_096) as listener:
        # The kernel hands over a connection only when its request has arrived.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _REQUEST_S)
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            with contextlib.suppress(OSError), client:
                client.settimeout(_REQUEST_S)
                client.recv(4_096)
                client.sendall(ANSWER)


if __name__ == "__main__":
    main(sys.argv[1])
