"""What a check found."""

from __future__ import annotations

import enum

import attrs


class Level(enum.StrEnum):
    """How bad it is: warnings are for later, failures keep something from working."""

    PASS = "pass"  # noqa: S105 (no password)
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen
class Finding:
    """One line.

    Attributes:
        subject: what was looked at.
        text: what was found, never a secret.
        mend: what to do; empty when nothing is.
    """

    level: Level
    subject: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.level}  {self.subject}: {self.text}" + (f" → {self.mend}" if self.mend else "")


def passed(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.PASS, subject, text)


def warned(subject: str, text: str, mend: str) -> Finding:
    """It works, and may not for long."""
    return Finding(Level.WARN, subject, text, mend)


def failed(subject: str, text: str, mend: str) -> Finding:
    """Something cannot work."""
    return Finding(Level.FAIL, subject, text, mend)
