"""`local-stack up`: start everything, watch it, and compare the rows with the checks that were due."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from rich.console import Console
from rich.live import Live

from local_stack.comparison import Comparison, compare
from local_stack.display import hints, live_table
from local_stack.guardian import guarded
from local_stack.receiver import local_receiver
from local_stack.stack import Stack, running_stack
from local_stack.websites import SampleWebsite, sample_websites
from monitoring_core.errors import StopError
from monitoring_runtime.commands import counted
from monitoring_runtime.stop import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local_stack.processes import Service
    from local_stack.receiver import Receiver
    from monitoring_runtime.stop import Stop

TIMEOUT_S = 2.0
REFRESH_S = 0.5
DRAIN_S = 20.0
_SAMPLE = "sample website"


@attrs.frozen
class Options:
    """What the command line asks for.

    Attributes:
        urls: websites of the user's own; without these and without `targets` the samples are watched.
        targets: a file of more such websites.
        data: the folder to keep the data in; None for a temporary folder.
    """

    duration_s: float | None
    interval_s: int
    producers: int
    urls: Sequence[str]
    targets: Path | None
    data: Path | None


@attrs.frozen
class _Running:
    """What has been started.

    Attributes:
        sampled: the samples by the targets that they became.
        since: by producer ID, the moment from which the producer accounts for its slots, seconds since the epoch.
        page: the address of the pages.
    """

    stack: Stack
    receiver: Receiver
    sampled: dict[int, SampleWebsite]
    producers: list[Service]
    since: dict[int, float]
    page: str

    @property
    def names(self) -> dict[int, str]:
        """The names of the samples."""
        return {target_id: sample.name for target_id, sample in self.sampled.items()}


def up(options: Options) -> Comparison:
    """Run the stack until the duration is over or a signal comes, and compare.

    Raises:
        StopError: a server or service does not start, or ends by itself, or a signal comes before all of them run.
    """
    console = Console(stderr=True)
    with stop_on_signals() as stop, contextlib.ExitStack() as blocks:
        try:
            running = _start(options, stop, blocks)
        except Exception:
            # Ctrl-C reaches the programs that are setting something up, too: that they fail then is no news.
            _end_if_stopped(stop)
            raise
        stack = running.stack
        _watch(running, stop, options.duration_s, console)
        windows = stack.windows(running.since, _stop(running.producers))
        # With kept data a producer accounts for the slots since the last run, too: their rows belong to the comparison.
        first_s = min(window.start_ms for window in windows) / 1000
        result = _when_complete(lambda: compare(windows, stack.rows(first_s), running.sampled))
        console.print(live_table(stack, running.names))
        return result


def _start(options: Options, stop: Stop, blocks: contextlib.ExitStack) -> _Running:
    """Start everything; it ends with the blocks."""
    directory = blocks.enter_context(_directory(options.data))
    try:
        blocks.enter_context(guarded(directory, remove=options.data is None))
    except BlockingIOError:
        raise StopError(
            f"{directory} is in use by another local-stack; if that was killed, what it started ends within a minute"
        ) from None
    samples = blocks.enter_context(_samples(options))
    receiver = blocks.enter_context(local_receiver())
    timeout_s = min(TIMEOUT_S, 0.8 * options.interval_s)
    stack = blocks.enter_context(running_stack(directory, options.interval_s, timeout_s))
    _end_if_stopped(stop)
    # Started before the import, because both need some seconds to get their partitions.
    stack.start("consumer-svc")
    stack.start_alerts(receiver)
    _import(stack, options, samples)
    _end_if_stopped(stop)
    sampled = _by_target(stack, samples)
    page = stack.start_status()
    _end_if_stopped(stop)
    producers = _started_producers(stack, options.producers)
    since = {i: producer.metric("producer_accounted_since_seconds") for i, producer in enumerate(producers, 1)}
    return _Running(stack, receiver, sampled, producers, since, page)


def _end_if_stopped(stop: Stop) -> None:
    if stop.requested:
        raise StopError("stopped before everything ran: there is nothing to compare") from None


@contextlib.contextmanager
def _samples(options: Options) -> Iterator[list[SampleWebsite]]:
    """The sample websites, or none when the user has websites of their own."""
    if options.urls or options.targets:
        yield []
        return
    with sample_websites() as samples:
        yield samples


def _import(stack: Stack, options: Options, samples: Sequence[SampleWebsite]) -> None:
    """Import the websites into the database, and deactivate the samples of an earlier run with the same data."""
    stack.retire(_SAMPLE)
    if options.targets:
        stack.import_file(options.targets)
    records: list[dict[str, Any]] = [{"url": url} for url in options.urls]
    records += [{"url": sample.url, **sample.fields, "labels": _labels(sample)} for sample in samples]
    if records:
        stack.import_targets(records)


def _labels(sample: SampleWebsite) -> dict[str, str]:
    """What marks a sample as one, and its name and group on the pages."""
    group = "Fine websites" if sample.expected is None else "Websites in trouble"
    return {_SAMPLE: sample.name, "name": sample.name, "group": group}


def _by_target(stack: Stack, samples: Sequence[SampleWebsite]) -> dict[int, SampleWebsite]:
    """The samples by the targets that they became."""
    by_url = {sample.url: sample for sample in samples}
    return {target.id: by_url[target.url] for target in stack.targets() if target.url in by_url}


def _started_producers(stack: Stack, count: int) -> list[Service]:
    """Start at most `count` producers and wait until all are ready."""
    producers = stack.start_producers(stack.share_out(count))
    for producer in producers:
        producer.wait_until_ready()
    return producers


def _stop(producers: Sequence[Service]) -> int:
    """Stop the producers in order; returns the moment of the stop, milliseconds since the epoch."""
    end_ms = time.time_ns() // 1_000_000
    for producer in producers:
        producer.child.signal(signal.SIGTERM)
    for producer in producers:
        # Not `stop`, which would send a second signal: that ends the producer at once.
        producer.child.wait()
    return end_ms


def _when_complete(compared: Callable[[], Comparison]) -> Comparison:
    """The comparison as soon as no row is missing, or else the one after DRAIN_S seconds."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        result = compared()
        if not result.missing or time.monotonic() > deadline:
            return result
        time.sleep(0.2)


def _watch(running: _Running, stop: Stop, duration_s: float | None, console: Console) -> None:
    """Show the table, and print each webhook, until the duration is over or a stop is requested."""
    stack = running.stack
    console.print(hints(stack, running.page), highlight=False, soft_wrap=True)
    end = time.monotonic() + duration_s if duration_s is not None else float("inf")
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    with live or contextlib.nullcontext():
        while not stop.wait(max(0.0, min(REFRESH_S, end - time.monotonic()))) and time.monotonic() < end:
            stack.check_running()
            stack.maintain()
            for line in running.receiver.new_lines():
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            if live:
                live.update(live_table(stack, running.names), refresh=True)


@contextlib.contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    """The folder of the data: `data`, or a temporary one."""
    if data is None:
        with tempfile.TemporaryDirectory(prefix="local-stack-") as directory:
            yield Path(directory)
        return
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StopError(f"{data} cannot be used: {error.strerror}") from None
    yield data.resolve()


def summary(result: Comparison) -> str:
    """The comparison in words."""
    lines = [
        f"{counted(result.targets, 'website')}, {counted(result.due, 'check')} due, {counted(result.rows, 'row')}",
        f"{result.missing:,} missing, {result.duplicates:,} double",
    ]
    if result.as_expected or result.misjudged:
        said = f"samples: {result.as_expected:,} judged as expected, {len(result.misjudged):,} misjudged"
        early = f", {result.before_producers:,} due before the producers came" if result.before_producers else ""
        lines.append(said + early)
    for one in result.misjudged:
        verdict = " ".join(filter(None, (one["status"], one["reason"])))
        lines += [f"misjudged: {one['website']} at {one['scheduled_at']}:", f"  {verdict}, expected {one['expected']}"]
    return "\n".join(lines)
