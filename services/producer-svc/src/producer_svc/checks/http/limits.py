"""What bounds a check of a website besides its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError

if TYPE_CHECKING:
    from monitoring_core.config import MonitorConfig


@attrs.frozen
class Limits:
    """The limits that are configured.

    Attributes:
        body: bytes of the body, decompressed.
        redirects: how many redirects are followed.
        excerpt: bytes of an unmatched body that are kept.
    """

    body: int
    redirects: int
    excerpt: int

    @classmethod
    def of(cls, config: MonitorConfig) -> Limits:
        """The limits in the configuration."""
        return cls(config.max_body, config.max_redirects, config.body_excerpt)

    def exceeded(self) -> EndingError:
        """The end of a check whose body is too large."""
        return EndingError(Reason.BODY_TOO_LARGE, f"the body is larger than {self.body} bytes")
