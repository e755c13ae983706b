"""Disks of a few megabytes, and how they are filled."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

from monitoring_testkit.needs import need_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A disk that is mounted at a new folder and removed after the block."""
    need_root("a disk of its own")
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb") as out, contextlib.suppress(OSError):
        while True:
            out.write(b"\0" * (1 << 20))
            out.flush()
