"""Errors, told apart by what the caller does about them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class MonitoringError(Exception):
    """Base of every error that this project raises on purpose. Its text is one or more lines for people.

    Attributes:
        exit_status: what a command that ends with this error ends with.
    """

    exit_status: ClassVar[int] = 1


class StopError(MonitoringError):
    """The command cannot go on, and trying again will not help. Exit status 1."""


class OutageError(MonitoringError):
    """Something outside is away for now. The same call may succeed later: wait and retry."""


class InvalidTargetError(MonitoringError):
    """A target that can never be checked as it stands.

    Attributes:
        problems: one sentence for each fault, never empty.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class DecodeReason(enum.StrEnum):
    """Why a message can never become a result."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNSUPPORTED_VERSION = "unsupported_version"
    INVALID = "invalid"
    WRONG_KEY = "wrong_key"


class DecodeError(MonitoringError):
    """A message that can never be stored, however often it is read: dead-letter it.

    Attributes:
        reason: the kind of fault, from a closed list (fit for a metric's label).
        detail: what exactly is wrong, one line, bounded in length.
    """

    def __init__(self, reason: DecodeReason, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:500]
        super().__init__(f"{reason}: {self.detail}")
