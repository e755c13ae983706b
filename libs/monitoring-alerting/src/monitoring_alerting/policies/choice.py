"""Which policies a target has: for each kind the one that names most of its labels."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from monitoring_alerting.policies.kinds import Kind, Policy


@attrs.frozen
class Policies:
    """All policies, in the order of the file."""

    all: tuple[Policy, ...]

    def chosen(self, labels: Mapping[str, str]) -> tuple[Policy, ...]:
        """The policies of a target with these labels, at most one of each kind.

        Of those whose labels the target has, the one with most labels is chosen, and the first in the file of several
        with equally many.
        """
        best: dict[Kind, Policy] = {}
        for policy in self.all:
            if matches(policy.match, labels):
                other = best.get(policy.kind)
                if other is None or len(policy.match) > len(other.match):
                    best[policy.kind] = policy
        return tuple(best.values())


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have everything that is wanted."""
    return all(labels.get(name) == value for name, value in wanted.items())
