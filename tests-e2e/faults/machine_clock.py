"""A wall clock that a test sets, for processes of their own."""

from __future__ import annotations

from pathlib import Path

import attrs

from monitoring_testkit.needs import cannot_run

FAKE_TIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@attrs.define
class MachineClock:
    """The wall clock of the processes that are started with `env`."""

    file: Path

    def __attrs_post_init__(self) -> None:
        if not FAKE_TIME.exists():
            cannot_run("setting the clock of a process needs libfaketime")
        self.set_ahead(0)

    @property
    def env(self) -> dict[str, str]:
        settings = {"TIMESTAMP_FILE": str(self.file), "NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
        return {"LD_PRELOAD": str(FAKE_TIME)} | {f"FAKETIME_{name}": value for name, value in settings.items()}

    def set_ahead(self, seconds: int) -> None:
        """Set the clock ahead of the true time, or behind it with a negative number."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self.file)
