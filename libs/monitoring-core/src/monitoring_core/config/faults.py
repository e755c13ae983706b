"""What is wrong with a configuration, as data; the one place that turns it into sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.errors import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        text = f"{self.place} {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ConfigError(MonitoringError):
    """The configuration cannot be used. Its text is one line a fault.

    Attributes:
        faults: every fault found, in the order of the file, never empty.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


@attrs.frozen
class Rule:
    """A rule between settings of one section that is broken.

    Attributes:
        keys: the settings that it is between; the fault is reported at the first. A rule on a setting that is faulty
            in itself is not reported.
        message: the rest of the sentence.
    """

    keys: tuple[str, ...]
    message: str
