"""Waiting for something that another thread or process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_S = 0.05


def until(holds: Callable[[], bool], timeout_s: float = 60.0, what: str | Callable[[], str] = "") -> None:
    """Wait until a condition holds.

    Args:
        what: what is waited for, or a function that describes the state; it is only called after a failure.

    Raises:
        AssertionError: the condition does not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true in {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(_POLL_S)
