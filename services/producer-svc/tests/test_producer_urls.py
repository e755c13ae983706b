"""The normal form of URLs, held to the one that requests gives: both engines ask for the same."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from producer_svc.checks.http.urls import normalise, site

URLS = [
    "http://example.org",
    "http://example.org?a=b",
    "http://example.org#part",
    "HTTP://EXAMPLE.org/Path",
    "https://example.org:443/",
    "http://example.org:80",
    "http://example.org:0080/",
    "http://example.org:/",
    "http://example.org:0/",
    "http://example.org:65536/",
    "http://example.org:port/",
    "http://user:pass@example.org/",
    "http://us%65r:p%C3%A4ss%20word@example.org/",
    "http://a@b@example.org/",
    "http://münchen.example/straße?größe=ä#ü",
    "http://xn--mnchen-3ya.example/",
    "http://BÜCHER.example/",
    "http://a..example/",
    "http://*.example/",
    "http://.example/",
    "http://-a.example/",
    "http://a_b.example/",
    "http://ho%73t.example/",
    "http://ho%20st.example/",
    "http://ho%st.example/",
    "http://" + "a" * 64 + ".example/",
    "http://127.0.0.1:8080/x",
    "http://127.1/",
    "http://0x7f.1/",
    "http://[::1]/",
    "http://[::1]:8080/a",
    "http://[FE80::1%25eth0]/a%7eb",
    "http://[fe80::1%eth0]/",
    "http://[::1",
    "http://[not-an-address]/",
    "http://example.org/a b",
    "http://example.org/a%20b%7e%2f%zz",
    "http://example.org/%",
    "http://example.org/%e4%F6",
    "http://example.org/a/../b/./c/..",
    "http://example.org/../..",
    "http://example.org//double//",
    "http://example.org/;a=b;c",
    'http://example.org/a|b^c`d{e}"<f>\\g',
    "http://example.org/?",
    "http://example.org/?q=a b&c=%20+%7E[]{}|\\^`'\"",
    "http://example.org/?q=a?b/c#d?e",
    "http://example.org/a#b%20c d",
    "http://example.org/!$&'()*+,;=:@-._~",
    "http://example.org\\@other.example/",
    "http://example.org/\u2028\U0001f600",
    "  http://example.org/",
    "\u00a0http://example.org/",
    "http://example.org/ ",
    "http:///path",
    "http://",
    "http:",
    "http:example.org",
    "https:/example.org",
    "http://?q",
    "http://:80/",
    "http://@/",
]


def by_requests(url: str) -> str | None:
    """What requests asks for, which sends credentials and no fragment; None for what it refuses."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(url, None)
    except ValueError:
        return None
    parts = urlsplit(prepared.url or "")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def ours(url: str) -> str | None:
    try:
        return normalise(url)
    except ValueError:
        return None


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_asked_for_as_requests_would(url: str) -> None:
    """What requests refuses is refused, too."""
    assert ours(url) == by_requests(url)


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "http:"]),
    st.text(st.sampled_from("aZ09-._~:/?#[]@!$&'()*+,;=%{}|\\^`\"<> äßÜ\u0661\u3002\x01\x7f€😀"), max_size=30),
)
@example("http://", "a/%2A%3")
def test_any_url_is_asked_for_as_requests_would(scheme: str, rest: str) -> None:
    """Whatever a target or a redirect says."""
    assert ours(scheme + rest) == by_requests(scheme + rest)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://example.org/other", True),
        ("http://EXAMPLE.org:80/", True),
        ("https://example.org/", False),
        ("http://example.org:8080/", False),
        ("http://www.example.org/", False),
    ],
)
def test_a_site_is_scheme_host_and_port(url: str, same: bool) -> None:
    """Only there do a target's headers go."""
    assert (site(url) == site("http://example.org/")) is same
