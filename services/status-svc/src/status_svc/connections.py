"""What uvicorn leaves open: it waits for ever for a request that does not come, and has a log of its own."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from status_svc.problems import problem

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger()
# How long a connection may take to send the beginning of a request: that is all it sends before a token is looked at.
REQUEST_WITHIN_S = 20.0


class Connection(H11Protocol):
    """A connection that is closed when a request does not come in time, so that nobody holds all of them."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Somebody connects."""
        super().connection_made(transport)
        self._await_request()

    def on_response_complete(self) -> None:
        """The next request of this connection may come."""
        super().on_response_complete()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._forget()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The process ends. What is under way is finished; events never are."""
        super().shutdown()
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request of HTTP, or begins too long, as every other error is answered."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            # The error that uvicorn is at knows which of the two it is.
            status = HTTPStatus(getattr(sys.exception(), "error_status_hint", 400))
            detail = "The request's line and headers are too long." if status == 431 else "This is no request of HTTP."
            answer = problem(status, detail, {"Connection": "close"})
            head = b"".join(b"%b: %b\r\n" % pair for pair in answer.raw_headers)
            line = f"HTTP/1.1 {status:d} {status.phrase}\r\n".encode()
            self.transport.write(line + head + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _await_request(self) -> None:
        self._forget()
        self._late = self.loop.call_later(REQUEST_WITHIN_S, self._close_unless_busy)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()

    def _close_unless_busy(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class ServerLog(logging.Handler):
    """Tells what uvicorn has to say in the form of our log. What clients do wrong is told when everything is."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one thing, without the text of an exception, which may hold values of others."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        tell = log.error if record.levelno >= logging.ERROR else log.debug
        tell(record.getMessage().strip(), **({"error": error} if error else {}))
