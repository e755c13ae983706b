"""An ordered stop on SIGTERM and SIGINT."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STDERR = 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether the process should stop; loops check it and wait on it.

    There is no lock, because a signal's handler may interrupt the thread that holds it, and would wait forever.
    """

    def __init__(self) -> None:
        self._requested = False
        self._wakes, self._wake = socket.socketpair()

    @property
    def requested(self) -> bool:
        """Whether a stop has been requested."""
        return self._requested

    def request(self) -> None:
        """Request the stop."""
        if not self._requested:
            self._requested = True
            self._wake.send(b"\0")

    def wait(self, timeout_s: float) -> bool:
        """Wait until the stop is requested, at most `timeout_s` seconds. True when it is requested."""
        if not self._requested:
            select.select([self._wakes], [], [], max(0.0, timeout_s))
        return self._requested


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A Stop that the first SIGTERM or SIGINT requests. A second one ends the process at once, with status 1.

    SIGUSR1 writes the stack of each thread to standard error, to find out why a process hangs.
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
