"""How names are looked up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.servers.resolver import (
    AAAA,
    CNAME,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    A,
    Resolver,
    known,
    record,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from probe_transport import Answer, Transport

    Make = Callable[..., Transport]
    Fetch = Callable[..., Answer]

pytestmark = pytest.mark.integration_test


def test_a_name_is_looked_up_and_connected_to(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """Both families are asked for, and the answer is the website's."""
    resolver.knows = known({("shop.test", A): "127.0.0.1"})
    answer = fetch(transport(), f"http://Shop.test:{port}/")
    assert (answer.failure, answer.status, answer.body, answer.address) == (None, 200, b"hello", "127.0.0.1")
    assert sorted(resolver.asked) == [("shop.test", A), ("shop.test", AAAA)]
    assert answer.dns_s is not None
    assert answer.dns_s > 0


@pytest.mark.parametrize(
    ("code", "words"),
    [(NXDOMAIN, "no such name (NXDOMAIN)"), (SERVFAIL, "failed (SERVFAIL)"), (REFUSED, "refused to answer (REFUSED)")],
)
def test_what_a_resolver_says_is_told_apart(
    code: int, words: str, resolver: Resolver, transport: Make, fetch: Fetch
) -> None:
    """A name that does not exist is another trouble than a resolver that fails."""
    resolver.knows = lambda name, kind: said(code=code)
    answer = fetch(transport(), "http://gone.test/")
    assert answer.failure == "name"
    assert answer.detail.startswith("gone.test: ")
    assert words in answer.detail


def test_a_name_without_addresses(resolver: Resolver, transport: Make, fetch: Fetch) -> None:
    """The name exists, with records of other kinds."""
    resolver.knows = lambda name, kind: said()
    answer = fetch(transport(), "http://mail.test/")
    assert (answer.failure, answer.detail) == ("name", "mail.test: the name has no address")


def test_a_resolver_that_says_nothing(resolver: Resolver, transport: Make, fetch: Fetch) -> None:
    """It is named when resolv.conf's patience ends before the check's; else the check's time is over."""
    patience = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
    answer = fetch(transport(patience), "http://shop.test/")
    assert (answer.failure, answer.detail) == ("name", "shop.test: no answer from the resolver 127.0.0.1")
    answer = fetch(transport(), "http://shop.test/", timeout_s=0.5)
    assert (answer.failure, answer.detail) == ("deadline", "looking up the name")


def test_the_next_resolver_is_asked_when_one_fails(
    resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """SERVFAIL says nothing about the name."""
    resolver.knows = lambda name, kind: said(code=SERVFAIL)
    second = Resolver("127.0.0.2", resolver.port)
    second.knows = known({("shop.test", A): "127.0.0.1"})
    both = transport("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
    answer = fetch(both, f"http://shop.test:{port}/")
    second.close()
    assert answer.status == 200


def test_aliases_are_followed_in_any_order(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """What a resolver sends along for a name with aliases."""

    def knows(name: str, kind: int) -> bytes:
        aliases = [record("b.test", CNAME, "c.test"), record("a.test", CNAME, "b.test")]
        return said(*aliases, *([record("c.test", A, "127.0.0.1")] if kind == A else []))

    resolver.knows = knows
    assert fetch(transport(), f"http://a.test:{port}/").status == 200


def test_a_circle_of_aliases_ends(resolver: Resolver, transport: Make, fetch: Fetch) -> None:
    """No address is found, and the look-up is over."""
    resolver.knows = lambda name, kind: said(record("a.test", CNAME, "b.test"), record("b.test", CNAME, "a.test"))
    answer = fetch(transport(), "http://a.test/")
    assert (answer.failure, answer.detail) == ("name", "a.test: the name has no address")


def test_addresses_of_another_name_are_not_taken(resolver: Resolver, transport: Make, fetch: Fetch) -> None:
    """Records that do not belong to the question prove nothing."""
    resolver.knows = lambda name, kind: said(record("other.test", A, "127.0.0.1"))
    assert fetch(transport(), "http://a.test/").failure == "name"


def test_a_truncated_answer_is_fetched_over_tcp(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """More addresses than a datagram holds."""
    resolver.knows = lambda name, kind: said(truncated=True)
    resolver.over_tcp = known({("big.test", A): "127.0.0.1"})
    assert fetch(transport(), f"http://big.test:{port}/").status == 200


def test_one_family_waits_for_the_other_only_a_little(
    resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """Some resolvers never answer a question for IPv6 addresses (RFC 8305, section 3)."""
    resolver.knows = lambda name, kind: said(record(name, A, "127.0.0.1")) if kind == A else None
    answer = fetch(transport(), f"http://shop.test:{port}/")
    assert answer.status == 200
    assert answer.dns_s is not None
    assert 0.04 < answer.dns_s < 3.0  # and not the five seconds of resolv.conf


@pytest.mark.parametrize(("cache", "ttl", "asked"), [(True, 60, 2), (True, 0, 4), (False, 60, 4)])
def test_addresses_are_kept_as_long_as_their_ttl_says(
    cache: bool, ttl: int, asked: int, resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """And not at all if the cache is switched off."""
    resolver.knows = known({("shop.test", A): "127.0.0.1"}, ttl)
    one = transport(dns_cache=cache)
    assert [fetch(one, f"http://shop.test:{port}/").status for _ in range(2)] == [200, 200]
    assert len(resolver.asked) == asked


def test_a_kept_address_is_forgotten_when_its_time_is_over(
    resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """A website that moves is found again."""
    resolver.knows = known({("shop.test", A): "127.0.0.9"}, 1)
    one = transport()
    assert fetch(one, f"http://shop.test:{port}/").failure == "connect"
    resolver.knows = known({("shop.test", A): "127.0.0.1"}, 1)
    time.sleep(1.1)
    assert fetch(one, f"http://shop.test:{port}/").status == 200


def test_the_hosts_file_comes_first_and_may_change(
    resolver: Resolver, tmp_path: Path, port: int, transport: Make, fetch: Fetch
) -> None:
    """As the machine has it."""
    one = transport()
    (tmp_path / "hosts").write_text("127.0.0.1 intranet other  # the office\n")
    assert fetch(one, f"http://Intranet:{port}/").status == 200
    assert fetch(one, f"http://shop.localhost:{port}/").status == 200
    assert resolver.asked == []


def test_other_resolvers_are_taken_up(
    resolver: Resolver, tmp_path: Path, port: int, transport: Make, fetch: Fetch
) -> None:
    """resolv.conf may change while the prober runs."""
    resolver.knows = known({("shop.test", A): "127.0.0.1"})
    one = transport("nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")
    assert fetch(one, f"http://shop.test:{port}/").failure == "name"
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    time.sleep(1.1)
    assert fetch(one, f"http://shop.test:{port}/").status == 200


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1."])
def test_an_address_is_read_as_browsers_read_it(
    host: str, resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """The URL standard's numbers for IPv4."""
    assert fetch(transport(), f"http://{host}:{port}/").address == "127.0.0.1"
    assert resolver.asked == []


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "a." * 200 + "test"])
def test_what_cannot_be_a_name_is_not_asked_for(host: str, resolver: Resolver, transport: Make, fetch: Fetch) -> None:
    """No question can hold it."""
    answer = fetch(transport(), f"http://{host}/")
    assert answer.failure == "name"
    assert "is not a host name" in answer.detail
    assert resolver.asked == []


def test_forged_answers_are_not_believed(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """An answer needs the question's id; a wrong one before it changes nothing."""
    resolver.knows = known({("shop.test", A): "127.0.0.1"})
    resolver.forger = True
    assert fetch(transport(), f"http://shop.test:{port}/").address == "127.0.0.1"
