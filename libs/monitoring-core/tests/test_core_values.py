"""Values: as people write them, within their bounds, and fit for a log."""

from __future__ import annotations

import datetime as dt

import pytest

from monitoring_core.config import KafkaConfig, format_duration, parse_duration
from monitoring_core.config.values import Between, HostPort, split_host_port
from monitoring_core.config.values.quantities import format_size, parse_size
from monitoring_core.result import one_line
from monitoring_core.revision import why_unfit

DURATIONS = {
    "500ms": (dt.timedelta(milliseconds=500), "500 ms"),
    "0s": (dt.timedelta(0), "0 ms"),
    "1s": (dt.timedelta(seconds=1), "1 s"),
    "1.5m": (dt.timedelta(seconds=90), "90 s"),
    "59 m": (dt.timedelta(minutes=59), "3540 s"),
    "1h": (dt.timedelta(hours=1), "1 h"),
    "90m": (dt.timedelta(minutes=90), "5400 s"),
    "2d": (dt.timedelta(days=2), "48 h"),
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_read_and_shown(text: str) -> None:
    """In milliseconds below a second, in hours when they are whole, else in seconds."""
    duration, shown = DURATIONS[text]
    assert parse_duration(text) == duration
    assert format_duration(duration) == shown


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1e3s", "1 w", " 1s", "1s ", "1.s", "1234567890s", "1.1234567s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="must be a duration like 500ms, 10s, 5m or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("0B", 0, "0 B"),
        ("1023 B", 1_023, "1023 B"),
        ("64KiB", 65_536, "64 KiB"),
        ("1024KiB", 1 << 20, "1 MiB"),
        ("3GiB", 3 << 30, "3 GiB"),
    ],
)
def test_a_size_is_read_and_shown(text: str, size: int, shown: str) -> None:
    """In the largest unit that leaves a whole number."""
    assert parse_size(text) == size
    assert format_size(size) == shown


@pytest.mark.parametrize("text", ["", "1", "1KB", "1 TiB", "-1B", "1.5MiB", "1234567890B"])
def test_what_is_no_size_is_none(text: str) -> None:
    """Powers of ten are not accepted in place of powers of two."""
    assert parse_size(text) is None


TOO_NEW = "too new for this service, which needs 0004: use a newer release of it, or run dbadmin downgrade-schema 0004"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("example.org:443", ("example.org", 443)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65_535)),
    ],
)
def test_a_host_and_a_port_are_read(text: str, parts: tuple[str, int]) -> None:
    """An IPv6 address loses the brackets that part it from its port."""
    assert split_host_port(text) == parts


@pytest.mark.parametrize(
    "text", ["", "a", "a:", ":1", "a:0", "a:65536", "a:٣", "::1:443", "a b:1", "http://a:1", "a:1 "]
)
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    """Nothing is guessed, least of all a port."""
    with pytest.raises(ValueError, match="not a host and a port"):
        split_host_port(text)
    assert HostPort().fault(text) == f"must be a host and a port like example.org:443, got {text!r}"


def test_bounds_are_allowed_themselves() -> None:
    """A value outside is refused, and the fault names both bounds."""
    port = Between(0, 65_535)
    assert (port.fault(0), port.fault(65_535)) == (None, None)
    assert port.fault(-1) == "must be from 0 to 65535, got -1"
    assert port.fault(65_536) == "must be from 0 to 65535, got 65536"


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_broker_has_a_port_that_exists(port: str) -> None:
    """The first and the last port are accepted."""
    good = KafkaConfig(bootstrap_servers="a:1, b:65535")
    bad = KafkaConfig(bootstrap_servers=f"a:1,b:{port}")
    assert list(good.broken_rules()) == []
    assert [rule.message for rule in bad.broken_rules()] == [
        f"must be host:port, or several with commas, got 'b:{port}'"
    ]


@pytest.mark.parametrize(
    ("present", "oldest_served", "why"),
    [
        (None, None, "is empty, too old for this service, which needs 0004: run dbadmin create-schema"),
        ("0003", None, "is at revision 0003, too old for this service, which needs 0004: run dbadmin create-schema"),
        ("0003", "0001", "is at revision 0003, too old for this service, which needs 0004: run dbadmin create-schema"),
        ("0004", None, None),
        ("0005", "0004", None),
        (
            "0005",
            None,
            f"is at revision 0005, {TOO_NEW}",
        ),
        (
            "0006",
            "0005",
            f"is at revision 0006, {TOO_NEW}",
        ),
    ],
)
def test_a_service_works_with_its_revision_and_with_later_ones_that_serve_it(
    present: str | None, oldest_served: str | None, why: str | None
) -> None:
    """It works with no other revision; the line names the command that mends it."""
    assert why_unfit("0004", present, oldest_served, "m") == (why and f"schema m {why}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n\tb\0c\x1b[2J", "a b c [2J"),
        ("x" * 10, "x" * 10),
        ("x" * 11, "x" * 9 + "…"),
        ("  ", ""),
        (" " * 39 + "x", "x"),
        (" " * 40 + "x", ""),
    ],
)
def test_any_text_becomes_one_bounded_line(text: str, line: str) -> None:
    """It is fit for a row and a log. Only the beginning of an endless text is read."""
    assert one_line(text, 10) == line
