"""A website that tests script, and the way to the fakes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.websites import RawWebsite

if TYPE_CHECKING:
    from collections.abc import Iterator

# Test modules are imported each by itself (--import-mode=importlib): this is how they find producer_fakes.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    site = RawWebsite()
    yield site
    site.close()
