"""`producer-svc probe`: one check now, for a person or a script, without a configuration file."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitoring_core.config import EngineName, MonitorConfig
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.result import CheckResult, Reason, Status
from monitoring_core.result_lines import to_line
from monitoring_core.targets import FAMILIES, MAX_INTERVAL_S, TargetRecord, fields_of_options
from monitoring_runtime.commands import Duration
from monitoring_runtime.groups import examples
from producer_svc.check import Check, Origin
from producer_svc.checks.ending import EndingError
from producer_svc.checks.http.request import first_request
from producer_svc.checks.kinds import build_engine
from producer_svc.commands.explanation import explain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitoring_core.targets import Target

_MAX_TIMEOUT_S = 300.0
# An engine ends a check at most 0.1 s after its timeout; one that takes this long has a fault of its own.
_GRACE_S = 5.0


@click.command(
    epilog=examples(
        "producer-svc probe https://example.org",
        "producer-svc probe https://example.org --regexp 'Example' --timeout 5s",
        "producer-svc probe https://example.org --connect-to 192.0.2.7 --json",
    )
)
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option("--regexp", multiple=True, metavar="REGEXP", help="What the body must hold (RE2 syntax). Repeatable.")
@click.option("--forbidden-regexp", multiple=True, metavar="REGEXP", help="What it must not hold. Repeatable.")
@click.option(
    "--expected-header",
    "expected_headers",
    multiple=True,
    metavar="NAME:REGEXP",
    help="What a header of the answer must hold. Repeatable.",
)
@click.option(
    "--expected-json",
    nargs=2,
    multiple=True,
    metavar="PATH VALUE",
    help="What a JSON path (RFC 9535) finds in the body, in JSON or as plain text. Repeatable.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="What to send. Repeatable.")
@click.option(
    "--secret-header", "secret_headers", multiple=True, metavar="NAME", help="One that stays with its host. Repeatable."
)
@click.option(
    "--degraded-above",
    "degraded_above_s",
    type=Duration(at_most_s=_MAX_TIMEOUT_S),
    help="What is slower is up, and degraded, like 2s.",
)
@click.option("--client-certificate", metavar="NAME", help="The file with the certificate to show, and its key.")
@click.option(
    "--client-certificate-directory",
    type=click.Path(file_okay=False),
    help="Where such files are.  [default: the present directory]",
    default=".",
)
@click.option("--connect-to", metavar="HOST[:PORT]", help="Where to connect in place of the host of URL.")
@click.option("--address-family", type=click.Choice(list(FAMILIES)), help="Which addresses to connect to.")
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in EngineName]),
    default=EngineName.AUTO.value,
    show_default=True,
    help="What makes the request.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Duration(at_most_s=_MAX_TIMEOUT_S),
    help="The time for the whole check, like 500ms.  [default: 10s]",
)
def probe(url: str, as_json: bool, engine: str, client_certificate_directory: str, **values: Any) -> None:
    """Check URL once, now, and explain the verdict.

    With - for URL, targets are read from standard input, a JSON object a line with an id and the fields of an import
    file, and each result is printed as one JSON object.

    Ends with status 0 when the website is up, 1 when it is not, and 2 when URL cannot be checked or an option is bad.
    """
    monitor = MonitorConfig(engine=EngineName(engine), client_certificate_directory=client_certificate_directory)
    if url == "-":
        sys.exit(0 if _probe_all(sys.stdin, monitor) else 1)
    target = _target(url, values, monitor)
    result = _check(target, monitor)
    click.echo(to_line(result) if as_json else "\n".join(explain(result, target)))
    sys.exit(0 if result.status is Status.UP else 1)


def _probe_all(lines: Iterable[str], monitor: MonitorConfig) -> bool:
    """Check the targets of a stream, as many at once as the engine takes, and print the results; whether all are up."""
    targets = [_target_in_line(number, line, monitor) for number, line in enumerate(lines, start=1)]
    engine, origin = build_engine(monitor), Origin(1, monitor.location)
    all_up, last_end = True, time.monotonic()
    waiting = deque(targets)
    while waiting or engine.running:
        while waiting and engine.free:
            target = waiting.popleft()
            engine.submit(_due_now(target), origin)
            last_end = max(last_end, time.monotonic() + target.settings.timeout_s + _GRACE_S)
        if time.monotonic() > last_end:
            raise StopError("the engine did not end its checks")
        for result in engine.drain_finished(0.1):
            all_up = all_up and result.status is Status.UP
            click.echo(to_line(result))
    return all_up


def _target_in_line(number: int, line: str, monitor: MonitorConfig) -> Target:
    """The target that a line of the stream states; ends the command with status 2 when it states none."""
    try:
        return TargetRecord.parse(json.loads(line)).resolve(monitor.defaults)
    except (ValueError, TypeError, RecursionError):
        _refuse(f"line {number}: must be a JSON object")
    except InvalidTargetError as error:
        _refuse(f"line {number}: {error}")


def _target(url: str, values: dict[str, Any], monitor: MonitorConfig) -> Target:
    """The target to check; ends the command with status 2 when there is none."""
    # With the longest interval, every timeout is shorter than the interval.
    fields = {"id": 1, "url": url, "check_interval_s": MAX_INTERVAL_S}
    try:
        target = TargetRecord.parse(fields | fields_of_options(values)).resolve(monitor.defaults)
        first_request(target)  # finds URLs that parse but cannot be requested
    except InvalidTargetError as error:
        # A malformed URL may hold its password anywhere, so the message must not quote any of it.
        hidden = "@" in url
        problems = ["url: is not a URL" if hidden and p.startswith("url: ") else p for p in error.problems]
        _refuse("; ".join(problems))
    except ValueError as error:
        _refuse(str(error))
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
    engine, origin = build_engine(monitor), Origin(1, monitor.location)
    check = _due_now(target)
    engine.submit(check, origin)
    finished = engine.drain_finished(target.settings.timeout_s + _GRACE_S)
    engine.abandon()
    return finished[0] if finished else origin.unrun(check, Reason.PROBER_ERROR, "the engine did not end the check")
