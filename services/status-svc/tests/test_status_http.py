"""What clients and proxies make of HTTP: the odd request, the slow one, and the one that goes wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests
from database_rows import PUBLIC, Rows, status
from serving import Site, served
from structlog.testing import capture_logs

from monitoring_core.config import StatusConfig
from monitoring_testkit.waiting import until
from status_svc import connections
from status_svc.limits import network_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = ("", "components/1.html", "static/pages.css", "feed.atom", "api/v1/openapi.json")


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Rows(status(1, "https://shop.example/", PUBLIC)), StatusConfig(anonymous_read=True)) as one:
        yield one


def asked(site: Site, path: str, **headers: str) -> requests.Response:
    """The answer to one request, with no header that is not asked for."""
    with requests.Session() as session:
        session.headers.clear()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.get(site.address + path, headers={"Accept-Encoding": None, **sent}, timeout=60)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stated", ["{}", "W/{}", '"x", W/{}', "*"])
def test_who_has_an_answer_already_gets_it_not_again(site: Site, path: str, stated: str) -> None:
    """Also one that a proxy has compressed, and so weakened (RFC 9110, 13.1.2)."""
    tag = asked(site, path).headers["ETag"]
    assert asked(site, path, If_None_Match=stated.format(tag)).status_code == 304
    assert asked(site, path, If_None_Match='"x"').status_code == 200


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip ; q=1.0", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("", False),
    ],
)
def test_only_who_reads_gzip_gets_it(site: Site, accepted: str, compressed: bool) -> None:
    """RFC 9110, 12.5.3: with quality 0 a client refuses it."""
    answer = asked(site, "", Accept_Encoding=accepted)
    assert ("Content-Encoding" in answer.headers) == compressed
    assert answer.text.startswith("<!doctype html>")


def test_whoever_asks_for_the_head_of_events_gets_it_and_may_ask_again(site: Site) -> None:
    """The connection does not wait for the end of events that nobody gets."""
    connection = http.client.HTTPConnection(urlsplit(site.address).netloc, timeout=60)
    for path in ("/events", "/feed.atom"):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")


def test_a_fault_is_answered_counted_and_told_without_its_text(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """With the headers of every answer; the log has the kind and the place, and no value."""
    site.rows.status[0]["omitted"] = {"password": "hunter2"}
    with capture_logs() as logs:
        answer = asked(site, "metrics/websites")
        until(lambda: bool(logs))
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.headers["Content-Security-Policy"]
    counted = site.metrics.registry.get_sample_value(
        "status_requests_total", {"route": "/metrics/websites", "code": "500"}
    )
    assert counted == 1
    (told,) = logs
    assert (told["event"], told["route"], told["error"]) == ("internal error", "/metrics/websites", "TypeError")
    assert "places.py:" in told["at"]
    assert "hunter2" not in answer.text + str(logs) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET /badges/1.svg HTTP/1.1\r\nHost: x\r\n\r\nG"]
)
def test_who_does_not_send_a_request_in_time_is_sent_away(
    site: Site, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a few who send nothing, or a byte a minute, would hold every connection that there may be."""
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.5)
    with socket.create_connection((urlsplit(site.address).hostname, urlsplit(site.address).port), 60) as client:
        client.sendall(sent)
        while client.recv(65_536):
            pass


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /api/v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"GET /" + b"a" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000, 431),
    ],
)
def test_what_is_no_request_is_told_as_other_errors_are(site: Site, sent: bytes, status: int) -> None:
    with socket.create_connection((urlsplit(site.address).hostname, urlsplit(site.address).port), 20) as client:
        with contextlib.suppress(OSError):  # it has answered, and reads no more
            client.sendall(sent)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert json.loads(answer.read())["status"] == status


def test_not_all_pages_that_are_open_come_back_at_once(site: Site) -> None:
    """After a restart each waits for a time of its own."""
    waits = set()
    for _ in range(5):
        with requests.get(site.address + "events", stream=True, timeout=60) as answer:
            waits.add(int(next(answer.iter_lines()).removeprefix(b"retry: ")))
    assert len(waits) > 1
    assert all(3_000 <= wait <= 13_000 for wait in waits)


def test_who_hears_events_stays_as_long_as_it_likes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.2)
    with requests.get(site.address + "events", stream=True, timeout=60) as answer:
        lines = answer.iter_lines()
        for state in ("down", "up", "down"):
            site.rows.status[0]["status"] = state
            assert next(line for line in lines if line.startswith(b"data:") and f'"{state}"'.encode() in line)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:7:1::1", "2001:db8:0:7::/64"),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_one_client(host: str, network: str) -> None:
    """As a proxy may write it: all of IPv4 is one network of IPv6 otherwise."""
    assert network_of(host) == network
