"""A result explained to a person: the verdict, the facts, and how long each phase took."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.targets import Target

_BAR_WIDTH = 40
_PHASES = (
    ("dns", "dns_s"),
    ("connect", "connect_s"),
    ("tls", "tls_s"),
    ("first byte", "first_byte_s"),
    ("transfer", "transfer_s"),
)
_MEANINGS = {
    Reason.TIMEOUT: "the whole answer did not come in time",
    Reason.DNS_ERROR: "the host name has no address",
    Reason.CONNECTION_ERROR: "no HTTP answer came over a connection to the website",
    Reason.TLS_ERROR: "no secure connection: the handshake failed, or the certificate is not to be trusted",
    Reason.REDIRECT_ERROR: "the redirects lead nowhere, or are too many",
    Reason.STATUS_MISMATCH: "the website answered with a status that is not expected",
    Reason.BODY_MISMATCH: "the answer does not hold what it should, or holds what it should not",
    Reason.BODY_READ_ERROR: "the body broke off, or could not be read",
    Reason.BODY_TOO_LARGE: "the body is larger than a check reads",
    Reason.MISSED_WINDOW: "the check was not run in time; this says nothing about the website",
    Reason.PROBER_ERROR: "the prober itself failed; this says nothing about the website",
    Reason.INVALID_TARGET: "the target cannot be checked as it stands; this says nothing about the website",
}


def explain(result: CheckResult, target: Target) -> Iterator[str]:
    """The verdict in plain words and the phases as a waterfall, line by line."""
    yield f"{without_credentials(target.url)} is {result.status}"
    if result.reason:
        yield _fact("reason", f"{result.reason}: {_MEANINGS[result.reason]}")
    yield from (_fact(name, text) for name, text in _facts(result, target) if text)
    yield ""
    yield from waterfall(result)


def waterfall(result: CheckResult) -> Iterator[str]:
    """Each phase as a bar that begins where the one before ended; the phases of all hops are added up."""
    phases = [(name, seconds) for name, field in _PHASES if (seconds := getattr(result, field)) is not None]
    spent_s = sum(seconds for _, seconds in phases)
    total_s = max(result.response_time_s or 0.0, spent_s)
    if not total_s:
        return
    if result.reason and total_s - spent_s > 0.05 * total_s:
        phases.append(("unfinished", total_s - spent_s))
    offset_s = 0.0
    for name, seconds in phases:
        begin = min(_BAR_WIDTH - 1, int(_BAR_WIDTH * offset_s / total_s))
        bar = "█" * min(_BAR_WIDTH - begin, max(1, round(_BAR_WIDTH * seconds / total_s)))
        yield f"  {name:<11}{seconds * 1000:>10.1f} ms  |{' ' * begin + bar:<{_BAR_WIDTH}}|"
        offset_s += seconds
    yield f"  {'total':<11}{total_s * 1000:>10.1f} ms"


def _facts(result: CheckResult, target: Target) -> Iterator[tuple[str, str | None]]:
    yield "error", result.error
    yield "HTTP status", None if result.http_status is None else str(result.http_status)
    yield "requested", result.final_url if result.final_url != target.url else None
    yield "address", result.remote_address
    yield "tried", result.addresses_tried
    yield "redirects", str(result.redirects) if result.redirects else None
    yield "protocols", _protocols(result)
    yield "certificate", _expiry(result.certificate_expires_at)
    yield "  names", result.certificate_subject
    yield "  signed by", result.certificate_issuer
    if result.chain_expires_subject:
        yield "  breaks", f"{result.chain_expires_subject} {_expiry(result.chain_expires_at)}"
    yield "body", None if result.body_bytes is None else f"{result.body_bytes} bytes"
    if result.status is Status.UP and target.settings.degraded_above_s is not None:
        above = (result.response_time_s or 0.0) > target.settings.degraded_above_s
        yield (
            "speed",
            f"{'degraded' if above else 'not degraded'}, which it is above {target.settings.degraded_above_s:g} s",
        )
    if result.regexp_matched is not None:
        yield "regexp", "matches" if result.regexp_matched else "does not match"


def _protocols(result: CheckResult) -> str | None:
    http = f"HTTP/{result.http_version}" if result.http_version else None
    resumed = " (resumed)" if result.tls_resumed else ""
    tls = f"TLS {result.tls_version}{resumed}" if result.tls_version else None
    return ", ".join(spoken for spoken in (http, tls) if spoken) or None


def _expiry(moment: dt.datetime | None) -> str | None:
    if moment is None:
        return None
    left = moment - dt.datetime.now(dt.UTC)
    days = abs(left) // dt.timedelta(days=1)
    counted = f"{days} day{'' if days == 1 else 's'}"
    over = left < dt.timedelta(0)
    return f"{'expired' if over else 'expires'} {moment:%Y-%m-%d %H:%M} UTC, {counted} {'ago' if over else 'left'}"


def _fact(name: str, text: str) -> str:
    return f"  {name:<13}{text}"
