"""A website that tests script, and an engine that checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.producer.engines import concrete_engines
from monitoring_testkit.producer.probing import Prober
from monitoring_testkit.websites import RawWebsite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    site = RawWebsite()
    yield site
    site.close()


@pytest.fixture(scope="module", params=concrete_engines())
def probe(request: pytest.FixtureRequest) -> Prober:
    return Prober(request.param)
