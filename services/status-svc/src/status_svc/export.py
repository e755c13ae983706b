"""The public view as files, for any web server: a reader finds the old view or the new one, never a part.

The folder that was asked for is a symbolic link. What it leads to is written beside it, in a hidden folder, and then
the link is replaced, which is one step of the file system. The view before the last is removed with the next export.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring_core.errors import StopError
from status_svc.pages import documents
from status_svc.pages.rendering import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from status_svc.pages.model import Board


def files(board: Board, title: str, base: str = "") -> Iterator[tuple[str, bytes]]:
    """Every file of a view, by its way from the overview.

    Args:
        board: what the public may see.
        title: the name of the site.
        base: the URL of the folder in which the files will be, for links in the feed; it may be empty.
    """
    for name, fixed in documents.static().items():
        yield f"static/{name}", fixed.content
    view = View(title=title, made_once=True)
    for name in documents.names(board):
        document = documents.make(name, board, view, base)
        assert document is not None, name
        yield name, document.content


def write(directory: Path, content: Iterable[tuple[str, bytes]]) -> int:
    """Replace what is in a folder by these files, in one step; returns how many there are.

    Args:
        directory: does not exist yet, or was made by this function.

    Raises:
        StopError: it is something else, another process writes to it, or the file system refuses.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            current = _current(directory)
            for old in list(directory.parent.iterdir()):
                if old.name.startswith(_prefix(directory)) and old.name != current:
                    _remove(old)
            return _replace(directory, content)
    except OSError as error:
        raise StopError(f"{directory}: cannot be exported to: {error.strerror or error}") from None


def _replace(directory: Path, content: Iterable[tuple[str, bytes]]) -> int:
    made = Path(tempfile.mkdtemp(prefix=_prefix(directory), dir=directory.parent))
    try:
        count = _fill(made, content)
    except BaseException:
        # A disk that is full is not left full.
        shutil.rmtree(made, ignore_errors=True)
        raise
    link = made.with_name(f"{made.name}-link")
    link.symlink_to(made.name)
    link.replace(directory)
    return count


def _fill(folder: Path, content: Iterable[tuple[str, bytes]]) -> int:
    # It is for the web server, which is another user.
    folder.chmod(0o755)
    count = 0
    for name, text in content:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        count += 1
    # The files before the link: after a power cut, too, it leads to all of them.
    os.sync()
    return count


def _current(directory: Path) -> str | None:
    if not directory.is_symlink():
        if directory.exists():
            raise StopError(f"{directory}: is not from an export: give a folder that does not exist yet")
        return None
    name = str(directory.readlink())
    if not name.startswith(_prefix(directory)):
        raise StopError(
            f"{directory}: leads to {name}, which is not from an export: give a folder that does not exist yet"
        )
    return name


def _prefix(directory: Path) -> str:
    return f".{directory.name}.export-"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory.parent / f".{directory.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StopError(f"{directory}: another process exports to it at this moment") from None
        yield
