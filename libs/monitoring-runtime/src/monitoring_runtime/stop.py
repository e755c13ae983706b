"""An ordered stop on SIGTERM and SIGINT."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether the process is to stop, for loops to ask and to wait on."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether a stop has been requested."""
        return self._event.is_set()

    def request(self) -> None:
        """Request the stop."""
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the stop is requested, at most `timeout_s` seconds; whether it is."""
        return self._event.wait(timeout_s)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A Stop that the first SIGTERM or SIGINT requests. A second one ends the process at once, with status 1."""
    stop = Stop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            os._exit(1)
        stop.request()

    previous = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
