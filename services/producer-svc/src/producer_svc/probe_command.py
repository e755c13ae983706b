"""`producer-svc probe`: one check now, shown to a person or as JSON."""

from __future__ import annotations

import datetime as dt
import sys
import time

import click

from monitoring_core.codec import encode
from monitoring_core.config import Engine, MonitorConfig
from monitoring_core.errors import InvalidTargetError
from monitoring_core.result import CheckResult, Status
from monitoring_core.target import MAX_INTERVAL_S, CheckDefaults, StatusSet, TargetRecord, without_credentials
from producer_svc import wiring
from producer_svc.check import Check, Origin

_WIDTH = 40
_PHASES = (
    ("dns", "dns_s"),
    ("connect", "connect_s"),
    ("tls", "tls_s"),
    ("first byte", "first_byte_s"),
    ("transfer", "transfer_s"),
)


@click.command()
@click.argument("url")
@click.option("--regexp", help="What the page must match (RE2 syntax).")
@click.option("--engine", type=click.Choice([str(engine) for engine in Engine]), default="requests", show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 300),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="The budget of the check, from its start to the last byte.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def probe(url: str, regexp: str | None, engine: str, timeout_s: float, as_json: bool) -> None:
    """Check one website now, as a producer would, and show what took how long.

    Ends with status 0 when it is up, with 1 when it is not, and with 2 when this is no URL that can be checked.
    """
    defaults = CheckDefaults(interval_s=MAX_INTERVAL_S, timeout_s=timeout_s, expected_status=StatusSet.parse("200-299"))
    try:
        target = TargetRecord.parse({"id": 1, "url": url, "regexp": regexp}).resolve(defaults)
    except InvalidTargetError as error:
        raise click.UsageError(str(error)) from None
    prober = wiring.build_engine(MonitorConfig(engine=Engine(engine)), Origin(1, "here"))
    prober.submit(Check(target, time.time_ns() // 1_000_000, time.monotonic()))
    (result,) = prober.take_finished(timeout_s + 5)
    if as_json:
        click.echo(encode(result))
    else:
        click.echo(f"{target.method} {without_credentials(url)}\n")
        click.echo("\n".join([*waterfall(result), "", explanation(result)]))
    sys.exit(0 if result.status is Status.UP else 1)


def waterfall(result: CheckResult) -> list[str]:
    """A line for each phase that the check came to, its bar where it lies in the whole."""
    whole_s = result.response_time_s or 0.0
    lines, done_s = [], 0.0
    for name, attribute in _PHASES:
        spent_s = getattr(result, attribute)
        if spent_s is None:
            continue
        begin, end = (
            round(_WIDTH * min(1.0, moment / whole_s)) if whole_s else 0 for moment in (done_s, done_s + spent_s)
        )
        bar = " " * begin + ("█" * (end - begin) or "▏")
        lines.append(f"  {name:<11}{bar:<{_WIDTH + 1}}{spent_s * 1000:>9.1f} ms")
        done_s += spent_s
    return [*lines, f"  {'total':<11}{'':<{_WIDTH + 1}}{whole_s * 1000:>9.1f} ms"]


def explanation(result: CheckResult) -> str:
    """The verdict in words."""
    verdict = str(result.status) if result.reason is None else f"{result.status} / {result.reason}: {result.error}"
    facts = []
    if result.http_status is not None:
        facts.append(f"HTTP status {result.http_status}")
    if result.body_bytes is not None:
        facts.append(f"{result.body_bytes} bytes")
    if result.regexp_matched:
        facts.append("the regular expression matches")
    if result.remote_address:
        facts.append(f"from {result.remote_address}")
    if expires := result.certificate_expires_at:
        days = (expires - dt.datetime.now(dt.UTC)).days
        facts.append(f"the certificate expires on {expires:%Y-%m-%d}, in {days} days")
    lines = [verdict, *([f"({', '.join(facts)})"] if facts else [])]
    if result.final_url:
        lines.append(f"last asked for {result.final_url}")
    return "\n".join(lines)
