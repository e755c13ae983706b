"""Items of alerts.yaml, such as policies: each a mapping of settings, with all of its faults."""

from __future__ import annotations

import os
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import attrs

from monitoring_core.config.converter import Sourced
from monitoring_core.config.document import Document, read_document
from monitoring_core.config.faults import ConfigError, Fault, Section, suggestion
from monitoring_core.config.structure import structure
from monitoring_core.config.values import Secret, SecretSources
from monitoring_core.config.values.shown import shown

T = TypeVar("T", bound=Section)
# Everything that alerts.yaml may hold. Each part is read by the package that it is for.
SECTIONS = ("policies", "channels", "routes", "grouping", "heartbeat")


class Items:
    """A file that is being read, and the faults found so far."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: it cannot be read, or is no document.
        """
        self._path = path
        self._document: Document = read_document(path)
        self._sources = SecretSources(os.environ, path.parent)
        self._faults: list[Fault] = []

    @property
    def data(self) -> dict[str, Any]:
        """The sections of the file, as plain data."""
        return self._document.data

    def check_sections(self) -> None:
        """Note every section that there should not be."""
        for name in self.data:
            if name not in SECTIONS:
                self.fault(name, f"no such section{suggestion(name, dict.fromkeys(SECTIONS))}")

    def finish(self) -> None:
        """End the reading.

        Raises:
            ConfigError: there were faults, every one of which it holds.
        """
        if self._faults:
            raise ConfigError(sorted(self._faults, key=_line))

    def item(self, path: str, item: dict[str, Any], kind: type[T]) -> T | None:
        """The settings of an item, or None when they are faulty; notes all their faults."""
        data, faulty = self._without_misshapen_sections(path, item, kind)
        made, faults = structure(self._sourced(path, data, kind), kind)
        for key, message in faults:
            self.fault(f"{path}.{key}", message)
            faulty.add(key.partition(".")[0])
        if made:
            for rule in made.broken_rules():
                if faulty.isdisjoint(key.partition(".")[0] for key in rule.keys):
                    self.fault(f"{path}.{rule.keys[0]}", rule.message)
        return None if faulty else cast("T | None", made)

    def unique_names(self, items: list[tuple[str, str]]) -> None:
        """Note every name that an earlier item has. Args: items: the path and the name of each."""
        names: dict[str, str] = {}
        for path, name in items:
            first = names.setdefault(name, path)
            if first != path:
                self.fault(f"{path}.name", f"is the name of {first} too")

    def fault(self, path: str, message: str) -> None:
        """Note what is wrong with a setting."""
        self._faults.append(Fault(self._place(path), path, message))

    def _without_misshapen_sections(
        self, path: str, item: dict[str, Any], kind: type[T]
    ) -> tuple[dict[str, object], set[str]]:
        """The settings of an item without those that should be mappings and are not, and the names of these."""
        sections = _sections(kind)
        empty = {name for name in sections if name in item and item[name] is None}
        misshapen = {name for name in sections.keys() & item.keys() - empty if not isinstance(item[name], dict)}
        for name in misshapen:
            settings = ", ".join(attrs.fields_dict(sections[name]))
            self.fault(f"{path}.{name}", f"must be a mapping with {settings}, got {shown(item[name])}")
        return {name: value for name, value in item.items() if name not in empty | misshapen}, misshapen

    def _sourced(self, path: str, data: dict[str, object], kind: type[T]) -> dict[str, object]:
        """The settings, those that may be secrets with the sources that they are looked up in."""
        fields = attrs.fields_dict(attrs.resolve_types(kind))
        return {
            name: Sourced(value, self._sources, self._place(f"{path}.{name}"), f"{path}.{name}")
            if value is not None and name in fields and Secret in _alternatives(fields[name].type)
            else value
            for name, value in data.items()
        }

    def _place(self, path: str) -> str:
        """The place of a setting; where it is not set, that of what it belongs to."""
        lines = self._document.lines
        while path and path not in lines:
            path = path.rpartition(".")[0] if "." in path else path.partition("[")[0] if "[" in path else ""
        return f"{self._path}:{lines[path]}" if path else str(self._path)


def _line(fault: Fault) -> tuple[int, str]:
    """Sort by line of the file; faults without a line come first."""
    _, _, line = fault.place.rpartition(":")
    return (int(line) if line.isdecimal() else 0, fault.path)


def _sections(kind: type[Section]) -> dict[str, type[attrs.AttrsInstance]]:
    """The settings of a kind that are mappings of settings, with their classes."""
    return {
        field.name: option
        for field in attrs.fields(attrs.resolve_types(kind))
        for option in _alternatives(field.type)
        if isinstance(option, type) and attrs.has(option) and option is not Secret
    }


def _alternatives(kind: Any) -> list[Any]:
    """The types that a setting may have, without their constraints."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [inner for one in get_args(kind) if one is not NoneType for inner in _alternatives(one)]
    return [kind]
