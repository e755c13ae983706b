"""Section `status`: how the status of websites is shown over HTTP."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching, Network

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prometheus documentation, "Data model": the names of labels. Two underscores at the beginning are its own.
_PROMETHEUS_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = ("instance", "location", "job", "phase", "version", "le", "quantile", "reason")


@attrs.frozen(kw_only=True)
class StatusConfig:
    """Settings of status-svc."""

    host: Annotated[str, Matching(r"[^\s\0]+", "a host name or address")] = "0.0.0.0"  # noqa: S104 (pods are reached from outside)
    port: Annotated[int, Between(0, 65_535)] = 8080
    title: Annotated[str, Matching(r"[^\0-\x1f]{1,100}", "1 to 100 characters")] = "Status"
    public_url: (
        Annotated[str, Matching(r"https?://[^\s\0@?#]{1,500}", "a URL like https://status.example.org")] | None
    ) = None
    anonymous_read: bool = False
    writes: bool = False
    public_labels: dict[str, str] = attrs.field(factory=lambda: {"status_page": "public"})
    name_label: Annotated[str, Matching(r"[^\0]{1,100}", "the name of a label")] = "name"
    group_label: Annotated[str, Matching(r"[^\0]{1,100}", "the name of a label")] = "group"
    cache: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=5))] = dt.timedelta(seconds=5)
    pool_size: Annotated[int, Between(1, 100)] = 4
    metric_labels: tuple[Annotated[str, Matching(r"[^\0]{1,100}", "names of labels")], ...] = ()
    max_metric_places: Annotated[int, Between(1, 1_000_000)] = 100_000
    requests_per_minute: Annotated[int, Between(1, 1_000_000)] = 600
    trusted_proxies: tuple[Annotated[str, Network()], ...] = ()

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        for label in self.metric_labels:
            if not _PROMETHEUS_LABEL.fullmatch(label) or label in _TAKEN:
                yield Rule(
                    ("metric_labels",),
                    f"must be letters, digits and underscores, and none of {', '.join(_TAKEN)}; got {label!r}",
                )
        if len(set(self.metric_labels)) < len(self.metric_labels):
            yield Rule(("metric_labels",), "must name each label once")
