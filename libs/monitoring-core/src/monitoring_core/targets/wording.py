"""What msgspec says of a value, in plain words."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS = {"int": "a whole number", "float": "a number"}
_KINDS = {
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object of values by name",
}
_GOT = _KINDS | {"int": "a number", "float": "a number", "object": "an object", "null": "null"}
_BOUNDS = {">=": "at least", ">": "more than", "<=": "at most"}
_KIND = re.compile(r"Expected `(int|float)(?: \| null)?`, got `\w+`")
_OTHER_KIND = re.compile(r"Expected `(str|bool|array|object)(?: \| null)?`, got `(\w+)`")
_LENGTH = re.compile(r"Expected `(str|array)` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|>|<=) ([\d.]+)")
_MAX_SHOWN = 40


def plain(message: str, fields: Mapping[str, object]) -> str:
    """A message with the field first: `check_interval_s: must be a whole number, got 1.5`.

    Args:
        message: msgspec's, like ``Expected `int`, got `str` - at `$.timeout_s` ``.
        fields: the values that it may be about. Of numbers alone the value is shown: no other is sure to be no secret.
    """
    sentence, _, place = message.partition(" - at `$.")
    place = place.rstrip("`")
    value = fields.get(place)
    if kind := _KIND.fullmatch(sentence):
        sentence = f"must be {_NUMBERS[kind[1]]}, got {_shown(value)}"
    elif other := _OTHER_KIND.fullmatch(sentence):
        sentence = f"must be {_KINDS[other[1]]}, got {_GOT.get(other[2], other[2])}"
    elif length := _LENGTH.fullmatch(sentence):
        unit = "characters" if length[1] == "str" else "values"
        sentence = f"must have {_BOUNDS[length[2]]} {length[3]} {unit}" if int(length[3]) > 1 else "must not be empty"
    elif bound := _BOUND.fullmatch(sentence):
        number = f"{_BOUNDS[bound[1]]} {bound[2].removesuffix('.0')}"
        sentence = f"must be {'a number' if _is_nan(value) else number}, got {_shown(value)}"
    else:
        sentence = (sentence[0].lower() + sentence[1:]).replace("`", "")
    return f"{place}: {sentence}" if place else sentence


def _is_nan(value: object) -> bool:
    try:
        return math.isnan(float(str(value)))
    except ValueError:
        return False


def _shown(value: object) -> str:
    if not isinstance(value, str | int | float):
        return f"a {type(value).__name__}"
    text = ascii(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
