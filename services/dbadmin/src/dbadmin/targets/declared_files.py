"""Read targets from YAML files: strictly, with every fault of all of them at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring_core.config.document import Document, document_of
from monitoring_core.config.faults import ConfigError, Fault, suggestion
from monitoring_core.config.values.shown import shown
from monitoring_core.declared.declaration import Declaration, Declared
from monitoring_core.declared.items import MAX_REPORTED, Items
from monitoring_core.declared.ownership import owner_problem
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitoring_core.targets import TargetRecord

STANDARD_INPUT = "-"
MAX_BYTES = 4 << 20
# Of the environment, a file may name these alone: whoever writes it could have any other sent to a website of his own.
VARIABLE_PREFIX = "TARGET_"
_ENDINGS = (".yaml", ".yml")
_SECTIONS = ("owner", "targets")
_EXAMPLE = "a list of targets, like `- {key: home, url: https://example.org/}`"
_SHAPE = f"`owner: NAME`, and below `targets:` {_EXAMPLE}"


def read_declaration(names: Sequence[str], owner: str | None) -> Declaration:
    """The targets of files.

    Args:
        names: files, folders (of which the files ending in .yaml or .yml are read), or - for the standard input.
        owner: whose they are; None for the one that the files name.

    Raises:
        StopError: a file cannot be read, or anything is wrong with them; the text has a line for each fault.
    """
    reading = _Reading(owner)
    for name in _files(names):
        reading.read(name)
    return reading.declaration()


def _files(names: Sequence[str]) -> Iterator[str]:
    """The files that are meant, each once."""
    found = [file for name in names for file in (_in_folder(Path(name)) if Path(name).is_dir() else [name])]
    yield from dict.fromkeys(found)


def _in_folder(folder: Path) -> list[str]:
    """The files of a folder in the order of their names; not hidden ones, such as Kubernetes' own in a ConfigMap."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _ENDINGS and not file.name.startswith("."))
    if not files:
        raise StopError(f"{folder}: has no file that ends in {' or '.join(_ENDINGS)}")
    return list(map(str, files))


class _Reading:
    """Files that are being read, and the faults found so far."""

    def __init__(self, owner: str | None) -> None:
        self._owner, self._owner_place = owner, "--owner"
        self._targets: list[tuple[str, TargetRecord, str]] = []
        self._faults: list[Fault] = []
        self._items = Items()

    def read(self, name: str) -> None:
        """Take up the targets of a file and its faults, in the order of its lines."""
        try:
            if name == STANDARD_INPUT:
                document = document_of(sys.stdin.buffer, name, MAX_BYTES, _SHAPE)
            else:
                with Path(name).open("rb") as file:
                    document = document_of(file, name, MAX_BYTES, _SHAPE)
        except ConfigError as error:
            self._faults += error.faults
        except (OSError, ValueError) as error:
            self._faults.append(Fault(name, "", f"cannot be read: {getattr(error, 'strerror', None) or error}"))
        else:
            file_read = _File(name, document)
            self._sections(file_read, document.data)
            self._faults += file_read.in_order()

    def declaration(self) -> Declaration:
        """All targets of all files.

        Raises:
            StopError: there were faults.
        """
        if self._owner is None and not self._faults:
            raise StopError("whose targets are these? Give --owner NAME, or begin a file with owner: NAME")
        if self._faults:
            raise StopError("\n".join(_reported(self._faults)))
        assert self._owner is not None
        return Declaration(self._owner, tuple(Declared.of(self._owner, *found) for found in self._targets))

    def _sections(self, file: _File, data: dict[str, Any]) -> None:
        for section in data:
            if section not in _SECTIONS:
                file.fault(section, f"no such section{suggestion(section, dict.fromkeys(_SECTIONS))}")
        if "owner" in data:
            self._use_owner(file, data["owner"])
        items = data.get("targets")
        if not isinstance(items, list):
            file.fault("targets", f"must be {_EXAMPLE}")
            return
        for number, item in enumerate(items):
            self._target(file, f"targets[{number}]", item)

    def _use_owner(self, file: _File, owner: object) -> None:
        if problem := owner_problem(owner):
            file.fault("owner", f"{problem}, got {shown(owner)}")
        elif self._owner is None:
            self._owner, self._owner_place = str(owner), file.place("owner")
        elif owner != self._owner:
            file.fault("owner", f"is not that of {self._owner_place} ({self._owner})")

    def _target(self, file: _File, path: str, item: object) -> None:
        revealed, faults = _revealed_item(path, item)
        record, more = self._items.judge(revealed, path, file.place(path))
        for at, message in (*faults, *more):
            file.fault(at, message)
        if record and not faults:
            self._targets.append((revealed["key"], record, file.place(path)))


class _File:
    """One file: where things are in it, and its faults."""

    def __init__(self, name: str, document: Document) -> None:
        self._name = name
        self._lines = document.lines
        self._faults: list[tuple[int, Fault]] = []

    def fault(self, path: str, message: str) -> None:
        line = self._lines.get(self._known(path), 0)
        self._faults.append((line, Fault(self.place(path), path, message)))

    def in_order(self) -> list[Fault]:
        """The faults, in the order of their lines."""
        return [fault for _, fault in sorted(self._faults, key=lambda found: found[0])]

    def place(self, path: str) -> str:
        """The place of a setting; where it is not set, that of what it belongs to."""
        known = self._known(path)
        return f"{self._name}:{self._lines[known]}" if known else self._name

    def _known(self, path: str) -> str:
        """The path, or what it belongs to, as far as it stands in the file."""
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return path


def _revealed_item(path: str, item: Any) -> tuple[Any, list[tuple[str, str]]]:
    """The item with the secrets that headers and the body refer to, and what is wrong with these references."""
    faults: list[tuple[str, str]] = []
    if not isinstance(item, dict):
        return item, faults
    revealed = dict(item)
    if isinstance(headers := item.get("headers"), dict):
        revealed["headers"] = {
            name: _revealed(f"{path}.headers.{name}", value, faults) for name, value in headers.items()
        }
    if "body" in item:
        revealed["body"] = _revealed(f"{path}.body", item["body"], faults)
    return revealed, faults


def _revealed(path: str, value: object, faults: list[tuple[str, str]]) -> object:
    """The secret that a value refers to; any other value as it is."""
    match value:
        case {"env": str(name), **rest} if not rest and name.startswith(VARIABLE_PREFIX):
            if text := os.environ.get(name):
                return text
            faults.append((path, f"the environment variable {name} is not set"))
        case dict():
            faults.append((path, f"must be text, or a variable of the environment like {{env: {VARIABLE_PREFIX}SHOP}}"))
        case _:
            return value
    return ""


def _reported(faults: Iterable[Fault]) -> Iterator[str]:
    """The faults in the order in which they were found, each once, as far as a person reads them."""
    lines = list(dict.fromkeys(map(str, faults)))
    yield from lines[:MAX_REPORTED]
    if len(lines) > MAX_REPORTED:
        yield f"and {len(lines) - MAX_REPORTED:,} more"
