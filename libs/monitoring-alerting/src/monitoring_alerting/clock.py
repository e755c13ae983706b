"""The clock of decisions: taken from the results themselves, and from no single location that is out of step."""

from __future__ import annotations

from itertools import pairwise

import attrs

# After a longer gap, the only location there is must speak for three intervals, too, until it is believed.
_LONGEST_GAP_MS = 86_400_000


@attrs.define
class Heard:
    """What a location said: its first moment, its last one, and where the clock stood after that."""

    first: int
    moment: int
    clock: int | None


@attrs.define
class ResultClock:
    """A clock that results move forward, in milliseconds since the epoch. It never goes back.

    A location moves the clock by itself only in step: by no more than one and a half intervals ahead of it. A greater
    jump counts when a second location has come as far, or when no other location has spoken for three intervals since.
    A location whose clock is wrong, and which jumps ahead alone, moves the clock by no more than the time between its
    own results. There is no time before two locations agree, or one has spoken for three intervals; if two disagree for
    so long, that is the earlier one of theirs.
    """

    now: int | None = None
    heard: dict[str, Heard] = attrs.field(factory=dict)
    speaker: str = ""
    speaks_since: int = 0

    def hear(self, location: str, moment: int, interval: int) -> bool:
        """Take the moment of a result; whether the clock has moved.

        Args:
            interval: the shortest of the targets. Results of one that is checked once an hour are an hour apart, but
                let no location be an hour ahead of others.
        """
        heard = self.heard.get(location)
        if heard is None:
            heard = self.heard[location] = Heard(moment, moment, self.now)
        # A location whose clock jumps begins to speak anew: at the time that it tells now, nobody has heard it yet.
        if location != self.speaker or moment - heard.moment > interval * 3 // 2:
            self.speaker, self.speaks_since = location, moment
        before = self.now
        if before is None or moment > before:
            self.now = self._moved(heard, moment, interval)
        heard.moment, heard.clock = moment, self.now
        return self.now != before

    def advance(self, moment: int) -> bool:
        """Let the clock go on to a moment that is known from elsewhere; whether it has moved."""
        if self.now is not None and moment <= self.now:
            return False
        self.now = moment
        return True

    def _moved(self, heard: Heard, moment: int, interval: int) -> int | None:
        """Where the clock stands after a moment ahead of it."""
        step, now = interval * 3 // 2, self.now
        if now is not None and moment <= now + step:
            return moment
        previous, heard.moment = heard.moment, moment
        # Spoken for three intervals, and nobody else: the others are silent.
        if moment - self.speaks_since >= 2 * step or (
            now is not None and len(self.heard) == 1 and moment - now <= _LONGEST_GAP_MS
        ):
            return moment
        if len(self.heard) == 1:
            return now
        moments = sorted(other.moment for other in self.heard.values())
        if now is None:
            agreed = [one for one, other in pairwise(moments) if other - one <= step]
            disagree_long = moment - heard.first >= 2 * step
            return agreed[-1] if agreed else moments[-2] if disagree_long else None
        second = moments[-2]
        own = heard.clock + moment - previous if heard.clock is not None and moment - previous <= step else now
        return max(now, second, min(moment, own))
