"""Section `monitor`: what is checked, how often, how, and from where."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, HostPort, Matching, Network, Size, format_duration
from monitoring_core.result import MAX_EXCERPT_LENGTH
from monitoring_core.targets import MAX_INTERVAL_S, MIN_INTERVAL_S, CheckDefaults, StatusSet

if TYPE_CHECKING:
    from collections.abc import Iterator


class HttpVersion(enum.StrEnum):
    """A version of HTTP, by its number."""

    ONE = "1.1"
    TWO = "2"


class EngineName(enum.StrEnum):
    """What makes the HTTP requests; `auto` stands for `native` where that is installed, else for `requests`."""

    AUTO = "auto"
    NATIVE = "native"
    REQUESTS = "requests"

    @classmethod
    def _missing_(cls, value: object) -> None:
        if value == "curl":
            raise ValueError("must be native, which has taken the place of curl")


_DEFAULT_MAX_BODY = Size(1 << 20)
_NO_EXCERPT = Size(0)
_DEFAULT_OUTBOX = Size(1 << 30)
# Link-local addresses (RFC 3927, RFC 4291), and the other addresses at which clouds give a machine its credentials:
# AWS over IPv6, Alibaba Cloud, Azure, Oracle Cloud (from the documentation of each).
_METADATA_NETWORKS = (
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::254/128",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
)
_Interval = Annotated[dt.timedelta, Between(dt.timedelta(seconds=MIN_INTERVAL_S), dt.timedelta(seconds=MAX_INTERVAL_S))]


@attrs.frozen(kw_only=True)
class MonitorConfig:
    """Settings of the checks and of the producers that make them."""

    websites_per_container: Annotated[int, Between(1, 1_000_000)] = 1_000
    check_interval: _Interval = dt.timedelta(seconds=60)
    timeout: Annotated[dt.timedelta, Between(dt.timedelta(milliseconds=100), dt.timedelta(seconds=300))] = dt.timedelta(
        seconds=10
    )
    expected_status: str = "200-299"
    location: Annotated[
        str, Matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "1 to 63 letters, digits, dots, dashes or underscores")
    ] = "default"
    engine: EngineName = EngineName.AUTO
    http_versions: tuple[HttpVersion, ...] = (HttpVersion.ONE, HttpVersion.TWO)
    dns_cache: bool = True
    tls_resumption: Annotated[dt.timedelta, Between(dt.timedelta(0), dt.timedelta(days=1))] = dt.timedelta(0)
    max_concurrent_checks: Annotated[int, Between(1, 1_000)] = 50
    max_body: Annotated[Size, Between(Size(1), Size(64 << 20))] = _DEFAULT_MAX_BODY
    max_redirects: Annotated[int, Between(0, 50)] = 10
    body_excerpt: Annotated[Size, Between(Size(0), Size(MAX_EXCERPT_LENGTH))] = _NO_EXCERPT
    denied_networks: tuple[Annotated[str, Network()], ...] = _METADATA_NETWORKS
    client_certificate_directory: Annotated[str, Matching(r"[^\0]{1,1000}", "a directory")] | None = None
    canaries: tuple[Annotated[str, HostPort()], ...] = ()
    max_per_host: Annotated[int, Between(1, 1_000)] = 10
    lease_duration: Annotated[dt.timedelta, Between(dt.timedelta(seconds=2), dt.timedelta(minutes=10))] = dt.timedelta(
        seconds=15
    )
    max_look_back: Annotated[dt.timedelta, Between(dt.timedelta(0), dt.timedelta(days=30))] = dt.timedelta(hours=1)
    outbox_directory: Annotated[str, Matching(r"[^\0]{1,1000}", "a directory")] = "outbox"
    outbox_max_size: Annotated[Size, Between(Size(1 << 20), Size(1 << 40))] = _DEFAULT_OUTBOX
    refresh_interval: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(hours=1))] = dt.timedelta(
        seconds=30
    )
    shutdown_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=10))] = (
        dt.timedelta(seconds=20)
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        if self.check_interval % dt.timedelta(seconds=1):
            yield Rule(("check_interval",), f"must be whole seconds, got {format_duration(self.check_interval)}")
        if self.timeout >= self.check_interval:
            interval, timeout = format_duration(self.check_interval), format_duration(self.timeout)
            yield Rule(
                ("timeout", "check_interval"), f"must be shorter than check_interval ({interval}), got {timeout}"
            )
        if HttpVersion.ONE not in self.http_versions or len(set(self.http_versions)) < len(self.http_versions):
            yield Rule(("http_versions",), 'must be ["1.1"], ["1.1", "2"] or ["2", "1.1"]')
        try:
            StatusSet.parse(self.expected_status)
        except ValueError as error:
            yield Rule(("expected_status",), str(error))

    @property
    def defaults(self) -> CheckDefaults:
        """What applies to a target that does not say otherwise."""
        return CheckDefaults(
            interval_s=int(self.check_interval.total_seconds()),
            timeout_s=self.timeout.total_seconds(),
            expected_status=StatusSet.parse(self.expected_status),
        )
