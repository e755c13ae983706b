"""Writes a file as a whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A file in UTF-8, whose bytes are at `buffer`. It takes the place of `path` when the block ends without an error.

    What is there already keeps its rights. What is no regular file, like /dev/stdout, is written to as it is.

    Raises:
        StopError: the file system refuses.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        place = path.resolve()
        partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        try:
            with partial.open("x", encoding="utf-8", newline="") as file:
                if place.exists():
                    shutil.copymode(place, partial)
                yield file
            partial.replace(place)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StopError(f"{path} cannot be written: {error.strerror}") from None
