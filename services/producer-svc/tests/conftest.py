"""A website that tests script, and an engine that checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.producer.engines import concrete_engines
from monitoring_testkit.producer.probing import Prober
from monitoring_testkit.websites import RawWebsite
from producer_svc.checks import stalls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    site = RawWebsite()
    yield site
    site.close()


@pytest.fixture
def unstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Websites are blamed however long a busy machine holds this process up: what excuses them has tests of its own."""
    monkeypatch.setattr(stalls, "STALL_S", 3_600.0)


@pytest.fixture(scope="module", params=concrete_engines())
def probe(request: pytest.FixtureRequest) -> Prober:
    return Prober(request.param)
