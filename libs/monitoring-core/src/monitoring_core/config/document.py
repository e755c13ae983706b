"""YAML text to plain data, with the line of every setting."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

import attrs
import yaml

from monitoring_core.config.faults import ConfigError, Fault

try:
    from yaml import CSafeLoader as QuickParser
except ImportError:  # where PyYAML was built without libyaml
    from yaml import SafeLoader as QuickParser  # type: ignore[assignment]  # another class that does the same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
SECTIONS = "sections with settings, like `monitor:`"

_TYPES: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:str": str,
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars only: `no`, `12:30` and `2026-01-01` are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's own attribute)


class _QuickLoader(QuickParser):
    """The same by libyaml, which reads a long file in a tenth of the time and says less of what is no YAML."""

    # The same dictionary, which is filled below.
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


for _tag, _pattern, _first in (
    ("null", r"~|null|", "~n"),
    ("bool", r"true|True|false|False", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), [*_first, ""])


class DocumentError(Exception):
    """The text is not a document that a configuration can be read from."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(message)


@attrs.frozen
class Document:
    """The data of a YAML file, and the one-based line of each dotted path in it, like `a.b` or `a[0].b`."""

    data: dict[str, Any]
    lines: dict[str, int]


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read, is too large, or is no document that `parse_document` takes.
    """
    try:
        with path.open("rb") as file:
            return document_of(file, str(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([Fault(str(path), "", f"cannot be read: {reason}")]) from None


def document_of(file: IO[bytes], name: str, max_bytes: int = MAX_BYTES, wanted: str = SECTIONS) -> Document:
    """Read the YAML of an open file.

    Args:
        name: what a person calls the file.
        max_bytes: how large it may be; when this is more than MAX_BYTES, it is read in the quick way.
        wanted: what it must be, for a person.

    Raises:
        ConfigError: it is too large, or is no document that `parse_document` takes.
    """
    content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ConfigError([Fault(name, "", f"is larger than {max_bytes // 1024} KiB")])
    try:
        return parse_document(content.decode(), quick=max_bytes > MAX_BYTES, wanted=wanted)
    except UnicodeDecodeError:
        raise ConfigError([Fault(name, "", "is not UTF-8 text")]) from None
    except DocumentError as error:
        raise ConfigError([Fault(f"{name}:{error.line}", "", error.message)]) from None


def parse_document(text: str, *, quick: bool = False, wanted: str = SECTIONS) -> Document:
    """Read a YAML mapping. Args: quick, wanted: as for `document_of`.

    Raises:
        DocumentError: the text is not YAML or not a mapping, or it has what no configuration needs (aliases, tags,
            several documents, a key twice).
    """
    try:
        root = yaml.compose(text, Loader=_QuickLoader if quick else _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(mark.line + 1 if mark else 1, f"is not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentError(
            1, f"is not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from None
    if root is None:
        return Document({}, {})
    if not isinstance(root, yaml.MappingNode):
        raise DocumentError(root.start_mark.line + 1, f"must be {wanted}")
    reader = _Reader()
    return Document(reader.value(root, ""), reader.lines)


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: str, depth: int = 0) -> Any:
        line = node.start_mark.line + 1
        if id(node) in self._seen:
            raise DocumentError(line, f"{path}: YAML aliases are not supported")
        if depth > MAX_DEPTH:
            raise DocumentError(line, f"{path}: is nested too deeply")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, f"{path}[{i}]", depth) for i, item in enumerate(node.value)]
        return _scalar(node, path)

    def _item(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path, depth + 1)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise DocumentError(line, f"{path or 'the file'}: a key must be a name")
            key = _text(key_node.value, line, path or "the file")
            key_path = f"{path}.{key}" if path else key
            if key in content:
                raise DocumentError(line, f"{key_path}: is given twice, first in line {self.lines[key_path]}")
            self.lines[key_path] = line
            content[key] = self.value(value_node, key_path, depth + 1)
        return content


def _scalar(node: yaml.Node, path: str) -> Any:
    make = _TYPES.get(node.tag)
    if make is None:
        raise DocumentError(node.start_mark.line + 1, f"{path}: the tag {node.tag} is not supported")
    text = _text(node.value, node.start_mark.line + 1, path)
    try:
        return make(text)
    except ValueError:
        raise DocumentError(node.start_mark.line + 1, f"{path}: is not a value of its tag {node.tag}") from None


def _text(text: str, line: int, path: str) -> str:
    """`text` itself; refused when an escape like `\\ud800` makes it invalid Unicode, which cannot be stored."""
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise DocumentError(line, f"{path}: is not valid Unicode")
    return text
