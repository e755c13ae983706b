"""`producer-svc probe`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from producer_svc.cli import main

if TYPE_CHECKING:
    from conftest import RawWebsite

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nAll is well"


def probe(*arguments: str) -> tuple[int, str]:
    run = CliRunner().invoke(main, ["probe", *arguments])
    return run.exit_code, run.output


@pytest.mark.parametrize("engine", ["requests", "curl"])
def test_a_website_that_is_up(website: RawWebsite, engine: str) -> None:
    """Status 0, the phases, and the verdict."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    status, output = probe(website.url, "--engine", engine, "--regexp", "well$")
    assert status == 0, output
    assert re.findall(r"(?m)^  (\w[\w ]*?) +[ █▏]+ +[\d.]+ ms$", output) == [
        "dns",
        "connect",
        "first byte",
        "transfer",
        "total",
    ]
    assert output.endswith("up\n(HTTP status 200, 11 bytes, the regular expression matches, from 127.0.0.1)\n")


def test_a_website_that_is_not(website: RawWebsite) -> None:
    """Status 1, and why; no password is shown."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    url = website.url.replace("http://", "http://me:hunter2@")
    status, output = probe(url, "--regexp", "sorry")
    assert status == 1
    assert "down / body_mismatch: the regular expression does not match" in output
    assert "hunter2" not in output


def test_json_is_one_result(website: RawWebsite) -> None:
    """The fields of a result, the reason null when the website is up."""
    website.answer(lambda connection, _: connection.sendall(PAGE))
    status, output = probe(website.url, "--json")
    result = json.loads(output)
    assert (status, result["status"], result["reason"], result["http_status"]) == (0, "up", None, 200)


def test_a_timeout_is_kept(website: RawWebsite) -> None:
    """The budget is the one that was given."""
    website.answer(lambda connection, _: connection.recv(1) and None)
    status, output = probe(website.url, "--timeout", "0.3", "--json")
    result = json.loads(output)
    assert (status, result["reason"]) == (1, "timeout")
    assert 0.3 <= result["response_time_s"] < 0.4


@pytest.mark.parametrize(
    "arguments",
    [
        ["example.org"],
        ["ftp://example.org/"],
        ["http://a b/"],
        ["http://x/", "--regexp", "("],
        ["http://x/", "--timeout", "0"],
    ],
)
def test_what_cannot_be_checked_is_wrong_usage(arguments: list[str]) -> None:
    """Status 2, and a line that says why."""
    status, output = probe(*arguments)
    assert status == 2
    assert "Error: " in output
