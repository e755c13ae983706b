"""An ordered stop on SIGTERM and SIGINT."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STDERR = 2
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
    """A Stop that the first SIGTERM or SIGINT requests. A second one ends the process at once, with status 1.

    SIGUSR1 writes to standard error what each thread is doing, for whoever asks why a process does not go on.
    """
    stop = Stop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            os._exit(1)
        stop.request()

    faulthandler.register(signal.SIGUSR1, file=_STDERR, all_threads=True)
    previous = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in previous.items():
            signal.signal(number, handler)
