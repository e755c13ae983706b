"""What somebody looks for on an overview: words, and a state."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import attrs

from status_svc.pages.model import WORST_FIRST, State
from status_svc.pages.shown import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from status_svc.pages.model import Component

# So many characters of what is typed count.
LONGEST = 100
# Of targets that no board keeps, so many are looked up.
MOST_FURTHER = 100
# Who has paused a target knows that it is not up.
_NOT_UP = frozenset(State) - {State.UP, State.PAUSED}
_WANTED = {"not-up": _NOT_UP} | {str(state): frozenset({state}) for state in WORST_FIRST}
# What the form offers, with its words.
STATES = {"": "Any state", "not-up": "Not up"} | {str(state): state.words for state in WORST_FIRST}


@attrs.frozen
class Search:
    """What is looked for.

    Attributes:
        typed: words, all of which must be found; empty for any.
        state: one of STATES.
    """

    typed: str = ""
    state: str = ""

    @property
    def words(self) -> list[str]:
        """What is typed, word by word."""
        return self.typed.split()

    @property
    def query(self) -> str:
        """It as the query of a URL; empty for nothing."""
        return urlencode({name: value for name, value in (("q", self.typed), ("state", self.state)) if value})

    def among(self, components: Iterable[Component]) -> list[Component]:
        """Those with the state and all words, in small letters or large ones, in what their view shows of them."""
        words = self.typed.casefold().split()
        return [one for one in components if self.wants(one) and _has(words, one)]

    def wants(self, one: Component) -> bool:
        """Whether a component has the state."""
        return not self.state or one.state in _WANTED[self.state]


def asked(query: Mapping[str, str]) -> Search | None:
    """What the query of a URL asks for; None for nothing. A state that there is not is none."""
    state = query.get("state", "")
    search = Search(text(query.get("q", "")[:LONGEST]), state if state in STATES else "")
    return search if search.query else None


def _has(words: Iterable[str], one: Component) -> bool:
    """Whether all words are there. Of a component on a public page, URL and labels are not (`model.public`)."""
    labels = (f"{name}={value}" for name, value in one.labels.items())
    said = "\n".join((one.name, one.group, one.url or "", *labels)).casefold()
    return all(word in said for word in words)
