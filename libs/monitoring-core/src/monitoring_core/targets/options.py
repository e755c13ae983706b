"""A target from the options of a command, of which some may be repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Fields whose options hold a name and a value, and the sign between the two.
_PAIRS = {"headers": ":", "labels": "=", "expected_headers": ":"}
# Fields of which the first value and all others are apart.
_REGEXPS = ("regexp", "forbidden_regexp")


def fields_of_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a target that options give; those that were not given are left out.

    Args:
        values: by the names of the fields; of options that may be repeated, a tuple; of `expected_json`, of pairs.

    Raises:
        ValueError: an option is not as it must be. Its value, which may be a secret, is not said.
    """
    fields = {name: value for name, value in values.items() if value is not None and value != ()}
    for name, sign in _PAIRS.items():
        if name in fields:
            fields[name] = pairs(f"--{name[:-1].replace('_', '-')}", fields[name], sign)
    if "expected_json" in fields:
        expected = ((path, _json_or_text(value)) for path, value in fields["expected_json"])
        fields["expected_json"] = _by_name("--expected-json", expected)
    if "secret_headers" in fields:
        fields["secret_headers"] = list(fields["secret_headers"])
    for name in _REGEXPS:
        if patterns := fields.get(name):
            fields[name] = patterns[0]
            if others := patterns[1:]:
                fields[f"further_{name}s"] = list(others)
    return fields


def _json_or_text(text: str) -> Any:
    """The value that a text is in JSON, or else the text itself: it need not be quoted."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def pairs(option: str, texts: Sequence[str], sign: str) -> dict[str, str]:
    """The values by name of all uses of an option, each NAME, the sign, VALUE.

    Raises:
        ValueError: one of them has no sign, or a name is given twice. No value is told, because it may be a secret.
    """
    if bad := [text for text in texts if sign not in text]:
        raise ValueError(f"{option}: must be NAME{sign}VALUE, of which {len(bad)} has no {sign!r}")
    parts = (text.partition(sign) for text in texts)
    return _by_name(option, ((name.strip(), value.strip()) for name, _, value in parts))


def _by_name(option: str, values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values:
        if name in found:
            raise ValueError(f"{option}: {name[:100]!r} is given more than once")
        found[name] = value
    return found
