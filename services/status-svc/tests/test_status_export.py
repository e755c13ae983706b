"""An export is the whole public view, and whoever is killed while writing it leaves the old one or the new one."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from export_process import FILES
from page_values import AT, component, everything

from monitoring_core.errors import StopError
from status_svc import export
from status_svc.pages.model import Board, public

KILLS = 40


def found(directory: Path) -> set[bytes]:
    """The different texts of the files of an export, of which there must be all."""
    paths = list(directory.resolve().rglob("*.html"))
    assert len(paths) == FILES
    return {path.read_bytes() for path in paths}


def test_killed_at_any_moment_it_leaves_the_old_view_or_the_new_one(tmp_path: Path) -> None:
    """Forty times at a random moment; what was half written is removed by the next export."""
    directory = tmp_path / "public"
    rng = random.Random(20_261_126)
    number = 0
    for _ in range(KILLS):
        command = [sys.executable, str(Path(__file__).with_name("export_process.py")), str(directory), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            first = process.stdout.readline()
            assert first, "it wrote nothing"
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            told = [int(first), *map(int, process.stdout.read().split())]
        (text,) = found(directory)
        number = told[-1]
        assert text in {str(one).encode() * 500 for one in (number, number + 1)}
        number += 1
    export.write(directory, [(f"components/{n}.html", b"last") for n in range(FILES)])
    assert found(directory) == {b"last"}
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) <= 4, "the link, its lock, what it leads to and what it led to"


def test_an_export_has_every_page_and_every_link_leads_to_a_file(tmp_path: Path) -> None:
    """Its pages say when they were made, hear of no events, and may be in any folder."""
    parts = tuple(component(n, group=f"Group {n % 3}", labels={"status_page": "public"}) for n in range(2, 40))
    board, *_ = everything("internal", "https://internal.example/")
    one = attrs.evolve(board.components[0], group="Shops", public_name="Shop 1", labels={"status_page": "public"})
    shown = public(attrs.evolve(board, components=(one, *parts)), {"status_page": "public"})
    directory = tmp_path / "www" / "status"
    count = export.write(directory, export.files(shown, "Our shops"))
    paths = [path for path in directory.resolve().rglob("*") if path.is_file()]
    assert len(paths) == count == 3 + 39 * 2 + 5
    for path in directory.resolve().rglob("*.html"):
        page = path.read_text()
        assert 'Made at <time id="made" datetime="2026-11-26T12:00:00Z">' in page
        assert "data-events" not in page
        assert "default-src 'none'" in page
        assert "internal.example" not in page
        for link in re.findall(r'(?:href|src)="([^"#]+)', page):
            target = (path.parent / link).resolve()
            assert (target / "index.html" if target.is_dir() else target).is_file(), (path, link)
    assert oct(directory.stat().st_mode)[-3:] == "755"


def test_an_export_replaces_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    """A folder of somebody else, a file, a link to elsewhere: each stays as it is."""
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    folder.mkdir()
    (folder / "precious").touch()
    file.touch()
    link.symlink_to(folder)
    for path in (folder, file, link):
        with pytest.raises(StopError, match="not from an export: give a folder that does not exist yet"):
            export.write(path, [("index.html", b"")])
    assert (folder / "precious").exists()


def test_a_failed_export_leaves_the_old_view(tmp_path: Path) -> None:
    """Whatever the failure; and takes no room on a disk that is full."""
    directory = tmp_path / "public"
    export.write(directory, [("index.html", b"old")])
    before = set(tmp_path.iterdir())

    def broken() -> object:
        yield "index.html", b"new"
        raise OSError(28, "No space left on device")

    with pytest.raises(StopError, match="No space left on device"):
        export.write(directory, broken())  # type: ignore[arg-type]
    assert (directory / "index.html").read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == before


def test_two_exports_at_once_do_not_meet(tmp_path: Path) -> None:
    """The second one says so."""
    directory = tmp_path / "public"

    def meanwhile() -> object:
        with pytest.raises(StopError, match="another process exports to it"):
            export.write(directory, [("index.html", b"second")])
        yield "index.html", b"first"

    export.write(directory, meanwhile())  # type: ignore[arg-type]
    assert (directory / "index.html").read_bytes() == b"first"


def test_an_export_leaves_those_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when one name begins with the other, and when the folder is given from where one stands."""
    monkeypatch.chdir(tmp_path)
    for _ in range(3):
        for name in ("public", "public-2", "[public]"):
            export.write(Path(name), [("index.html", name.encode())])
    for name in ("public", "public-2", "[public]"):
        assert Path(name, "index.html").read_bytes() == name.encode()
    assert len(list(tmp_path.iterdir())) == 3 * 4


def test_an_empty_view_can_be_exported(tmp_path: Path) -> None:
    """Before there is a component."""
    directory = tmp_path / "public"
    export.write(directory, export.files(Board(at=AT), "Status"))
    assert "There is nothing to show yet" in (directory / "index.html").read_text()
