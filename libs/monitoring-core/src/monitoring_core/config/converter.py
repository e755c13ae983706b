"""How each kind of value is read from plain data: strictly, so that no value is taken for another type."""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import attrs
import cattrs

from monitoring_core.config.values.quantities import Size, parse_duration, parse_size
from monitoring_core.config.values.secrets import Secret, SecretReference
from monitoring_core.config.values.shown import shown
from monitoring_core.config.values.sources import REFERENCES, SecretSources


@attrs.frozen
class Sourced:
    """The plain value of a setting that holds a secret, and the sources in which a reference is looked up.

    The value brings its sources with it so that one converter serves every load: cattrs compiles a function for each
    section of each converter, which takes longer than all the rest of a load.

    Attributes:
        place: where a person finds the setting.
        path: the setting, dotted.
    """

    value: object
    sources: SecretSources
    place: str
    path: str

    def secret(self) -> Secret:
        """The secret, looked up now.

        Raises:
            ValueError: the value is no reference to a secret, or there is no secret where it points.
        """
        return self.sources.finder(self.value)()

    def reference(self) -> SecretReference:
        """The reference, to be looked up later.

        Raises:
            ValueError: the value is no reference to a secret.
        """
        return SecretReference(self.sources.finder(self.value), self.place, self.path)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, _exactly(str, "text"))
    converter.register_structure_hook(dt.timedelta, _duration)
    converter.register_structure_hook(Size, _size)
    converter.register_structure_hook(Secret, lambda value, _: _sourced(value).secret())
    converter.register_structure_hook(SecretReference, lambda value, _: _sourced(value).reference())
    converter.register_structure_hook_func(_is_text_or_secret, _text_or_secret)
    converter.register_structure_hook(enum.StrEnum, _choice)
    converter.register_structure_hook_func(lambda kind: kind == dict[str, str], _labels)
    converter.register_structure_hook_func(_is_tuple, lambda value, kind: _list(value, kind, converter))
    converter.register_structure_hook_factory(_is_annotated, lambda kind: _constrained(kind, converter))
    return converter


def _exactly(kind: type, meaning: str) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"must be {meaning}, got {shown(value)}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"must be a number, got {shown(value)}")
    return float(value)


def _duration(value: Any, _: Any) -> dt.timedelta:
    if not isinstance(value, str):
        raise ValueError(f"must be a duration with its unit, like 10s, got {shown(value)}")
    return parse_duration(value)


def _size(value: Any, _: Any) -> Size:
    size = parse_size(value) if isinstance(value, str) else None
    if size is None:
        raise ValueError(f"must be a size like 64KiB or 1MiB, got {shown(value)}")
    return size


def _choice(value: Any, kind: Any) -> Any:
    choices = [str(member) for member in kind]
    if value in choices:
        return kind(value)
    if isinstance(value, str) and hasattr(kind, "_missing_"):
        kind._missing_(value)  # may say more
    raise ValueError(f"must be one of {', '.join(choices)}, got {shown(value)}")


def _labels(value: Any, _: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"must be labels like {{team: shop}}, got {shown(value)}")
    for name, text in value.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: must be text, got {shown(text)}")
    return value


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _list(value: Any, kind: Any, converter: cattrs.Converter) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list like [a, b], got {shown(value)}")
    return tuple(converter.structure(item, get_args(kind)[0]) for item in value)


def _is_annotated(kind: Any) -> bool:
    return get_origin(kind) is Annotated


def _constrained(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    base, *constraints = get_args(kind)
    structure_base = converter.get_structure_hook(base)

    def hook(value: Any, _: Any) -> Any:
        structured = structure_base(value, base)
        for constraint in constraints:
            if fault := constraint.fault(structured):
                raise ValueError(fault)
        return structured

    return hook


def _is_text_or_secret(kind: Any) -> bool:
    return bool(kind == str | Secret)


def _text_or_secret(value: Any, _: Any) -> str | Secret:
    plain = value.value if isinstance(value, Sourced) else value
    if isinstance(plain, str):
        return plain
    if isinstance(plain, dict | Secret):
        return _sourced(value).secret()
    raise ValueError(f"must be text, {REFERENCES}, got {shown(plain)}")


def _sourced(value: Any) -> Sourced:
    if isinstance(value, Sourced):
        return value
    raise ValueError(f"must be {REFERENCES}, got {shown(value)}")


CONVERTER = _converter()
