"""The engines that a test runs on."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest

from monitoring_core.config import EngineName

# Skipped where the transport is not built; with CI set, its tests fail there.
needs_native = pytest.mark.skipif(
    importlib.util.find_spec("probe_transport") is None and not os.environ.get("CI"),
    reason="probe_transport is not installed: hatch run native:build",
)


def concrete_engines() -> list[Any]:
    """Every engine but `auto`, as parameters of a test."""
    return [EngineName.REQUESTS, pytest.param(EngineName.NATIVE, marks=needs_native)]
