"""The page alerting-matrix.md: what is told in each fault, and what other rules would have done."""

from __future__ import annotations

from monitoring_alerting.testing.matrix import table

_PAGE = """\
# Faults, and what is told about them

Three locations check a website every minute. Down means three failures of three at two locations, and the alert ends
after two good slots at two; without enough votes for ten minutes it is undetermined. Beside that stands whether three
well-known rules, given the same patience, would have raised an alarm rightly: the last status of each location without
its age, a quorum that shrinks to the locations that are connected, and a majority that a half is enough for.

This page is generated from the scenes that the tests decide: `hatch run docs alerting-matrix`.

{table}
"""


def page() -> str:
    """The text of the page."""
    return _PAGE.format(table=table())
