"""Waiting until a server that tells over HTTP that it is ready does so."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_stack.processes import Child

_START_S = 120


def wait_until_ready(child: Child, url: str) -> None:
    """Wait until a server that is starting answers a URL.

    Raises:
        AssertionError: it has ended, or does not answer in time; the message has the last lines of its log.
    """
    deadline = time.monotonic() + _START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310
        except OSError:
            if child.status is not None or time.monotonic() > deadline:
                raise AssertionError(f"{child.name} does not start: {child.last_lines()}") from None
            time.sleep(0.05)
        else:
            return
