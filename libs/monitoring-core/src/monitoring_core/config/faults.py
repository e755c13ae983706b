"""What is wrong with a configuration, as data, and how it is worded for people."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Protocol

import attrs

from monitoring_core.errors import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A variable of the environment named MONITORING__SECTION__KEY replaces a setting.
VARIABLE_PREFIX = "MONITORING__"
_MAX_SHOWN = 80


@attrs.frozen
class Fault:
    """One thing that is wrong.

    Attributes:
        place: where a person mends it: `config.yaml:14`, `env MONITORING__KAFKA__TOPIC_NAME`, `--set kafka.topic_name`.
        path: the setting, dotted; empty when the fault is the file's own.
        message: the rest of the sentence.
    """

    place: str
    path: str
    message: str

    def __str__(self) -> str:
        # An option and a variable name the setting themselves.
        variable = f"env {VARIABLE_PREFIX}{self.path.replace('.', '__')}"
        named = not self.path or self.place == f"--set {self.path}" or self.place.lower() == variable.lower()
        text = f"{self.place}: {self.message}" if named else f"{self.place} {self.path}: {self.message}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ConfigError(MonitoringError):
    """The configuration cannot be used. Its text has one line for each fault.

    Attributes:
        faults: every fault found, in the order of the file, never empty.
    """

    exit_status = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


@attrs.frozen
class Rule:
    """A broken rule between settings of one section.

    Attributes:
        keys: the settings that the rule connects; the fault is reported at the first of them. It is not reported when
            one of them has a fault of its own, because then a default stands in for what the user wrote.
        message: the rest of the sentence.
    """

    keys: tuple[str, ...]
    message: str


class Section(attrs.AttrsInstance, Protocol):
    """A section of the configuration: frozen settings, and the rules between them."""

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        ...


def clipped(text: str) -> str:
    """`text`, cut to the length that a fault may show."""
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """The end of a sentence about an unknown `name`: the most similar known name, or all known names."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
