"""A website that tests script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.websites import RawWebsite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    site = RawWebsite()
    yield site
    site.close()
