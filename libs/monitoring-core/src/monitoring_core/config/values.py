"""The kinds of values that settings have, and how each is read from YAML's plain data."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, get_args, get_origin

import attrs
import cattrs

from monitoring_core.config.faults import ConfigError, Fault

MAX_SECRET_BYTES = 64 * 1024
_REFERENCES = "{file: PATH}, {env: NAME} or {kubernetes: {namespace, secret, key}}"

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h|d)", re.ASCII)
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/@]+)):(\d{1,5})", re.ASCII)
_SIZE = re.compile(r"(\d{1,9}) ?(B|KiB|MiB|GiB)", re.ASCII)


class Constraint(Protocol):
    """What a value must fulfil beyond its type, as a part of an `Annotated` type."""

    def fault(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        ...


@attrs.frozen
class Between:
    """A number, duration or size within inclusive bounds."""

    low: Any
    high: Any

    def fault(self, value: Any) -> str | None:
        if self.low <= value <= self.high:
            return None
        return f"must be from {_shown(self.low)} to {_shown(self.high)}, got {_shown(value)}"


@attrs.frozen
class Matching:
    """Text that matches a pattern as a whole."""

    pattern: str
    meaning: str

    def fault(self, value: str) -> str | None:
        return None if re.fullmatch(self.pattern, value) else f"must be {self.meaning}, got {_shown(value)}"


@attrs.frozen
class Network:
    """An IP network like 10.0.0.0/8, or one address."""

    def fault(self, value: str) -> str | None:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            return f"must be a network like 10.0.0.0/8 or fe80::/10, got {_shown(value)}: {error}"
        return None


@attrs.frozen
class HostPort:
    """A host and a port like example.org:443 or [2001:db8::1]:443."""

    def fault(self, value: str) -> str | None:
        try:
            split_host_port(value)
        except ValueError:
            return f"must be a host and a port like example.org:443, got {_shown(value)}"
        return None


def split_host_port(text: str) -> tuple[str, int]:
    """The host (an IPv6 address without its brackets) and the port of `example.org:443`.

    Raises:
        ValueError: the text is no such thing.
    """
    match = _HOST_PORT.fullmatch(text)
    if not match or not 1 <= int(match[3]) <= 65_535:
        raise ValueError(f"not a host and a port: {text}")
    return match[1] or match[2], int(match[3])


class Size(int):
    """A number of bytes, written like `64KiB`."""


@attrs.frozen
class Secret:
    """A value that never shows: not in a log, an error or a repr.

    Attributes:
        origin: where it came from, fit to be shown.
        path: the file that it came from, if it came from a file.
    """

    _value: str = attrs.field(repr=False)
    origin: str
    path: Path | None = None

    def reveal(self) -> str:
        """The secret itself. Hand it to the library that needs it and to nothing else."""
        return self._value

    def __str__(self) -> str:
        return f"(secret from {self.origin})"


@attrs.frozen
class SecretReference:
    """Where a secret is, looked up when it is needed and not when the configuration is read.

    Attributes:
        place: where the reference stands, for a person, and `path`, the setting that it is.
    """

    _look_up: Callable[[], Secret] = attrs.field(repr=False, eq=False)
    place: str = ""
    path: str = ""

    def resolve(self) -> Secret:
        """The secret.

        Raises:
            ConfigError: there is none where the reference says.
        """
        try:
            return self._look_up()
        except ValueError as error:
            raise ConfigError([Fault(self.place, self.path, str(error))]) from None


def parse_duration(text: str) -> dt.timedelta:
    """Read `500ms`, `10s`, `5m`, `1.5h` or `1d`.

    Raises:
        ValueError: the text is no such duration.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"must be a duration like 500ms, 10s, 5m or 1h, got {_shown(text)}")
    return dt.timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def format_duration(duration: dt.timedelta) -> str:
    """A duration as people write it: `500 ms`, `60 s`, `36 h`."""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    if seconds < 3600 or seconds % 3600:
        return f"{seconds:g} s"
    return f"{seconds / 3600:g} h"


@attrs.frozen
class SecretSources:
    """Where references to secrets look.

    Attributes:
        environ: for `{env: NAME}`.
        base: the folder that a relative `{file: PATH}` starts from.
        kubernetes: reads `{kubernetes: {namespace, secret, key}}`, given these three; raises ValueError with a
            sentence. None in a program that has no client for it.
    """

    environ: Mapping[str, str]
    base: Path
    kubernetes: Callable[[str, str, str], str] | None = None


def make_converter(sources: SecretSources) -> cattrs.Converter:
    """A strict converter: no value is taken for another type, and no key is ignored."""
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook(bool, _of(bool, "true or false"))
    converter.register_structure_hook(int, _of(int, "a whole number"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, _of(str, "text"))
    converter.register_structure_hook(dt.timedelta, _duration)
    converter.register_structure_hook(Size, _size)
    converter.register_structure_hook(Secret, lambda value, _: _secret(value, sources))
    converter.register_structure_hook(SecretReference, lambda value, _: SecretReference(_finder(value, sources)))
    converter.register_structure_hook_func(_is_text_or_secret, lambda value, _: _text_or_secret(value, sources))
    converter.register_structure_hook(enum.StrEnum, _choice)
    converter.register_structure_hook_func(_is_list, lambda value, kind: _list(value, kind, converter))
    converter.register_structure_hook_factory(_is_annotated, lambda kind: _checked(kind, converter))
    return converter


def _of(kind: type, meaning: str) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {meaning}, got {_shown(value)}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"must be a number, got {_shown(value)}")
    return float(value)


def _duration(value: Any, _: Any) -> dt.timedelta:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration with its unit, like 10s, got {_shown(value)}")
    return parse_duration(value)


def _size(value: Any, _: Any) -> Size:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be a size like 64KiB or 1MiB, got {_shown(value)}")
    return Size(int(match[1]) * _SIZE_UNITS[match[2]])


def _choice(value: Any, kind: Any) -> Any:
    choices = [str(member) for member in kind]
    if value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, got {_shown(value)}")
    return kind(value)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _list(value: Any, kind: Any, converter: cattrs.Converter) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list like [a, b], got {_shown(value)}")
    return tuple(converter.structure(item, get_args(kind)[0]) for item in value)


def _is_annotated(kind: Any) -> bool:
    return get_origin(kind) is Annotated


def _checked(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    base, *checks = get_args(kind)
    structure = converter.get_structure_hook(base)

    def hook(value: Any, _: Any) -> Any:
        structured = structure(value, base)
        for check in checks:
            if fault := check.fault(structured):
                raise ValueError(fault)
        return structured

    return hook


def _is_text_or_secret(kind: Any) -> bool:
    return bool(kind == str | Secret)


def _text_or_secret(value: Any, sources: SecretSources) -> str | Secret:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | Secret):
        return _secret(value, sources)
    raise ValueError(f"must be text, {_REFERENCES}, got {_shown(value)}")


def _secret(value: Any, sources: SecretSources) -> Secret:
    return _finder(value, sources)()


def _finder(value: Any, sources: SecretSources) -> Callable[[], Secret]:
    """What looks a secret up where `value` says."""
    match value:
        case Secret():
            return lambda: value
        case {"file": str(name), **rest} if not rest:
            return lambda: _secret_file(sources.base / name)
        case {"env": str(name), **rest} if not rest:
            return lambda: _secret_variable(name, sources.environ)
        case {"kubernetes": reference, **rest} if not rest:
            return _kubernetes(reference, sources)
    raise ValueError(f"must be {_REFERENCES}, never the secret itself")


def _kubernetes(reference: Any, sources: SecretSources) -> Callable[[], Secret]:
    match reference:
        case {"namespace": str(namespace), "secret": str(name), "key": str(key), **rest} if not rest:
            return lambda: _kubernetes_secret(namespace, name, key, sources)
    raise ValueError("must be {kubernetes: {namespace: NAME, secret: NAME, key: NAME}}")


def _kubernetes_secret(namespace: str, name: str, key: str, sources: SecretSources) -> Secret:
    what = f"key {key} of secret {namespace}/{name} in Kubernetes"
    if not sources.kubernetes:
        raise ValueError(
            f"the {what} is not read by this program: let Kubernetes mount the secret, and write {{file: PATH}}"
        )
    text = sources.kubernetes(namespace, name, key).removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text or len(text) > MAX_SECRET_BYTES:
        raise ValueError(f"the {what} must hold 1 to {MAX_SECRET_BYTES} bytes of text")
    return Secret(text, f"Kubernetes {namespace}/{name}/{key}")


def _secret_variable(name: str, environ: Mapping[str, str]) -> Secret:
    if not environ.get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return Secret(environ[name], f"env {name}")


def _secret_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} is not text") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text or "\0" in text or len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"the file {path} must hold 1 to {MAX_SECRET_BYTES} bytes of text")
    return Secret(text, f"file {path}", path)


def _shown(value: Any) -> str:
    """A value as it stands in a fault, bounded."""
    match value:
        case dt.timedelta():
            return format_duration(value)
        case Size():
            return _shown_size(value)
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict() | list():
            return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _shown_size(size: int) -> str:
    for unit, factor in reversed(_SIZE_UNITS.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"
