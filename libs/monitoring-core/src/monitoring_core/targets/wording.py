"""What msgspec says of a value, in plain words."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {"int": "a whole number", "float": "a number"}
_BOUNDS = {">=": "at least", ">": "more than", "<=": "at most"}
_KIND = re.compile(r"Expected `(int|float)(?: \| null)?`, got `\w+`")
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
        sentence = f"must be {_KINDS[kind[1]]}, got {_shown(value)}"
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
