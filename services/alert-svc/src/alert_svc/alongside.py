"""A loop in a thread beside the service's loop."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from monitoring_runtime.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_runtime.stop import Stop

# How long the loop is waited for at the end.
_FINISH_S = 20.0


@contextmanager
def alongside(name: str, run: Callable[[Stop], None], stop: Stop) -> Iterator[None]:
    """Run in a thread beside the block. Whichever of both ends first ends the other.

    Args:
        run: a loop that ends soon after a stop is requested.

    Raises:
        StopError: as `run`, at the end of the block.
    """

    def work() -> None:
        try:
            run(stop)
        finally:
            stop.request()

    thread = in_background(name, work)
    try:
        yield
    finally:
        stop.request()
        thread.result(_FINISH_S)
