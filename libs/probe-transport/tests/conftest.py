"""What the tests of the transport share: it is built by `hatch run native:build`, and needed wherever CI is set."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import pytest

from monitoring_testkit.servers.resolver import Resolver
from monitoring_testkit.websites import RawWebsite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from probe_transport import Answer, Transport

if importlib.util.find_spec("probe_transport") is None:
    why = "probe_transport is not installed: hatch run native:build"
    if os.environ.get("CI"):
        raise RuntimeError(why)
    pytest.skip(why, allow_module_level=True)

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    """A resolver that knows nothing yet."""
    server = Resolver()
    yield server
    server.close()


@pytest.fixture
def website() -> Iterator[RawWebsite]:
    """A website that answers as a test says."""
    server = RawWebsite()
    yield server
    server.close()


@pytest.fixture
def port(website: RawWebsite) -> int:
    """The port of a website on 127.0.0.1 that is up."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    return website.port


@pytest.fixture
def transport(tmp_path: Path, resolver: Resolver) -> Callable[..., Transport]:
    """Makes transports that ask the test's resolver, and know no hosts but those in `tmp_path / "hosts"`."""
    from probe_transport import Transport

    def make(nameservers: str = "nameserver 127.0.0.1\n", **more: Any) -> Transport:
        (tmp_path / "resolv.conf").write_text(nameservers)
        (tmp_path / "hosts").touch()
        files: dict[str, Any] = {"resolv_conf": str(tmp_path / "resolv.conf"), "hosts": str(tmp_path / "hosts")}
        settings: dict[str, Any] = {
            "authorities": b"",
            "denied_networks": [],
            "dns_cache": True,
            "max_concurrent": 100,
        } | more
        return Transport(**(settings | files), dns_port=resolver.port)

    return make


@pytest.fixture
def fetch() -> Callable[..., Answer]:
    """Makes one hop with a transport."""

    def make(of: Transport, url: str, timeout_s: float = 20.0, **more: Any) -> Answer:
        fields: dict[str, Any] = {
            "token": 1,
            "due": None,
            "timeout_s": timeout_s,
            "method": "GET",
            "url": url,
            "fields": b"Connection: close\r\n",
            "body": None,
            "expected": ((200, 299),),
            "max_body": 10_000,
            "follow": True,
            "verify": True,
        } | more
        of.submit(**fields)
        (answer,) = of.drain(timeout_s + 1, 1)
        return answer

    return make
