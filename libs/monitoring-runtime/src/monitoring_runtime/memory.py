"""Memory settings for a service that runs for months."""

from __future__ import annotations

import contextlib
import ctypes
import gc

_M_ARENA_MAX, _ARENAS = -8, 2
_YOUNG = 50_000


def keep_memory_together() -> None:
    """Let glibc serve all threads from few arenas.

    By default nearly every thread has an arena of its own, and the memory of short-lived work is never given back: a
    soak of 100,000 checks in 200 threads took 180 MB. Few arenas cost nothing, since one thread at a time runs Python.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def collect_garbage_seldom() -> None:
    """Collect seldom: in work that makes many objects but no cycles, collecting takes an eighth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
