"""What the inner page of a component shows beside its state: hours, checks with their evidence, and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from status_svc.pages.model import State

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence


@attrs.frozen(kw_only=True)
class Hour:
    """Response times of an hour over all locations: means of the checks that were up, in seconds."""

    hour: dt.datetime
    dns_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None


@attrs.frozen(kw_only=True)
class Check:
    """A result, a row of website_check."""

    scheduled_at: dt.datetime
    location: str
    status: str
    reason: str | None = None
    error: str | None = None
    http_status: int | None = None
    response_time_s: float | None = None
    remote_address: str | None = None
    addresses_tried: str | None = None
    final_url: str | None = None
    redirects: int | None = None
    certificate_subject: str | None = None
    certificate_issuer: str | None = None
    http_version: str | None = None
    tls_version: str | None = None

    @property
    def state(self) -> State:
        """The verdict."""
        return State(self.status)

    @property
    def evidence(self) -> Iterator[tuple[str, object]]:
        """What was seen, with its name."""
        for name, value in (
            ("address", self.remote_address),
            ("addresses tried", self.addresses_tried),
            ("last URL", self.final_url),
            ("redirects", self.redirects or None),
            ("certificate of", self.certificate_subject),
            ("signed by", self.certificate_issuer),
            ("HTTP", self.http_version),
            ("TLS", self.tls_version),
        ):
            if value is not None:
                yield name, value


@attrs.frozen(kw_only=True)
class Alert:
    """The newest transition of an alert."""

    since: dt.datetime
    state: str
    severity: str
    policy: str
    locations: Sequence[str] = ()
    note: str = ""


@attrs.frozen(kw_only=True)
class Detail:
    """All of it."""

    hours: tuple[Hour, ...] = ()
    checks: tuple[Check, ...] = ()
    alerts: tuple[Alert, ...] = ()
