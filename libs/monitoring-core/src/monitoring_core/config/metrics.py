"""Section `metrics`: the HTTP endpoint of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.values import Between, Matching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config.faults import Rule


@attrs.frozen(kw_only=True)
class MetricsConfig:
    """Where `/metrics`, `/healthz` and `/readyz` are served."""

    enabled: bool = True
    host: Annotated[str, Matching(r"[^\s\0]+", "a host name or address")] = "0.0.0.0"  # noqa: S104 (pods are probed from outside)
    port: Annotated[int, Between(0, 65_535)] = 9464

    def broken_rules(self) -> Iterator[Rule]:
        """None: no rule connects these settings."""
        yield from ()
