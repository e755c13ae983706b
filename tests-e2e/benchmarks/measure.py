"""What a process costs for a check, while the website counts the checks; and tables of it."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CORES = sorted(os.sched_getaffinity(0))
# The measured process has a core for itself; all others of a benchmark share the first one.
PROBER_CORE, OTHERS_CORE = CORES[-1], CORES[0]
# linux/posix-timers.h: the clock of the processor time of a process, all threads, those that ended too.
_CPUCLOCK_SCHED = 2
_AFTER_A_BURST = 0.75


def on_core(core: int, command: list[str]) -> list[str]:
    """The command, pinned to a core; the process keeps its id."""
    return ["taskset", "-c", str(core), *command]


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads so far, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


class Stored(Protocol):
    """Results in Kafka."""

    def end(self) -> int:
        """The offset of the next result."""

    def count_up(self, begin: int, end: int) -> int:
        """How many results between two offsets say that a website is up."""


@attrs.frozen
class Measured:
    """A window of a process's life: what it used and what came of it."""

    checks: int
    up: int | None
    cpu_s: float
    seconds: float

    @property
    def cpu_us(self) -> float:
        """Processor time of a check, in microseconds."""
        return 1e6 * self.cpu_s / self.checks if self.checks else float("nan")

    @property
    def per_s(self) -> float:
        """Checks a second, as the website counted them."""
        return self.checks / self.seconds

    @property
    def core(self) -> float:
        """The share of a core that was used, at most 1 on one core."""
        return self.cpu_s / self.seconds


def window(pid: int, checks: Callable[[], int], stored: Stored | None, warm_up_s: float, seconds: float) -> Measured:
    """Measure a process for some time, after a time for warming up."""
    time.sleep(warm_up_s)
    # Bursts come at whole seconds: a window that begins and ends far from them counts all of each.
    time.sleep((_AFTER_A_BURST - time.time()) % 1)
    first = stored.end() if stored else 0
    began, cpu, asked = time.monotonic(), cpu_s(pid), checks()
    time.sleep(seconds)
    took, cpu, asked = time.monotonic() - began, cpu_s(pid) - cpu, checks() - asked
    # Results arrive up to a second late, at both ends.
    return Measured(asked, stored.count_up(first, stored.end()) if stored else None, cpu, took)


def middle(rounds: Sequence[Measured]) -> Measured:
    """The round of the median cost."""
    costs = [each.cpu_us for each in rounds]
    return rounds[costs.index(statistics.median_low(costs))]


def quantiles_ms(seconds: Iterable[float]) -> dict[str, float]:
    """The median and the 99th percentile of durations, in milliseconds."""
    ordered = sorted(seconds)
    return {f"p{q}": 1000 * ordered[min(len(ordered) - 1, len(ordered) * q // 100)] for q in (50, 99)}


def cheapest(costs: Mapping[str, float], prefix: str) -> float | None:
    """The least cost of those whose name begins so; None when there is none."""
    return min((cost for name, cost in costs.items() if name.startswith(prefix) and cost == cost), default=None)


def ratios(costs: Mapping[str, float], prefix: str) -> dict[str, float | None]:
    """Each cost as a multiple of the cheapest of those whose name begins so."""
    base = cheapest(costs, prefix)
    return {name: cost / base if base else None for name, cost in costs.items()}


def table(found: Mapping[str, Measured]) -> list[str]:
    """The rows of one scheme and rate, without a heading."""
    costs = {name: each.cpu_us for name, each in found.items()}
    telegraf, floor = ratios(costs, "Telegraf"), ratios(costs, "floor")
    return [_row(name, each, telegraf[name], floor[name]) for name, each in found.items()]


HEADING = f"{'':<28}{'checks/s':>10}{'CPU us/check':>14}{'core, %':>9}{'up, %':>13}{'x Telegraf':>12}{'x floor':>9}"


def _row(name: str, each: Measured, telegraf: float | None, floor: float | None) -> str:
    up = None if each.up is None or not each.checks else 100 * each.up / each.checks
    return (
        f"{name:<28}{each.per_s:>10,.0f}{each.cpu_us:>14,.0f}{100 * each.core:>9.1f}"
        f"{_or_blank(up, 13, 0)}{_or_blank(telegraf, 12, 2)}{_or_blank(floor, 9, 2)}"
    )


def _or_blank(value: float | None, width: int, digits: int) -> str:
    return " " * width if value is None else f"{value:>{width}.{digits}f}"
