"""Canaries: hosts that accept a TCP connection whenever this producer's network works."""

from __future__ import annotations

import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 2.0
# A round that no canary answers lasts at least this long, to spare the canaries and give websites time to answer.
MIN_ROUND_S = 1.0


class TcpCanaries:
    """Asks all canaries at once, in threads of its own. One round at a time."""

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._addresses = addresses
        self._answers: queue.Queue[bool] = queue.Queue()

    def ask(self) -> None:
        """Begin a round."""
        try:
            threading.Thread(target=self._round, name="canaries", daemon=True).start()
        except RuntimeError:  # without a free thread no canary can be asked, as without a network
            self._answers.put(False)

    def poll(self) -> bool | None:
        """Whether any canary answered in the round that has ended; None while the round is running."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None

    def _round(self) -> None:
        began = time.monotonic()
        outcomes: queue.Queue[bool] = queue.Queue()
        for address in self._addresses:
            try:
                threading.Thread(target=_try, args=(address, outcomes), name="canary", daemon=True).start()
            except RuntimeError:
                outcomes.put(False)
        answered = False
        try:
            for _ in self._addresses:
                answered = outcomes.get(timeout=max(0.0, began + TIMEOUT_S - time.monotonic()))
                if answered:
                    break
        except queue.Empty:
            answered = False
        if not answered:
            time.sleep(max(0.0, began + MIN_ROUND_S - time.monotonic()))
        self._answers.put(answered)


def _try(address: tuple[str, int], outcomes: queue.Queue[bool]) -> None:
    try:
        socket.create_connection(address, TIMEOUT_S).close()
        outcomes.put(True)
    except OSError:
        outcomes.put(False)
