"""How far a partition is decided, and what is stored with that: the values that are exchanged about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitoring_alerting.transition import Transition


@attrs.frozen
class Tick:
    """The clock went on without a result.

    Attributes:
        offset: everything before this offset had been decided then.
        moment: how far it went, in milliseconds since the epoch.
    """

    offset: int
    moment: int


@attrs.frozen
class Kept:
    """What the database has of a partition that was taken over.

    Attributes:
        generation: the number under which this process stores; whoever takes the partition over later has a higher one.
        next_offset: what follows from every message before it is stored.
        snapshot_offset: the offset before which the snapshot was taken.
        ticks: those since the snapshot.
        parts: the snapshot; empty for a partition that is new.
        moved: whether the topic was made anew since, or is on another cluster: the offsets are of no use.
    """

    generation: int
    next_offset: int
    snapshot_offset: int
    ticks: Sequence[Tick] = ()
    parts: Sequence[bytes] = ()
    moved: bool = False


@attrs.frozen
class Snapshot:
    """What deciding remembers.

    Attributes:
        offset: the offset before which it was taken.
        parts: made while they are stored, since all together may be large.
    """

    offset: int
    parts: Iterable[bytes]


@attrs.frozen
class Step:
    """What is stored of a partition in one transaction.

    Attributes:
        begin: the offset that the database has reached; if it has another one, nothing is stored.
        end: the offset that it has reached then.
        ticks: new ones; with a snapshot, all before it are forgotten.
    """

    partition: int
    generation: int
    begin: int
    end: int
    transitions: Sequence[Transition] = ()
    ticks: Sequence[Tick] = ()
    snapshot: Snapshot | None = None
