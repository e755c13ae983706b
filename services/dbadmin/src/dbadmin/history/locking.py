"""Work that needs a lock behind which consumers would queue: each try gives up after a moment."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from monitoring_runtime.retry import LOCKED

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_TIMEOUT_MS = 500
LOCK_ATTEMPTS = 10
T = TypeVar("T")


class LockedOutError(Exception):
    """Other sessions held a lock during all tries. The next run tries again."""


def with_locks(connection: psycopg.Connection[Any], step: Callable[[], T]) -> T:
    """Run a step in a transaction, again and again until it gets its locks.

    Args:
        connection: in autocommit mode.

    Raises:
        LockedOutError: the step did not get its locks in LOCK_ATTEMPTS tries of LOCK_TIMEOUT_MS each.
    """
    backoff = LOCKED.backoff()
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            time.sleep(backoff.next())
        with (
            contextlib.suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected),
            connection.transaction(),
        ):
            connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            return step()
    raise LockedOutError
