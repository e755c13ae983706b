"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A pause is as long as the question took: one that runs a program must not take the processor from what it waits for.
_MIN_PAUSE_S = 0.05
_MAX_PAUSE_S = 0.2


def until(holds: Callable[[], bool], timeout_s: float = 120.0, what: str | Callable[[], str] = "") -> None:
    """Wait until a condition holds.

    Args:
        what: what is waited for, or a function that describes the state; it is only called after a failure.

    Raises:
        AssertionError: the condition does not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        if holds():
            return
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"did not come true in {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(min(max(_MIN_PAUSE_S, now - began), _MAX_PAUSE_S))
