"""A receiver of webhooks on the loopback, and the alerts.yaml with which alert-svc sends to it."""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import secrets
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs
import yaml
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two checks that agree are soon told, and two good ones end it; the defaults are for checks every minute.
_CONFIRMED = 2
_MAX_BODY = 1 << 20
COLUMNS = 80


@attrs.define
class Receiver:
    """What has come, each webhook as a line; and what alert-svc must know to send them.

    Attributes:
        secret: shared with alert-svc, which signs each webhook with it.
    """

    url: str
    secret: str = attrs.field(factory=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}", repr=False)
    _lines: queue.SimpleQueue[str] = attrs.field(factory=queue.SimpleQueue, init=False)
    _known: set[str] = attrs.field(factory=set, init=False)

    def alerts_yaml(self, secret_file: str) -> str:
        """Policies that soon tell of every website that is down, and this receiver as the one channel."""
        policy = {
            "name": "website-down",
            "kind": "down",
            "failures": {"at_least": _CONFIRMED, "of_last": _CONFIRMED},
            "recovery": {"slots": _CONFIRMED},
            "severity": "critical",
        }
        channel = {"name": "local", "type": "webhook", "url": self.url, "secret": {"file": secret_file}}
        content = {"policies": [policy], "channels": [channel], "grouping": {"wait": "1s"}}
        return yaml.safe_dump(content, sort_keys=False)

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Note a webhook, a repeat only once; returns whether it is signed as it must be."""
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        said = json.loads(body)
        if headers["webhook-id"] not in self._known:
            self._known.add(headers["webhook-id"])
            self._lines.put(line_of(said))
        return True

    def new_lines(self) -> list[str]:
        """The lines of webhooks that came since the last call."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines


def line_of(webhook: dict[str, Any]) -> str:
    """A webhook as one line of at most 80 columns: when it came, and its title."""
    moment = datetime.fromisoformat(webhook["timestamp"]).astimezone()
    # One line, and nothing that a terminal obeys.
    title = "".join(c if c.isprintable() else " " for c in webhook["data"]["title"])
    line = f"webhook {moment:%H:%M:%S} {title}"
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"


@contextlib.contextmanager
def local_receiver() -> Iterator[Receiver]:
    """Start the receiver; it ends with the block."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Handler.receiver = Receiver(f"http://127.0.0.1:{server.server_port}/")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield Handler.receiver
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), _MAX_BODY))
        good = self.receiver.take(body, {name.lower(): value for name, value in self.headers.items()})
        self.send_response(204 if good else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        """Write nothing."""
