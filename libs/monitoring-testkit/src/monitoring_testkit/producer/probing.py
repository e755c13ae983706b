"""Checks of websites whose answers a test writes, one check at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from monitoring_core.codec import decode, encode
from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.config.values import Size
from monitoring_core.targets import CheckDefaults, StatusSet, TargetRecord
from producer_svc.check import Check, Origin
from producer_svc.checks.kinds import build_engine

if TYPE_CHECKING:
    import socket

    from monitoring_core.result import CheckResult

# Answers a request on a socket; gets the request's head, too.
Act = Callable[["socket.socket", bytes], None]

# Time enough for any answer on a busy machine; a check that is to time out has less of it.
DEFAULTS = CheckDefaults(interval_s=60, timeout_s=20.0, expected_status=StatusSet.parse("200-299"))
MAX_BODY = 10_000


class Prober:
    """One check at a time on an engine."""

    def __init__(self, engine: EngineName, **settings: Any) -> None:
        settings = {"max_body": Size(MAX_BODY), "max_redirects": 3} | settings
        self.engine = build_engine(MonitorConfig(engine=engine, **settings))

    def check(self, check: Check) -> CheckResult:
        """The result of a check."""
        self.engine.submit(check, Origin(3, "here"))
        (result,) = self.engine.drain_finished(2 * DEFAULTS.timeout_s)
        return result


def check(probe: Prober, url: str, **fields: Any) -> CheckResult:
    """The result of checking a URL, which comes through the codec as it is.

    Args:
        fields: of the target.
    """
    target = TargetRecord.parse({"id": 7, "url": url, **fields}).resolve(DEFAULTS)
    result = probe.check(Check(target, 60_000, time.monotonic()))
    assert decode(encode(result)) == result
    return result


def says(response: bytes) -> Act:
    """Answers these bytes."""
    return lambda connection, _: connection.sendall(response)


def page(body: bytes = b"hello", status: str = "200 OK", headers: str = "") -> bytes:
    """An answer with a body and its length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode("latin-1") + body
