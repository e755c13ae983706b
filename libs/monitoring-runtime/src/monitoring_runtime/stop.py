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
        self._wake.setblocking(False)  # as signal.set_wakeup_fd asks for

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
            woken, _, _ = select.select([self._wakes], [], [], max(0.0, timeout_s))
            if woken and not self._requested:
                self._wakes.recv(1)  # of a signal that requests no stop: it ends this wait, and no further one
        return self._requested

    def fileno(self) -> int:
        """The descriptor for signal.set_wakeup_fd: what is written to it ends a wait."""
        return self._wake.fileno()


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
    # on_signal runs only when the main thread goes on, and a signal that comes just before its wait, or to another
    # thread, does not interrupt the wait.
    previous_wakeup = signal.set_wakeup_fd(stop.fileno(), warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(previous_wakeup)
        faulthandler.unregister(signal.SIGUSR1)
        for number, handler in previous.items():
            signal.signal(number, handler)
