"""From where on each assigned partition is read: from where the database says that everything before is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import structlog

from consumer_svc.places import Asked
from monitoring_runtime.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from consumer_svc.delivery import Delivery
    from consumer_svc.places import Places
    from consumer_svc.ports import Source
    from monitoring_core.clock import Clock

log = structlog.get_logger()

# How often the topic and the database are compared with what was read, so that a database that has become an older
# copy, or a topic that was made anew, is noticed although nothing fails.
LOOK_EVERY_S = 10.0
_NONE = Topic("", "", "")


@attrs.define
class Placement:
    """Finds out from where partitions are read, one look at a time, in the thread that delivers.

    Attributes:
        topic: the topic that is read.
        read: for each partition that is read, the offset after the last message that was received.
    """

    source: Source
    delivery: Delivery
    clock: Clock
    topic: Topic = _NONE
    read: dict[int, int] = attrs.field(factory=dict)
    # For each partition that is read, the offset up to which this consumer knows everything to be stored.
    _stored: dict[int, int] = attrs.field(factory=dict, init=False)
    # Assigned partitions that are not read yet, and those of them that Kafka has set back.
    _waiting: set[int] = attrs.field(factory=set, init=False)
    _set_back: set[int] = attrs.field(factory=set, init=False)
    # What the present look is for; partitions that are given up meanwhile are taken out of it.
    _asked: set[int] = attrs.field(factory=set, init=False)
    _answer: Places | None = attrs.field(default=None, init=False)
    _next_look: float = attrs.field(default=0.0, init=False)

    @property
    def due(self) -> bool:
        """Whether a look is due."""
        return bool(self._waiting or self.read) and self.clock.monotonic() >= self._next_look

    def assign(self, partitions: Collection[int]) -> None:
        """Read these partitions, too."""
        self._waiting.update(partitions)
        self._next_look = 0.0

    def revoke(self, partitions: Collection[int]) -> None:
        """Read these partitions no more."""
        for number in partitions:
            self.read.pop(number, None)
            self._stored.pop(number, None)
        self._waiting.difference_update(partitions)
        self._set_back.difference_update(partitions)
        self._asked.difference_update(partitions)

    def restart(self, set_back: Collection[int] = ()) -> None:
        """Find out again from where all partitions are read: what was received and is not stored is void.

        Args:
            set_back: those that gave messages from before what was read already.
        """
        self.source.hold()
        self._waiting |= self.read.keys()
        self._set_back.update(set_back)
        self.read.clear()
        self._stored.clear()
        self._next_look = 0.0

    def stored(self, offsets: Mapping[int, int]) -> None:
        """Note what was stored of partitions."""
        for number, offset in offsets.items():
            if number in self._stored:
                self._stored[number] = max(offset, self._stored[number])

    def look(self) -> Callable[[], None]:
        """The work of a look, for the thread that delivers; `settle` comes after it."""
        self._asked = self._waiting | self.read.keys()
        asked = Asked(frozenset(self._waiting), frozenset(self.read), frozenset(self._set_back))
        self._next_look = self.clock.monotonic() + LOOK_EVERY_S

        def work() -> None:
            self._answer = self.delivery.places(asked)

        return work

    def settle(self) -> Collection[int]:
        """Begin to read where the last look says; returns partitions whose messages received so far are void."""
        answer, self._answer = self._answer, None
        if answer is None:
            return ()
        anew = answer.topic != self.topic
        starts = {
            number: offset
            for number, offset in answer.offsets.items()
            if number in self._asked and (anew or number in self._waiting or offset < self._stored.get(number, 0))
        }
        void = starts.keys() & self.read.keys()
        if void and not anew:
            log.warning(
                "the database is behind what was stored: what it lacks is read again",
                partitions=sorted(void),
                messages=sum(self._stored[number] - starts[number] for number in void),
            )
        self.topic = answer.topic
        self._waiting -= starts.keys()
        self._set_back -= starts.keys()
        self.read.update(starts)
        self._stored.update(starts)
        if starts:
            self.source.start(starts)
        return void
