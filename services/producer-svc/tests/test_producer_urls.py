"""How URLs are requested: as the WHATWG URL standard has it, and otherwise spelled as they are given."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producer_svc.checks.http.urls import HostError, location_text, path_of, requestable

# A URL, and what is requested; None for what is refused.
URLS: dict[str, str | None] = {
    "http://example.org": "http://example.org/",
    "http://example.org?a=b": "http://example.org/?a=b",
    "http://example.org#part": "http://example.org/",
    "HTTP://EXAMPLE.org/Path": "http://example.org/Path",
    "https://example.org:443/": "https://example.org/",
    "http://example.org:0080/": "http://example.org/",
    "http://example.org:8080/": "http://example.org:8080/",
    "http://example.org:0/": None,
    "http://example.org:65536/": None,
    "http://example.org:port/": None,
    "http://user:pass@example.org/": "http://example.org/",
    "http://a@b@example.org/": "http://example.org/",
    "http://münchen.example/straße?größe=ä#ü": "http://xn--mnchen-3ya.example/stra%C3%9Fe?gr%C3%B6%C3%9Fe=%C3%A4",
    "http://faß.example/": "http://xn--fa-hia.example/",
    "http://💩.example/": "http://xn--ls8h.example/",
    "http://a_b.example/": "http://a_b.example/",
    "http://r3---sn.example/": "http://r3---sn.example/",
    "http://ho%73t.example/": "http://host.example/",
    "http://ho%20st.example/": None,
    "http://*.example/": None,
    "http://.example/": None,
    "http://a..example/": None,
    "http://127.1/": "http://127.0.0.1/",
    "http://0x7f.0.0.1/": "http://127.0.0.1/",
    "http://2130706433/": "http://127.0.0.1/",
    "http://[0:0::1]:8080/a": "http://[::1]:8080/a",
    "http://[::1": None,
    "http://[not-an-address]/": None,
    "http://example.org/a b": "http://example.org/a%20b",
    "http://example.org/a%20b%7e~%2f%zz": "http://example.org/a%20b%7e~%2f%zz",
    "http://example.org/%": "http://example.org/%",
    "http://example.org/%e4%F6": "http://example.org/%e4%F6",
    "http://example.org/a/../b/./c/..": "http://example.org/b/",
    "http://example.org//double//": "http://example.org//double//",
    "http://example.org/?": "http://example.org/?",
    "http://example.org/?q=a b&c=%20+%7E[]|\\`'": "http://example.org/?q=a%20b&c=%20+%7E[]|\\`%27",
    "http://example.org\\@other.example/": "http://example.org/@other.example/",
    "  http://example.org/ ": "http://example.org/",
    "http://exa\tmple.org/": "http://example.org/",
    "ftp://example.org/": None,
    "http://": None,
    "": None,
}


def ours(url: str, base: str | None = None) -> str | None:
    try:
        return requestable(url, base)[0]
    except ValueError:
        return None


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_requested_as_browsers_do(url: str) -> None:
    """Only what cannot be sent is encoded."""
    assert ours(url) == URLS[url]


@given(
    st.sampled_from(["http://", "https://", "HTTP://", "http:", "//", "/", ""]),
    st.text(st.sampled_from("aZ09-._~:/?#[]@!$&'()*+,;=%{}|\\^`\"<> äßÜ\u0661\u3002\x01\x7f€😀"), max_size=30),
)
@example("http://", "a/%2A%3")
@example("http://", "a/\ud800")
def test_any_url_is_refused_or_can_be_sent(scheme: str, rest: str) -> None:
    """Whatever a target or a redirect says: in ASCII, without spaces, and the same when it is read again."""
    for base in (None, "https://shop.example/a/b?c"):
        url = ours(scheme + rest, base)
        if url is not None:
            assert url.isascii()
            assert all(character > " " for character in url)
            assert "#" not in url
            assert url.startswith(("http://", "https://"))
            assert path_of(url).startswith("/")
            assert url.endswith(path_of(url))
            assert ours(url) == url


@pytest.mark.parametrize(
    ("url", "authorization"),
    [
        ("http://user:pass@example.org/", "Basic dXNlcjpwYXNz"),
        ("http://us%65r:p%C3%A4ss%20word@example.org/", "Basic dXNlcjpww6RzcyB3b3Jk"),
        ("http://user@example.org/", "Basic dXNlcjo="),
        ("http://@example.org/", None),
        ("http://example.org/", None),
    ],
)
def test_credentials_become_a_header(url: str, authorization: str | None) -> None:
    """They are not part of the URL that is requested and recorded."""
    assert requestable(url) == ("http://example.org/", authorization)


@pytest.mark.parametrize(
    "host", ["a..example", "x." + "y" * 64 + ".example", "é\u200b<.example", ".".join(["abc"] * 70)]
)
def test_a_host_that_is_no_name_is_told_apart(host: str) -> None:
    """Such a website is down for everybody."""
    with pytest.raises(HostError):
        requestable(f"http://{host}/")


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"/caf\xc3\xa9", "/café"), (b"/caf\xe9", "/caf%E9"), (b"/\xe9%e9", "/%E9%e9"), (b"/a%20b", "/a%20b")],
)
def test_a_location_keeps_its_bytes(raw: bytes, text: str) -> None:
    """UTF-8 is text; other bytes can only go back as they came."""
    assert location_text(raw.decode("latin-1")) == text
