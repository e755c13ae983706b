"""A file that is written as a whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from monitoring_core.errors import StopError
from monitoring_runtime.whole_file import whole_file


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Whoever reads meanwhile finds all of it."""
    path = tmp_path / "file"
    path.write_text("old")
    with whole_file(path) as file:
        file.write("new\n")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_fails(tmp_path: Path, error: BaseException) -> None:
    """Not even when the user ends it."""
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as file:
            file.write("new")
            raise error

    with pytest.raises((StopError, KeyboardInterrupt)):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_refuses_is_named(tmp_path: Path) -> None:
    """In one line, without a traceback."""
    path = tmp_path / "no" / "file"
    with pytest.raises(StopError, match=f"^{path} cannot be written: No such file or directory$"), whole_file(path):
        pass


def test_rights_and_links_stay_as_they_are(tmp_path: Path) -> None:
    """A file that its owner alone may read does not become one for all."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    with whole_file(link) as file:
        file.buffer.write(b"new")
    assert (link.is_symlink(), path.read_text(), path.stat().st_mode & 0o777) == (True, "new", 0o600)


def test_a_pipe_is_written_to() -> None:
    """As /dev/stdout may be one: there is no folder beside it for a part of the file."""
    reading, writing = os.pipe()
    with whole_file(Path(f"/proc/self/fd/{writing}")) as file:
        file.write("told")
    os.close(writing)
    assert os.read(reading, 10) == b"told"
    os.close(reading)
