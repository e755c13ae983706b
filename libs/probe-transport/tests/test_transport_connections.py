"""Which address of a website is connected to, and how its bytes are read."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from monitoring_testkit.servers.resolver import AAAA, A, Resolver, record, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitoring_testkit.websites import RawWebsite
    from probe_transport import Answer, Transport

    Make = Callable[..., Transport]
    Fetch = Callable[..., Answer]

pytestmark = pytest.mark.integration_test


@pytest.fixture
def swallower(port: int) -> Iterator[str]:
    """An address that answers nothing at the website's port, as a firewall that drops."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.7", port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.7", port))
        yield "127.0.0.7"


def addresses(resolver: Resolver, *four: str, six: tuple[str, ...] = ()) -> None:
    """From now on every name has these addresses."""
    of = {A: four, AAAA: six}
    resolver.knows = lambda name, kind: said(*(record(name, kind, address) for address in of[kind]))


def test_a_dead_address_costs_a_quarter_of_a_second(
    resolver: Resolver, port: int, swallower: str, transport: Make, fetch: Fetch
) -> None:
    """The next address is tried while the first does not answer, and both are told of (RFC 8305)."""
    addresses(resolver, swallower, "127.0.0.1")
    answer = fetch(transport(), f"http://shop.test:{port}/")
    assert (answer.status, answer.address) == (200, "127.0.0.1")
    assert answer.attempts == [(swallower, "no answer"), ("127.0.0.1", "connected")]
    assert answer.connect_s is not None
    assert 0.2 < answer.connect_s < 0.6


def test_a_refused_address_costs_nothing(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """The next one is tried at once."""
    addresses(resolver, "127.0.0.9", "127.0.0.1")
    answer = fetch(transport(), f"http://shop.test:{port}/")
    assert answer.attempts == [("127.0.0.9", "Connection refused"), ("127.0.0.1", "connected")]
    assert answer.connect_s is not None
    assert answer.connect_s < 1.0  # another packet for the dead one would be sent after a second


def test_ipv6_comes_first_and_ipv4_after_it(resolver: Resolver, port: int, transport: Make, fetch: Fetch) -> None:
    """The families take turns, so that a dead one costs one attempt."""
    addresses(resolver, "127.0.0.9", "127.0.0.1", six=("::1", "::1"))
    answer = fetch(transport(), f"http://shop.test:{port}/")
    assert [address for address, _ in answer.attempts] == ["::1", "127.0.0.9", "::1", "127.0.0.1"]
    assert answer.status == 200


def test_when_every_address_is_dead_the_last_one_says_why(
    resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """And nobody waits for the time to be over."""
    addresses(resolver, "127.0.0.8", "127.0.0.9")
    answer = fetch(transport(), f"http://shop.test:{port}/")
    assert (answer.failure, answer.detail) == ("connect", "Connection refused")
    assert answer.ended - answer.started < 1.5


def test_time_that_is_over_tells_every_attempt(
    resolver: Resolver, port: int, swallower: str, transport: Make, fetch: Fetch
) -> None:
    """A timeout names what the check was at."""
    addresses(resolver, "127.0.0.9", swallower)
    answer = fetch(transport(), f"http://shop.test:{port}/", timeout_s=0.5)
    assert (answer.failure, answer.detail) == ("deadline", "connecting")
    assert answer.attempts == [("127.0.0.9", "Connection refused"), (swallower, "no answer")]


def test_an_address_in_a_denied_network_is_passed_over(
    resolver: Resolver, port: int, transport: Make, fetch: Fetch
) -> None:
    """Whatever name leads to it, and however it is written."""
    denying = transport(denied_networks=["127.0.0.9/32", "127.128.0.0/9", "::1/128"])
    addresses(resolver, "127.0.0.9", "127.0.0.1", six=("::1", "::ffff:127.0.0.9"))
    answer = fetch(denying, f"http://shop.test:{port}/")
    assert answer.address == "127.0.0.1"
    assert all("denied_networks forbids" in outcome for _, outcome in answer.attempts[:-1])
    assert len(answer.attempts) == 4
    answer = fetch(denying, f"http://127.200.1.1:{port}/")
    assert (answer.failure, answer.address) == ("connect", None)
    assert answer.detail == "127.200.1.1 is in 127.128.0.0/9, which monitor.denied_networks forbids"


@pytest.mark.parametrize(
    ("due", "begun"),
    [
        ((0.1, 0.4, 0.7), (0.1, 0.4, 0.7)),  # nothing is due soon after: each alone
        ((0.1, 0.15, 0.29, 0.31), (0.29, 0.29, 0.29, 0.31)),  # 200 ms at most
        (tuple(0.1 + 0.01 * n for n in range(9)), (0.17,) * 8 + (0.18,)),  # eight at most,
        (
            tuple(0.1 + 0.0004 * n for n in range(12)),
            (0.1044,) * 12,
        ),  # but not when they are due at nearly the same time
    ],
)
def test_hops_begin_in_groups(due: tuple[float, ...], begun: tuple[float, ...], port: int, transport: Make) -> None:
    """Nobody wakes up for each, although they are handed in early; none begins before it is due."""
    one = transport()
    for _ in range(20):
        now = time.monotonic()
        for token, moment in enumerate(due):
            submit(one, token, f"http://127.0.0.1:{port}/", due=now + moment)
        answers: list[Answer] = []
        while len(answers) < len(due):
            answers += one.drain(1.0, len(due))
        late = [answer.started - now - begun[answer.token] for answer in answers]
        assert len({answer.token for answer in answers}) == len(due)
        assert min(late) >= -0.0001
        if max(late) < 0.05:
            break  # a busy machine may be late now and then; who groups otherwise is late each time
    else:
        pytest.fail(f"late each time: {late}")


def submit(of: Transport, token: int, url: str, due: float | None, timeout_s: float = 2.0) -> None:
    """Hand in a hop."""
    of.submit(token, due, timeout_s, "GET", url, b"", None, ((200, 299),), 1_000, True, True)


def test_no_more_hops_run_at_once_than_there_are_places(website: RawWebsite, transport: Make) -> None:
    """Those that are due meanwhile wait, and what they wait is not theirs."""

    def slowly(connection: socket.socket, _: bytes) -> None:
        time.sleep(1.0)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    website.answer(slowly)
    one, now = transport(max_concurrent=2), time.monotonic()
    for token in range(4):
        submit(one, token, website.url, due=now, timeout_s=30.0)
    answers: list[Answer] = []
    while len(answers) < 4:
        answers += one.drain(30.0, 4)
    assert all(answer.ended - answer.started < 1.9 for answer in answers)
    first, second, third, fourth = sorted(answers, key=lambda answer: answer.started)
    assert second.started < first.ended
    assert fourth.started > third.started >= min(first.ended, second.ended)


def test_a_redirect_is_told_of_at_once(website: RawWebsite, transport: Make) -> None:
    """Its body is not waited for, and neither is anybody who waits for more answers."""

    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 100\r\n\r\n")
        connection.recv(1)

    website.answer(act)
    one, began = transport(), time.monotonic()
    submit(one, 1, website.url, due=None, timeout_s=60.0)
    (answer,) = one.drain(60.0, 10)
    assert time.monotonic() - began < 30.0
    assert (answer.status, answer.failure, answer.body) == (302, None, b"")
    assert ("location", "/next") in answer.fields


def test_what_came_of_a_body_is_handed_up_with_its_failure(website: RawWebsite, transport: Make, fetch: Fetch) -> None:
    """Evidence, and for a body that is too large when unpacked the verdict."""
    website.answer(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"))
    answer = fetch(transport(), website.url)
    assert (answer.failure, answer.detail, answer.body) == ("body", "ended after 5 of 9 bytes", b"hello")


def test_a_body_that_is_not_wanted_is_not_read(website: RawWebsite, transport: Make, fetch: Fetch) -> None:
    """An endless error page costs nothing."""
    website.answer(lambda connection, _: connection.sendall(b"HTTP/1.1 500 Oops\r\n\r\n" + b"x" * 1_000_000))
    answer = fetch(transport(), website.url)
    assert (answer.status, answer.failure, answer.body, answer.cut) == (500, None, b"", False)


def test_a_body_is_left_when_it_is_too_large(website: RawWebsite, transport: Make, fetch: Fetch) -> None:
    """A byte more than asked for is proof enough."""
    website.answer(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000))
    answer = fetch(transport(), website.url, max_body=100)
    assert (answer.failure, answer.cut) == (None, True)
    assert 100 < len(answer.body) < 100_000


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://:80/", "x", "http://a:0/", "http://a:99999/"])
def test_what_is_no_url_is_refused(url: str, transport: Make) -> None:
    """With the exception for wrong values."""
    with pytest.raises(ValueError, match="not a URL"):
        submit(transport(), 1, url, due=None)
