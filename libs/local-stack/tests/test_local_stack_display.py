"""The table of websites, as a terminal shows it."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from local_stack import display

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

URL = "http://shop.example.org/a/long/way/to/the/page"
ROW = (1, URL, "down", "connection_error", 0.25, 3, "undetermined")


def test_a_narrow_terminal_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A website and a reason that are too long for their columns go on below."""

    @contextlib.contextmanager
    def connect(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(execute=lambda _: SimpleNamespace(fetchall=lambda: [ROW]))

    monkeypatch.setattr(display, "connect", connect)
    out = io.StringIO()
    stack: Any = SimpleNamespace(postgres=None)
    Console(file=out, width=60).print(display.live_table(stack, {}))
    lines = out.getvalue().splitlines()
    assert "…" not in out.getvalue()
    starts = [lines[0].index(name) for name in ("website", "verdict", "reason", "time")]
    assert "".join(line[starts[0] : starts[1]].strip() for line in lines[1:]) == URL
    assert "".join(line[starts[2] : starts[3]].strip() for line in lines[1:]) == "connection_error"
