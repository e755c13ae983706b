"""The exception that ends a check of any kind that is not up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitoring_core.result import Reason


class EndingError(Exception):
    """The check is over, and not up.

    Attributes:
        reason: the reason in the result.
        detail: one line for a person, free of secrets.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)
