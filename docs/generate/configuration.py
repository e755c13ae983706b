"""The page configuration.md: every setting, explained by infra/config/config.yaml, with the bounds of the classes."""

from __future__ import annotations

import datetime as dt
import enum
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import attrs

from monitoring_core.config import Config, Secret
from monitoring_core.config.values import Between, HostPort, Matching, Network, SecretReference, Size, written

EXAMPLE = Path(__file__).parents[2] / "infra" / "config" / "config.yaml"
_INTRODUCTION = """\
# Configuration

{about}

`check-config`, a command of every program, reads the configuration, reports every fault with its line, and connects
nowhere.

This page is generated from [infra/config/config.yaml](../infra/config/config.yaml) and the classes that read it: change
those, then run `hatch run docs configuration`.
"""
_TYPES = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    dt.timedelta: "duration",
    Size: "size",
    Secret: "secret",
    SecretReference: "secret",
    dict[str, str]: "labels",
}


class UndocumentedError(Exception):
    """The example and the classes do not explain the same settings."""


@attrs.frozen
class Setting:
    """What the example says of a setting, and the value that it shows."""

    about: str
    shown: str


@attrs.define
class Example:
    """What the example says: of all settings together, of each section, and of each `section.setting`."""

    about: str = ""
    sections: dict[str, str] = attrs.field(factory=dict)
    settings: dict[str, Setting] = attrs.field(factory=dict)


def page() -> str:
    """The page.

    Raises:
        UndocumentedError: a setting is missing from the example or has no comment there, or is no setting.
    """
    example = read(EXAMPLE.read_text())
    sections = {field.name: field.type for field in attrs.fields(attrs.resolve_types(Config)) if field.type}
    fields = {f"{name}.{field.name}" for name, section in sections.items() for field in _fields(section)}
    if differing := fields ^ example.settings.keys():
        raise UndocumentedError(f"{EXAMPLE.name} and the classes differ in {', '.join(sorted(differing))}")
    parts = [_INTRODUCTION.replace("{about}", _paragraph(example.about))]
    parts += [_section(name, section, example) for name, section in sections.items()]
    return "".join(parts)


def read(text: str) -> Example:
    """Take the example apart. The comment above a line is about it; an empty line after a comment ends it.

    Raises:
        UndocumentedError: a setting has no comment of its own.
    """
    example, section, comment = Example(), "", list[str]()
    for line in text.splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            section = match[1]
            example.sections[section] = ""
        elif match := re.fullmatch(r"  (?:# )?(\w+): (.+)", line):
            if not comment:
                raise UndocumentedError(f"{section}.{match[1]} has no comment of its own")
            example.settings[f"{section}.{match[1]}"] = Setting(" ".join(comment), match[2])
            comment = []
        elif match := re.fullmatch(r" *# (.*)", line):
            comment.append(match[1])
        elif section and comment:
            example.sections[section], comment = " ".join(comment), []
        elif comment:
            example.about, comment = " ".join(comment), []
    return example


def _section(name: str, section: type[Any], example: Example) -> str:
    lines = [f"\n## {name}\n"]
    if about := example.sections[name]:
        lines.append(f"{_paragraph(about)}\n")
    lines += ["| setting | value | default | meaning |", "| --- | --- | --- | --- |"]
    for field in _fields(section):
        setting = example.settings[f"{name}.{field.name}"]
        default = _default(field, setting.shown)
        lines.append(f"| `{field.name}` | {_kind(field.type)} | {default} | {_escaped(setting.about)} |")
    return "\n".join(lines) + "\n"


def _fields(section: type[Any]) -> tuple[attrs.Attribute[Any], ...]:
    return tuple(attrs.fields(attrs.resolve_types(section)))


def _default(field: attrs.Attribute[Any], shown: str) -> str:
    """The default as the example writes it: a test of monitoring-core holds it to the class."""
    if field.default is attrs.NOTHING:
        return "required"
    if field.default is None or field.default == ():
        return "none"
    return f"`{shown}`"


def _kind(annotation: Any) -> str:
    """What a value is, in the words of the configuration file, and its bounds."""
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) is Annotated:
        return _bounded(_kind(arguments[0]), arguments[1:])
    if annotation in _TYPES:
        return _TYPES[annotation]
    if get_origin(annotation) is tuple:
        return f"list of {_kind(arguments[0])}"
    if arguments:
        return " or ".join(map(_kind, arguments))
    if issubclass(annotation, enum.StrEnum):
        return ", ".join(f"`{choice}`" for choice in annotation)
    return _TYPES[annotation]


def _bounded(kind: str, constraints: list[Any]) -> str:
    (constraint,) = constraints
    match constraint:
        case Between(low, high):
            return f"{kind}, {_written(low)} to {_written(high)}"
        case Matching():
            return str(constraint.meaning)
        case Network():
            return "networks"
        case HostPort():
            return "`host:port`"
    raise UndocumentedError(f"this page does not know how to tell of {constraint}")


def _written(bound: Any) -> str:
    """A bound as the configuration file writes it."""
    if isinstance(bound, dt.timedelta | Size):
        return written(bound)
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _paragraph(text: str) -> str:
    return textwrap.fill(_escaped(text), 120, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """The text where Markdown would take it for something else: a table's border, or a tag."""
    return text.replace("|", "\\|").replace("<", "\\<")
