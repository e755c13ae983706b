"""What hostile messages and files make the core do: raise its own error, in one plain line a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitoring_core.codec import decode, encode
from monitoring_core.config import Config, ConfigError, load_config
from monitoring_core.errors import DecodeError, DecodeReason
from monitoring_core.testing.builders import make_result

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = "kafka: {bootstrap_servers: 'k:1'}\ndatabase: {host: h, user: u}\n"
REFUSED = Path(__file__).with_name("golden") / "refused"

MESSAGES = {
    "huge id": (b'{"target_id": ' + b"9" * 5_000 + b"}", DecodeReason.NOT_JSON),
    "huge version": (b'{"schema_version": ' + b"9" * 70 + b"}", DecodeReason.UNSUPPORTED_VERSION),
    "endless version": (b'{"schema_version": ' + b"9" * 5_000 + b"}", DecodeReason.NOT_JSON),
    "version 0": (b'{"schema_version": 0}', DecodeReason.UNSUPPORTED_VERSION),
    "version true": (b'{"schema_version": true}', DecodeReason.INVALID),
    "lone surrogate": (b'{"location": "\\ud800"}', DecodeReason.NOT_JSON),
    "deep objects": (b'{"a":' * 10_000, DecodeReason.NOT_JSON),
}
CHANGES = {
    "no location": ({"location": ""}, DecodeReason.INVALID),
    "NUL": ({"error": "a\0b"}, DecodeReason.INVALID),
    "time of no zone": ({"scheduled_at": "2026-01-01T00:00:00"}, DecodeReason.INVALID),
    "slot of the last day": ({"scheduled_at": "9999-12-31T12:30:00Z"}, DecodeReason.INVALID),
    "time of another zone": ({"scheduled_at": "2026-01-01T00:00:00+01:00"}, DecodeReason.INVALID),
    "reason of another status": ({"status": "up", "reason": "timeout"}, DecodeReason.INVALID),
    "down without reason": ({"status": "down"}, DecodeReason.INVALID),
    "not a number": ({"dns_s": float("nan")}, DecodeReason.NOT_JSON),
    "negative time": ({"dns_s": -1.0}, DecodeReason.INVALID),
    "text for a number": ({"target_id": "1"}, DecodeReason.INVALID),
    "id past bigint": ({"target_id": 2**63}, DecodeReason.INVALID),
    "line break in a status": ({"status": "a\nb"}, DecodeReason.INVALID),
}


def refusal(message: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(message)
    return caught.value


@pytest.mark.parametrize("name", MESSAGES)
def test_a_hostile_message_is_refused_with_its_reason(name: str) -> None:
    """However large its numbers are, and however deep it is nested."""
    message, reason = MESSAGES[name]
    assert refusal(message).reason is reason


@pytest.mark.parametrize("name", CHANGES)
def test_a_result_with_one_wrong_field_is_refused_in_one_line(name: str) -> None:
    """A value that PostgreSQL or a reader could not handle never gets past the decoder."""
    change, reason = CHANGES[name]
    error = refusal(json.dumps(json.loads(encode(make_result())) | change).encode())
    assert error.reason is reason
    assert error.detail.isprintable()


def test_the_last_year_is_not_supported() -> None:
    """A datetime cannot hold the end of its last hour and day; it can for the year before."""
    last = json.loads(encode(make_result())) | {"scheduled_at": "9999-01-01T00:00:00Z"}
    assert refusal(json.dumps(last).encode()).detail == "scheduled_at: year 9999 is not supported"
    assert decode(json.dumps(last | {"scheduled_at": "9998-12-31T23:59:59Z"}).encode()).scheduled_at.year == 9998


def test_a_detail_is_bounded() -> None:
    """The detail becomes a header of a dead letter, so its length has a limit."""
    key = "x" * 1_000
    assert len(DecodeError(DecodeReason.WRONG_KEY, key).detail) == 500


@pytest.mark.parametrize("file", sorted(REFUSED.glob("*.json")), ids=lambda file: file.stem)
def test_a_message_of_another_major_version_is_refused_as_such(file: Path) -> None:
    """Its dead letter names the version as the reason, instead of looking like garbage."""
    assert refusal(file.read_bytes()).reason is DecodeReason.UNSUPPORTED_VERSION


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "config.yaml"


def faults(file: Path, content: bytes, settings: tuple[str, ...] = (), **environ: str) -> Iterator[str]:
    """Load a configuration, and give its faults if it is refused: a printable line for each."""
    file.write_bytes(content)
    try:
        assert isinstance(load_config(file, settings=settings, environ=environ), Config)
    except ConfigError as error:
        lines = str(error).split("\n")
        assert len(lines) == len(error.faults) > 0
        assert all(line.isprintable() for line in lines)
        yield from (line.replace(str(file), "config.yaml") for line in lines)


@settings(max_examples=75, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_no_bytes_make_the_loader_raise_anything_but_its_own_error(file: Path, content: bytes) -> None:
    """Whatever the file holds, there is one plain line for each fault."""
    list(faults(file, content))


@settings(max_examples=75, deadline=None)
@given(
    place=st.sampled_from(["kafka.access_key", "database.user", "metrics.port", "monitor.timeout", "kafka", "x.y", ""]),
    text=st.text(st.characters(exclude_characters="\0"), max_size=30),
)
@example(place="", text=":²")  # a digit that is no decimal one, where the line of a file would be
def test_no_override_makes_the_loader_raise_anything_but_its_own_error(file: Path, place: str, text: str) -> None:
    """The same for the environment and the command line."""
    list(faults(file, GOOD.encode(), (f"{place}={text}", text)))
    list(faults(file, GOOD.encode(), (), **{f"MONITORING__{place.replace('.', '__').upper()}": text}))


FILES = {
    "line break in a name": (
        '"a\\nb": 1',
        (
            r"config.yaml:3 a\nb: no such section; "
            "there are monitor, kafka, database, consumer, metrics, logging, roles, status"
        ),
    ),
    "lone surrogate": ('metrics: {host: "\\ud800"}', "config.yaml:3: metrics.host: is not valid Unicode"),
    "lone surrogate as a name": ('"\\ud800": 1', "config.yaml:3: the file: is not valid Unicode"),
    "cycle": ("monitor: &a {x: *a}", "config.yaml:3: monitor.x: YAML aliases are not supported"),
    "endless number": (
        "metrics: {port: " + "9" * 5_000 + "}",
        "config.yaml:3: metrics.port: is not a value of its tag tag:yaml.org,2002:int",
    ),
    "deep list": ("metrics: {port: " + "[" * 30 + "]" * 30 + "}", None),
    "name that is a list": ("? [a]\n: b", "config.yaml:3: the file: a key must be a name"),
    "other digits": (
        "monitor: {timeout: ٣s}",
        "config.yaml:3 monitor.timeout: must be a duration like 500ms, 10s, 5m or 1h, got '٣s'",
    ),
    "endless duration": (
        "monitor: {timeout: 999999999d}",
        "config.yaml:3 monitor.timeout: must be from 100 ms to 300 s, got 2.4e+10 h",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_one_plain_line(file: Path, name: str) -> None:
    """The line names the place, and holds nothing that a terminal would obey."""
    text, said = FILES[name]
    (line,) = faults(file, (GOOD + text).encode())
    assert said is None or line == said


@pytest.mark.parametrize(
    ("settings", "environ", "said"),
    [
        ((), {"MONITORING__KAFKA": "x"}, "env MONITORING__KAFKA: names the section kafka, but none of its settings"),
        (("kafka=5",), {}, "--set kafka: names the section kafka, but none of its settings"),
        (("kafak.x=5",), {}, "--set kafak.x: no such section; did you mean kafka?"),
        (("nonsense",), {}, "--set nonsense: must be section.key=value"),
        (
            (),
            {"MONITORING__DATABASE__PASSWORD": ""},
            "env MONITORING__DATABASE__PASSWORD: must not be empty",
        ),
        (
            ("database.password={env: NOPE}",),
            {},
            "--set database.password: the environment variable NOPE is not set",
        ),
    ],
)
def test_a_faulty_override_says_where_it_stands(
    file: Path, settings: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    """The variable or the option is named, in place of a line of the file."""
    assert list(faults(file, GOOD.encode(), settings, **environ)) == [said]
