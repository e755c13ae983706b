"""The advisory lock that every command holds while it changes the installation, so that only one does at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dbadmin import holders
from dbadmin.connect import one_row
from monitoring_core.errors import StopError
from monitoring_runtime.retry import LOCKED

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    # Tells a person what is waited for.
    Tell = Callable[[str], None]

# Any number that no other program uses for its advisory lock: "wamon" in ASCII.
INSTALLATION_LOCK = 0x77616D6F6E
# How long a command waits for what others hold.
GIVE_UP_S = 120.0


def say_nothing(_line: str) -> None:
    """For callers that show nobody what is waited for."""


def hold_installation_lock(connection: psycopg.Connection[Any], tell: Tell, *, session: bool) -> None:
    """Take the lock, for the session or for the transaction that is open; wait for it up to GIVE_UP_S seconds.

    Raises:
        StopError: another process held the lock all the time; the text names it.
    """
    scope = "" if session else "_xact"
    end_s, backoff, told = time.monotonic() + GIVE_UP_S, LOCKED.backoff(), False
    while not one_row(connection, f"SELECT pg_try_advisory{scope}_lock(%s)", (INSTALLATION_LOCK,))[0]:
        holder = holders.of_key(connection, INSTALLATION_LOCK)
        if time.monotonic() > end_s:
            pid = holder.pid if holder else "PID"
            raise StopError(
                f"nothing was changed: {holder or 'another session'} has held the lock of dbadmin's commands for "
                f"{GIVE_UP_S:g} s; if it does not work any more, end it with SELECT pg_terminate_backend({pid})"
            )
        if not told:
            tell(f"waits for another command of dbadmin, for {GIVE_UP_S:g} s at most: {holder or 'another session'}")
            told = True
        time.sleep(backoff.next())
