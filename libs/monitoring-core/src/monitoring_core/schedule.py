"""Slots: the moments at which each target is due, computed alike by every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MASK = (1 << 64) - 1


def phase_ms(target_id: int, interval_s: int) -> int:
    """Where in its interval a target is due: milliseconds in `[0, interval)`.

    A stable hash of the id, so that the load of many targets is spread evenly and every producer, of any version,
    computes the same slots. The hash is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable
    pseudorandom number generators", OOPSLA 2014) and is a part of the wire contract: it never changes.
    """
    z = (target_id + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) % (interval_s * 1000)


def slot_at_or_after(target_id: int, interval_s: int, moment_ms: int) -> int:
    """The first slot of the target that is not before `moment_ms`; both in milliseconds since the epoch."""
    interval_ms = interval_s * 1000
    return moment_ms + (phase_ms(target_id, interval_s) - moment_ms) % interval_ms


def slots_between(target_id: int, interval_s: int, start_ms: int, end_ms: int) -> Iterator[int]:
    """Every slot of the target in the half-open span `[start_ms, end_ms)`, in order, in milliseconds."""
    yield from range(slot_at_or_after(target_id, interval_s, start_ms), end_ms, interval_s * 1000)
