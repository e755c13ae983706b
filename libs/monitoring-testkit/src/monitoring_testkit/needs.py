"""What a test needs from the machine: when it is missing, the test fails in CI and is skipped elsewhere."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def cannot_run(why: str) -> NoReturn:
    """End the test: failed in CI, skipped elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def need(what: str, missing: str | None) -> None:
    """End the test when something is missing for a server.

    Args:
        what: the server: "real Apache Kafka".
        missing: what the machine lacks to start it, or None.
    """
    if missing:
        cannot_run(f"no {what} can be started: {missing}")


def need_root(what: str) -> None:
    """End the test when it does not run as root.

    Args:
        what: the thing that needs root, like "a disk of its own".
    """
    if os.geteuid():
        cannot_run(f"{what} needs root")
