"""Read targets from YAML files: strictly, with every fault of all of them at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from dbadmin.targets.declared import Declaration, Declared
from dbadmin.targets.ownership import OWNER_LABELS, key_problem, owned, owner_problem
from monitoring_core.config.document import Document, document_of
from monitoring_core.config.faults import ConfigError, Fault, suggestion
from monitoring_core.config.values.shown import shown
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.targets import TargetRecord, without_credentials
from monitoring_core.targets.files import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STANDARD_INPUT = "-"
MAX_BYTES = 4 << 20
MAX_REPORTED = 100
# Of the environment, a file may name these alone: whoever writes it could have any other sent to a website of his own.
VARIABLE_PREFIX = "TARGET_"
_ENDINGS = (".yaml", ".yml")
_SECTIONS = ("owner", "targets")
_ANY_URL = "http://a/"
_KNOWN = ("key", *(name for name in FIELDS if name != "id"))
_EXAMPLE = "a list of targets, like `- {key: home, url: https://example.org/}`"


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
        self._targets: list[tuple[str, str, TargetRecord]] = []
        self._faults: list[Fault] = []
        self._keys: dict[str, str] = {}
        self._urls: dict[str, str] = {}

    def read(self, name: str) -> None:
        """Take up the targets of a file and its faults, in the order of its lines."""
        try:
            if name == STANDARD_INPUT:
                document = document_of(sys.stdin.buffer, name, MAX_BYTES)
            else:
                with Path(name).open("rb") as file:
                    document = document_of(file, name, MAX_BYTES)
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
        return Declaration(self._owner, tuple(_declared(self._owner, *found) for found in self._targets))

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
        if not isinstance(item, dict):
            file.fault(path, f"must be a target like {{key: home, url: https://example.org/}}, got {shown(item)}")
            return
        faults = [*_faults_of_names(path, item), *_faults_of_labels(path, item.get("labels"))]
        faults += self._faults_of_others(path, item, file.place(path))
        values = {name: item[name] for name in FIELDS if name in item and name != "id"}
        faults += _reveal(path, values)
        try:
            record = TargetRecord.parse({"url": _ANY_URL} | values)
        except InvalidTargetError as error:
            faults += [(f"{path}.{field}", message) for field, message in map(_parted, error.problems)]
        for at, message in faults:
            file.fault(at, message)
        if not faults:
            self._targets.append((item["key"], file.place(path), record))

    def _faults_of_others(self, path: str, item: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
        """What another target has already."""
        for name, taken in (("key", self._keys), ("url", self._urls)):
            value = item.get(name)
            if not isinstance(value, str):
                continue
            if value in taken:
                yield f"{path}.{name}", f"{without_credentials(value)[:100]} is that of {taken[value]} too"
            else:
                taken[value] = place


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


def _reveal(path: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    """Put the secrets that headers and the body refer to in the place of the references; what is wrong with these."""
    faults: list[tuple[str, str]] = []
    if isinstance(headers := values.get("headers"), dict):
        values["headers"] = {
            name: _revealed(f"{path}.headers.{name}", value, faults) for name, value in headers.items()
        }
    if "body" in values:
        values["body"] = _revealed(f"{path}.body", values["body"], faults)
    return faults


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


def _parted(problem: str) -> tuple[str, str]:
    """The field and the sentence."""
    field, _, message = problem.partition(": ")
    return field, message


def _faults_of_names(path: str, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in item:
        if name == "id":
            yield f"{path}.id", "is given by PostgreSQL; a target of a file has a key"
        elif name not in _KNOWN:
            yield f"{path}.{name}", f"no such field{suggestion(name, dict.fromkeys(_KNOWN))}"
    for name in ("key", "url"):
        if name not in item:
            yield f"{path}.{name}", "is required"
    if "key" in item and (problem := key_problem(item["key"])):
        value = item["key"]
        yield f"{path}.key", f"{problem}, got {shown(without_credentials(value) if isinstance(value, str) else value)}"


def _faults_of_labels(path: str, labels: object) -> Iterator[tuple[str, str]]:
    for name in OWNER_LABELS:
        if isinstance(labels, dict) and name in labels:
            yield f"{path}.labels.{name}", "is set by apply, from owner and key"


def _declared(owner: str, key: str, place: str, record: TargetRecord) -> Declared:
    return Declared(key, attrs.evolve(record, labels=owned(record.labels, owner, key)), place)


def _reported(faults: Iterable[Fault]) -> Iterator[str]:
    """The faults in the order in which they were found, each once, as far as a person reads them."""
    lines = list(dict.fromkeys(map(str, faults)))
    yield from lines[:MAX_REPORTED]
    if len(lines) > MAX_REPORTED:
        yield f"and {len(lines) - MAX_REPORTED:,} more"
