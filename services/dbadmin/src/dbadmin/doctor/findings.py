"""A finding: one line of what is right or wrong, and what mends it."""

from __future__ import annotations

import enum

import attrs


class Level(enum.StrEnum):
    """How serious a finding is: a warning can wait, a failure keeps something from working."""

    PASS = "pass"  # noqa: S105 (no password)
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        text: what was found; it never holds a secret.
        mend: what to do about it; empty when nothing needs to be done.
    """

    level: Level
    subject: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.level}  {self.subject}: {self.text}" + (f" → {self.mend}" if self.mend else "")


def passed(subject: str, text: str) -> Finding:
    """A finding that nothing is wrong."""
    return Finding(Level.PASS, subject, text)


def warned(subject: str, text: str, mend: str) -> Finding:
    """A finding that something works, but may not for long."""
    return Finding(Level.WARN, subject, text, mend)


def failed(subject: str, text: str, mend: str) -> Finding:
    """A finding that something cannot work."""
    return Finding(Level.FAIL, subject, text, mend)
