"""`producer-svc probe`: one check now, for a person or a script, without a configuration file."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, NoReturn

import click

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.result_lines import to_line
from monitoring_core.target import MAX_INTERVAL_S, TargetRecord, without_credentials
from producer_svc import wiring
from producer_svc.check import Check, Origin
from producer_svc.exchange import EndingError, Exchange, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitoring_core.target import Target

_BAR_WIDTH = 40
_MAX_TIMEOUT_S = 300.0
# An engine ends a check at most 0.1 s after its timeout; what is beyond this much is a fault of its own.
_GRACE_S = 5.0
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
    Reason.BODY_MISMATCH: "the body does not hold what it should",
    Reason.BODY_READ_ERROR: "the body broke off, or could not be read",
    Reason.BODY_TOO_LARGE: "the body is larger than a check reads",
    Reason.MISSED_WINDOW: "the check was not run in time; this says nothing about the website",
    Reason.PROBER_ERROR: "the prober itself failed; this says nothing about the website",
}


@click.command()
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--regexp", metavar="REGEXP", help="What the body must hold (RE2 syntax).")
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in EngineName]),
    default=EngineName.REQUESTS.value,
    show_default=True,
    help="What makes the request.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, _MAX_TIMEOUT_S, min_open=True),
    metavar="SECONDS",
    help="The time for the whole check.  [default: 10]",
)
def probe(url: str, as_json: bool, regexp: str | None, engine: str, timeout_s: float | None) -> None:
    """Check URL once, now, and explain the verdict.

    With - for URL, targets are read from standard input, a JSON object a line with an id and the fields of an import
    file, and each result is printed as one JSON object.

    Ends with status 0 when the website is up, 1 when it is not, and 2 when URL cannot be checked or REGEXP is bad.
    """
    monitor = MonitorConfig(engine=EngineName(engine))
    if url == "-":
        sys.exit(0 if _probe_all(sys.stdin, monitor) else 1)
    target = _target(url, regexp, timeout_s, monitor)
    result = _check(target, monitor)
    click.echo(to_line(result) if as_json else "\n".join(explain(result, target)))
    sys.exit(0 if result.status is Status.UP else 1)


def _probe_all(lines: Iterable[str], monitor: MonitorConfig) -> bool:
    """Check the targets of a stream, as many at once as the engine takes, and print the results; whether all are up."""
    targets = [_stated(number, line, monitor) for number, line in enumerate(lines, start=1)]
    engine = wiring.build_engine(monitor, Origin(1, monitor.location))
    all_up, last_end = True, time.monotonic()
    waiting = deque(targets)
    while waiting or engine.running:
        while waiting and engine.free:
            target = waiting.popleft()
            engine.submit(_due_now(target))
            last_end = max(last_end, time.monotonic() + target.timeout_s + _GRACE_S)
        if time.monotonic() > last_end:
            raise StopError("the engine did not end its checks")
        for result in engine.take_finished(0.1):
            all_up = all_up and result.status is Status.UP
            click.echo(to_line(result))
    return all_up


def _stated(number: int, line: str, monitor: MonitorConfig) -> Target:
    try:
        return TargetRecord.parse(json.loads(line)).resolve(monitor.defaults)
    except (ValueError, TypeError):
        _refuse(f"line {number}: must be a JSON object")
    except InvalidTargetError as error:
        _refuse(f"line {number}: {error}")


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


def _target(url: str, regexp: str | None, timeout_s: float | None, monitor: MonitorConfig) -> Target:
    """The target to check; ends the command with status 2 when there is none."""
    # The longest interval there is, so that any timeout fits in.
    fields = {"id": 1, "url": url, "regexp": regexp, "timeout_s": timeout_s, "check_interval_s": MAX_INTERVAL_S}
    try:
        target = TargetRecord.parse(fields).resolve(monitor.defaults)
        # What only making the request finds wrong with a URL.
        Exchange(_due_now(target), Limits.of(monitor)).begin()
    except InvalidTargetError as error:
        # A URL that cannot be taken apart may show its password anywhere.
        hidden = "@" in url
        problems = ["url: is not a URL" if hidden and p.startswith("url: ") else p for p in error.problems]
        _refuse("; ".join(problems))
    except EndingError as error:
        _refuse("url: is not a URL that can be requested" if "@" in url else f"url: {error.detail}")
    return target


class _NotCheckableError(click.ClickException):
    exit_code = 2


def _refuse(message: str) -> NoReturn:
    raise _NotCheckableError(" ".join(message.split()))


def _due_now(target: Target) -> Check:
    return Check(target, time.time_ns() // 1_000_000, time.monotonic())


def _check(target: Target, monitor: MonitorConfig) -> CheckResult:
    origin = Origin(1, monitor.location)
    engine = wiring.build_engine(monitor, origin)
    check = _due_now(target)
    engine.submit(check)
    finished = engine.take_finished(target.timeout_s + _GRACE_S)
    engine.abandon()
    return finished[0] if finished else origin.unrun(check, Reason.PROBER_ERROR, "the engine did not end the check")


def _facts(result: CheckResult, target: Target) -> Iterator[tuple[str, str | None]]:
    yield "error", result.error
    yield "HTTP status", None if result.http_status is None else str(result.http_status)
    yield "requested", result.final_url if result.final_url != target.url else None
    yield "address", result.remote_address
    yield "certificate", _expiry(result.certificate_expires_at)
    yield "  names", result.certificate_subject
    yield "  signed by", result.certificate_issuer
    yield "body", None if result.body_bytes is None else f"{result.body_bytes} bytes"
    if result.regexp_matched is not None:
        yield "regexp", "matches" if result.regexp_matched else "does not match"


def _expiry(moment: dt.datetime | None) -> str | None:
    if moment is None:
        return None
    days = (moment - dt.datetime.now(dt.UTC)).days
    left = f"{days} days left" if days >= 0 else f"{-days} days ago"
    return f"{'expires' if days >= 0 else 'expired'} {moment:%Y-%m-%d %H:%M} UTC, {left}"


def _fact(name: str, text: str) -> str:
    return f"  {name:<13}{text}"
