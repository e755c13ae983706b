"""Plain data into a section, with every fault in the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import attrs
from cattrs.errors import BaseValidationError, ClassValidationError, ForbiddenExtraKeysError

from monitoring_core.config.converter import CONVERTER
from monitoring_core.config.faults import Section, suggestion


def structure(data: Mapping[str, object], kind: type[Section]) -> tuple[Section | None, list[tuple[str, str]]]:
    """The section that plain data describes, and the key and the message of each fault in the data.

    Where there are faults, the section has the defaults of the faulty settings, so that the rules between the other
    settings can be judged; it is None when a setting without a default is faulty. The key of a fault in a section
    within the section is dotted: `failures.at_least`.
    """
    try:
        return CONVERTER.structure(data, kind), []
    except ClassValidationError as error:
        faults = list(_faults(error, kind))
    faulty = {key.partition(".")[0] for key, _ in faults}
    try:
        return CONVERTER.structure({key: value for key, value in data.items() if key not in faulty}, kind), faults
    except ClassValidationError:
        return None, faults


def _faults(error: BaseValidationError, kind: type[Section]) -> Iterator[tuple[str, str]]:
    """The key and the message of each fault that cattrs found in a section."""
    with_notes, without_notes = cast("ClassValidationError", error).group_exceptions()
    for fault, note in with_notes:
        if isinstance(fault, ClassValidationError):
            yield from (
                (f"{note.name}.{key}", message) for key, message in _faults(fault, cast("type[Section]", fault.cl))
            )
        else:
            yield note.name, "is required" if isinstance(fault, KeyError) else str(fault)
    for fault in without_notes:
        for key in sorted(fault.extra_fields) if isinstance(fault, ForbiddenExtraKeysError) else ():
            yield key, f"no such setting{suggestion(key, attrs.fields_dict(kind))}"
