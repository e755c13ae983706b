"""What engines make of the answers of resolvers in the world, in a network namespace with a resolver of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from monitoring_core.config import EngineName
from monitoring_testkit.producer.engines import concrete_engines

pytestmark = [
    pytest.mark.integration_test,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace with a resolver of its own needs root"),
]
WORLD = Path(__file__).with_name("names_world.py")


@cache
def found(engine: EngineName) -> dict[str, Any]:
    """What an engine finds in the world of names."""
    command = ["unshare", "--net", "--mount", sys.executable, str(WORLD), str(engine)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(params=concrete_engines())
def world(request: pytest.FixtureRequest) -> dict[str, Any]:
    return found(request.param)


@pytest.mark.parametrize(
    "host",
    [
        "fine.test",
        "fine.test.",
        "under_score.test",
        "💩.test",
        "alias.test",
        "large.test",
        "cut.test",
        "six-servfail.test",
        "six-nxdomain.test",
        "six-silent.test",
        "written.test",
        "localhost",
        "a.localhost",
    ],
)
def test_names_that_lead_to_the_website(host: str, world: dict[str, Any]) -> None:
    """Aliases, an answer that is too large for a datagram, and trouble with addresses that are not needed."""
    result = world[f"{host} fine"]
    assert (result["status"], result["error"]) == ("up", None)
    assert result["dns_s"] < 1


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("gone.test", "gone.test: no such name (NXDOMAIN)"),
        ("dangling.test", "dangling.test: no such name (NXDOMAIN)"),
        ("www", "www: no such name (NXDOMAIN)"),  # search domains are those of a machine, not of a website
        ("servfail.test", "servfail.test: the resolver 127.0.0.1 failed (SERVFAIL)"),
        ("refused.test", "refused.test: the resolver 127.0.0.1 refused to answer (REFUSED)"),
        ("silent.test", "silent.test: no answer from the resolver 127.0.0.1"),
        ("unable.test", "unable.test: the resolver 127.0.0.1 answered with code 4"),
        ("empty.test", "empty.test: the name has no address"),
        ("closed.test", "closed.test: the resolver 127.0.0.1: closed without an answer"),
        ("circle.test", "circle.test: the name has no address"),
        ("x" * 64 + ".test", "x" * 64 + ".test: is not a host name"),
    ],
)
def test_names_that_lead_nowhere(host: str, error: str, world: dict[str, Any]) -> None:
    """What the resolver said is told apart, in the same words on each engine."""
    result = world[f"{host} fine"]
    assert (result["status"], result["reason"], result["error"]) == ("down", "dns_error", error)
    assert result["response_time_s"] < 1.5


@pytest.mark.parametrize("which", ["a first resolver that is dead", "with many descriptors"])
def test_what_is_the_machines_own(which: str, world: dict[str, Any]) -> None:
    """A dead resolver leaves time for the next one, and the number of descriptors is no matter."""
    assert (world[which]["status"], world[which]["error"]) == ("up", None)
    assert world[which]["dns_s"] < 0.9


@pytest.mark.parametrize(
    ("which", "reason"),
    [("both", None), ("both, refused", "connection_error"), ("six alone", "prober_error")],
)
def test_a_machine_without_ipv6(which: str, reason: str | None, world: dict[str, Any]) -> None:
    """A website is not held to an address that this machine cannot reach, as long as it has another."""
    result = world[f"without IPv6: {which}"]
    assert result["reason"] == reason, result["error"]


@pytest.mark.parametrize("timeout", ["0.4 s", "1 s"])
def test_a_resolver_that_is_slower_than_the_check(timeout: str, world: dict[str, Any]) -> None:
    """The time is over, and the evidence says at what; also when both give up at once, as they do by default."""
    result = world[f"within {timeout}"]
    assert (result["reason"], result["error"]) == ("timeout", f"not finished within {timeout}: looking up the name")


@pytest.mark.parametrize(
    ("port", "address", "tried"),
    [
        ("fine", "::1", None),
        ("six_dead", "127.0.0.1", "::1: no answer; 127.0.0.1: connected"),
        ("four_dead", "::1", None),
    ],
)
def test_a_dead_address_does_not_make_a_website_down(
    port: str, address: str, tried: str | None, world: dict[str, Any]
) -> None:
    """The next one is tried a quarter of a second later, and both are told of (RFC 8305)."""
    result = world[f"dual.test {port}"]
    assert (result["status"], result["remote_address"], result["addresses_tried"]) == ("up", address, tried)
    assert result["connect_s"] < 0.5


def test_addresses_are_kept_for_as_long_as_they_hold(world: dict[str, Any]) -> None:
    """Two checks ask for both kinds of address once, or twice."""
    assert world["asked"] == {"kept": 2, "over": 4, "not to be kept": 4, "switched off": 4}


def test_a_thousand_names_that_hold_for_a_second(world: dict[str, Any]) -> None:
    """One after the other, twice round."""
    assert world["many"] == [None] * 2_000


@pytest.mark.parametrize(("family", "address"), [("ipv4", "127.0.0.1"), ("ipv6", "::1")])
def test_one_family_alone(family: str, address: str, world: dict[str, Any]) -> None:
    """Of a name that has addresses of both."""
    assert (world[family]["status"], world[family]["remote_address"]) == ("up", address)
