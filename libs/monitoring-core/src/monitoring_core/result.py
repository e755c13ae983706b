"""The result of a check: the row that every slot of every target ends as."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import astuple, replace

SCHEMA_VERSION = 1
MAX_ERROR_LENGTH = 500
MAX_LOCATION_LENGTH = 63
MAX_URL_LENGTH = 2_048
MAX_NAME_LENGTH = 256
MAX_EXCERPT_LENGTH = 8_192


class Status(enum.StrEnum):
    """The verdict of a check."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Reason(enum.StrEnum):
    """Why a check is not `up`.

    `missed_window`, `prober_error` and `invalid_target` are not the website's doing, and always `unknown`.
    """

    TIMEOUT = "timeout"
    DNS_ERROR = "dns_error"
    CONNECTION_ERROR = "connection_error"
    TLS_ERROR = "tls_error"
    REDIRECT_ERROR = "redirect_error"
    STATUS_MISMATCH = "status_mismatch"
    BODY_MISMATCH = "body_mismatch"
    BODY_READ_ERROR = "body_read_error"
    BODY_TOO_LARGE = "body_too_large"
    MISSED_WINDOW = "missed_window"
    PROBER_ERROR = "prober_error"
    INVALID_TARGET = "invalid_target"

    @property
    def status(self) -> Status:
        """The only status that goes with this reason."""
        return Status.UNKNOWN if self in _NOT_THE_WEBSITE else Status.DOWN


_NOT_THE_WEBSITE = frozenset({Reason.MISSED_WINDOW, Reason.PROBER_ERROR, Reason.INVALID_TARGET})

_Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_ProducerId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Moment = Annotated[dt.datetime, Meta(tz=True)]
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class CheckResult(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One slot of one target seen from one location, with its verdict and what was measured.

    Its identity is `(target_id, scheduled_at, location)`. Times of day are UTC; durations are seconds and leave out
    whatever the check spent waiting inside the prober, which is `queue_delay_s`. A value that was not measured,
    because the check never got so far, is None.
    """

    # In the order of tables.RESULT_COLUMNS: the fields of a result are its row.
    target_id: _Id
    scheduled_at: Annotated[_Moment, Meta(description="The slot: when the check was due. UTC.")]
    started_at: Annotated[_Moment | None, Meta(description="When the first step of the check began. UTC.")] = None
    finished_at: Annotated[_Moment | None, Meta(description="When the verdict stood. UTC.")] = None
    certificate_expires_at: Annotated[_Moment | None, Meta(description="The last certificate seen. UTC.")] = None
    producer_id: Annotated[_ProducerId, Meta(description="The one-based id of the producer that wrote this.")]
    body_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=2**31 - 1)] | None,
        Meta(description="Bytes of the body read, after decompression."),
    ] = None
    queue_delay_s: Annotated[_Seconds | None, Meta(description="From due to started: the prober's own delay.")] = None
    dns_s: Annotated[_Seconds | None, Meta(description="Name look-ups, all hops together.")] = None
    connect_s: Annotated[_Seconds | None, Meta(description="TCP connects, all hops together.")] = None
    tls_s: Annotated[_Seconds | None, Meta(description="TLS handshakes, all hops together.")] = None
    first_byte_s: Annotated[
        _Seconds | None, Meta(description="From each request sent to its response's headers read, all hops together.")
    ] = None
    transfer_s: Annotated[_Seconds | None, Meta(description="Reading the body.")] = None
    response_time_s: Annotated[_Seconds | None, Meta(description="From started to the body's last byte.")] = None
    http_status: Annotated[int, Meta(ge=100, le=999)] | None = None
    regexp_matched: Annotated[bool | None, Meta(description="Null when the target has no regexp or no body came.")] = (
        None
    )
    location: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_LOCATION_LENGTH, description="The place that the producer checks from."),
    ]
    status: Status
    reason: Annotated[Reason | None, Meta(description="Null exactly when the status is up.")] = None
    remote_address: Annotated[
        Annotated[str, Meta(max_length=64)] | None, Meta(description="The IP address of the last connection.")
    ] = None
    error: Annotated[
        Annotated[str, Meta(max_length=MAX_ERROR_LENGTH)] | None,
        Meta(description="What went wrong, one line for a person, free of secrets."),
    ] = None
    final_url: Annotated[
        Annotated[str, Meta(max_length=MAX_URL_LENGTH)] | None,
        Meta(description="Of a check that is not up: the URL requested last, without credentials."),
    ] = None
    certificate_subject: Annotated[
        Annotated[str, Meta(max_length=MAX_NAME_LENGTH)] | None,
        Meta(description="Of a check that is not up: whom the last certificate seen names."),
    ] = None
    certificate_issuer: Annotated[
        Annotated[str, Meta(max_length=MAX_NAME_LENGTH)] | None,
        Meta(description="Of a check that is not up: who signed the last certificate seen."),
    ] = None
    body_excerpt: Annotated[
        Annotated[str, Meta(max_length=MAX_EXCERPT_LENGTH)] | None,
        Meta(description="The first bytes of a body that was not as expected; monitor.body_excerpt says how many."),
    ] = None
    http_version: Annotated[
        Annotated[str, Meta(max_length=8)] | None, Meta(description="Of the last answer: 1.0, 1.1 or 2.")
    ] = None
    tls_version: Annotated[
        Annotated[str, Meta(max_length=8)] | None, Meta(description="Of the last connection with TLS: 1.2 or 1.3.")
    ] = None
    tls_resumed: Annotated[
        bool | None, Meta(description="Whether the last connection resumed the TLS session of an earlier check.")
    ] = None
    redirects: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None, Meta(description="How many redirects were followed.")
    ] = None
    addresses_tried: Annotated[
        Annotated[str, Meta(max_length=MAX_ERROR_LENGTH)] | None,
        Meta(description="When the last connection took more than one address: each that was tried, and its outcome."),
    ] = None
    chain_expires_at: Annotated[
        _Moment | None,
        Meta(description="The first end of the certificates from the last one seen up to an authority. UTC."),
    ] = None
    chain_expires_subject: Annotated[
        Annotated[str, Meta(max_length=MAX_NAME_LENGTH)] | None,
        Meta(description="Whom the certificate that ends first names, when it is not the website's own."),
    ] = None
    # By a factory, because a message leaves out every field that has its default value, and this one it must not.
    schema_version: Annotated[int, Meta(ge=1, description="The major version of this format.")] = field(
        default_factory=lambda: SCHEMA_VERSION
    )

    @property
    def key(self) -> tuple[int, dt.datetime, str]:
        """The identity of the result, and the primary key of its row."""
        return self.target_id, self.scheduled_at, self.location

    @property
    def row(self) -> tuple[object, ...]:
        """The values of the table's columns, in the order of `tables.RESULT_COLUMNS`."""
        return astuple(self)[:-1]

    def replace(self, **changes: object) -> CheckResult:
        """A copy of the result with these fields changed."""
        return replace(self, **changes)


def unrun(
    target_id: int, scheduled_at: dt.datetime, location: str, producer_id: int, reason: Reason, error: str
) -> CheckResult:
    """The result of a slot that was not run, for a reason that is not the website's."""
    return CheckResult(
        target_id=target_id,
        scheduled_at=scheduled_at,
        location=location,
        producer_id=producer_id,
        status=reason.status,
        reason=reason,
        error=one_line(error),
    )


def one_line(text: str, limit: int = MAX_ERROR_LENGTH) -> str:
    """`text` made fit for a row and a log: one line, printable, at most `limit` characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * limit])
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
