"""What the core promises about assignment, slots and the wire format."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monitoring_core
from monitoring_core.assignment import producers_needed, rank_range
from monitoring_core.codec import SCHEMA_FILE, decode, encode, json_schema
from monitoring_core.errors import DecodeError, DecodeReason, InvalidTargetError
from monitoring_core.result import CheckResult
from monitoring_core.result_lines import from_line, to_line
from monitoring_core.schedule import phase_ms, slot_at_or_after, slots_between
from monitoring_core.tables import RESULT_COLUMNS
from monitoring_core.targets import TargetRecord
from monitoring_core.testing.builders import make_result
from monitoring_core.testing.strategies import results

GOLDEN = Path(__file__).with_name("golden")
# Made once: jsonschema.validate checks the schema itself each time, which takes longer than checking a message.
SCHEMA = jsonschema.Draft202012Validator(json_schema())


@given(st.sets(st.integers(1, 2**63 - 1), max_size=200), st.integers(1, 50))
def test_the_ranges_are_disjoint_and_together_are_everything(ids: set[int], size: int) -> None:
    """For any active ids and any N, every target is checked by exactly one of the producers that are needed."""
    ordered = sorted(ids)
    ranges = [rank_range(i, size) for i in range(1, producers_needed(len(ids), size) + 1)]
    worked = [target for ranks in ranges for target in ordered[ranks.start : ranks.stop]]
    assert worked == ordered
    assert all(ordered[ranks.start : ranks.stop] for ranks in ranges)


@given(st.integers(1, 2**63 - 1), st.integers(1, 86_400), st.integers(0, 2**42), st.integers(0, 2**20))
def test_slots_are_one_interval_apart_and_the_same_whoever_computes_them(
    target_id: int, interval_s: int, start_ms: int, later_ms: int
) -> None:
    """Slots depend only on the target, not on the moment from which they are computed."""
    span_ms = 5 * interval_s * 1000
    slots = list(slots_between(target_id, interval_s, start_ms, start_ms + span_ms))
    assert len(slots) == 5
    assert {b - a for a, b in zip(slots, slots[1:], strict=False)} == {interval_s * 1000}
    assert all(slot % (interval_s * 1000) == phase_ms(target_id, interval_s) for slot in slots)
    assert slot_at_or_after(target_id, interval_s, start_ms) == slots[0]
    assert [s for s in slots if s >= start_ms + later_ms] == [
        s for s in slots_between(target_id, interval_s, start_ms + later_ms, start_ms + span_ms)
    ]


def test_the_phase_never_changes() -> None:
    """Producers of any version compute the same slots: these values are a part of the wire contract."""
    assert [phase_ms(i, 60) for i in (1, 2, 3, 1_000_000)] == PHASES


MOMENTS = [name for name, kind in RESULT_COLUMNS.items() if kind == "timestamptz"]
PHASES = [2465, 8110, 19053, 59847]


@given(results())
def test_what_is_encoded_decodes_to_the_same(result: CheckResult) -> None:
    """decode(encode(x)) = x, and the published schema accepts it."""
    assert decode(encode(result)) == result
    SCHEMA.validate(json.loads(encode(result)))


@settings(max_examples=500)
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(
        lambda content: json.dumps(content).encode()
    )
)
def test_no_bytes_make_the_decoder_raise_anything_but_its_own_error(data: bytes) -> None:
    """Whatever is in the topic, a consumer can tell it from a result."""
    with pytest.raises(DecodeError):
        decode(data)


@settings(max_examples=300)
@given(results(), st.data())
def test_no_change_of_a_message_makes_the_decoder_raise_anything_else(result: CheckResult, data: st.DataObject) -> None:
    """The same for messages that are almost right."""
    message = bytearray(encode(result))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(message))
    except DecodeError as error:
        assert error.reason in DecodeReason


HOSTILE: dict[str, tuple[bytes | None, DecodeReason]] = {
    "as large as is allowed": (b" " * 65_536, DecodeReason.NOT_JSON),
    "a byte too large": (b" " * 65_537, DecodeReason.TOO_LARGE),
    "nothing": (b"", DecodeReason.EMPTY),
    "tombstone": (None, DecodeReason.EMPTY),
    "too large": (b" " * 70_000, DecodeReason.TOO_LARGE),
    "deep": (b"[" * 60_000, DecodeReason.NOT_JSON),
    "not UTF-8": (b'{"location": "\xff"}', DecodeReason.NOT_JSON),
    "a list": (b"[]", DecodeReason.INVALID),
    "version 2": (b'{"schema_version": 2, "shape": "new"}', DecodeReason.UNSUPPORTED_VERSION),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_result_says_why(name: str) -> None:
    """The reason is one of a closed list."""
    data, reason = HOSTILE[name]
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert caught.value.reason is reason


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_the_golden_messages_stay_readable(file: Path) -> None:
    """A message that was written once can be read for ever, and so can one of a later minor version."""
    message = file.read_bytes()
    result = decode(message)
    SCHEMA.validate(json.loads(message))
    known = {name: value for name, value in json.loads(message).items() if name != "added_later" and value is not None}
    assert json.loads(encode(result)) == known | {"schema_version": 1}


@pytest.mark.parametrize("name", MOMENTS)
def test_every_moment_of_a_message_is_in_utc(name: str) -> None:
    """An offset of 0 is UTC, however it is written; another zone's time is refused, in each field."""
    message = json.loads(encode(make_result()))
    assert decode(json.dumps(message | {name: "2026-01-01T00:00:00+00:00"}).encode())
    with pytest.raises(DecodeError, match="must be in UTC"):
        decode(json.dumps(message | {name: "2026-01-01T00:00:00+01:00"}).encode())


def test_a_result_is_its_row() -> None:
    """The fields are in the order of the table's columns; only the version of the format is not stored."""
    assert CheckResult.__struct_fields__ == (*RESULT_COLUMNS, "schema_version")
    result = make_result(error="x")
    assert dict(zip(RESULT_COLUMNS, result.row, strict=True)) == {
        name: getattr(result, name) for name in RESULT_COLUMNS
    }


def test_the_published_schema_is_that_of_the_code() -> None:
    """check_result.v1.schema.json says what the decoder does."""
    published = Path(monitoring_core.__file__).parent / SCHEMA_FILE
    assert json.loads(published.read_text()) == json_schema()


def test_the_published_schema_is_a_valid_one() -> None:
    """It is valid by the draft of JSON Schema that it names."""
    jsonschema.Draft202012Validator.check_schema(json_schema())


BAD_TARGETS: dict[str, tuple[dict[str, object], str]] = {
    "no url": ({}, "url"),
    "ftp": ({"url": "ftp://x/"}, "url: must begin with http:// or https://, got 'ftp://x/'"),
    "no host": ({"url": "http:///x"}, "url: has no host"),
    "space": ({"url": "http://a b/"}, "url: holds a space or a control character"),
    "bad port": ({"url": "http://a:99999/"}, "url: is not a URL: Port out of range 0-65535"),
    "back-reference": ({"url": "http://a/", "regexp": r"(a)\1"}, "regexp: is not a regular expression that RE2 takes"),
    "header with a line break": ({"url": "http://a/", "headers": {"X": "a\r\nb"}}, "headers: the value of X holds"),
    "timeout too long": (
        {"url": "http://a/", "timeout_s": 9, "check_interval_s": 5},
        "timeout_s: must be shorter than check_interval_s (5), got 9",
    ),
    "unknown field": ({"url": "http://a/", "colour": 1}, "colour: no such field"),
    "status": ({"url": "http://a/", "expected_status": "2xx"}, "expected_status: must be status codes and ranges"),
    "method": ({"url": "http://a/", "method": "BREW"}, "method: must be one of GET, HEAD, POST, got 'BREW'"),
    "type": (
        {"url": "http://a/", "check_interval_s": "often"},
        "check_interval_s: must be a whole number, got 'often'",
    ),
}


@pytest.mark.parametrize("name", BAD_TARGETS)
def test_a_bad_target_is_refused_with_its_reason(name: str) -> None:
    """A target that can never be checked is refused before a producer tries."""
    fields, problem = BAD_TARGETS[name]
    with pytest.raises(InvalidTargetError) as caught:
        TargetRecord.parse(fields)
    assert problem in str(caught.value)


@given(results())
def test_a_printed_result_reads_back_the_same(result: CheckResult) -> None:
    """What `--json` prints is one line, whatever a website said, and the same result again."""
    line = to_line(result)
    assert len(line.splitlines()) == 1
    assert from_line(line) == result


@pytest.mark.parametrize("character", ["\n", "\r", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_character_of_a_body_ends_a_printed_line(character: str) -> None:
    """Even Python's splitlines, which dbadmin uses, finds a single line."""
    result = make_result(body_excerpt=f"a{character}b")
    assert len(to_line(result).splitlines()) == 1
    assert from_line(to_line(result)) == result


def test_what_is_printed_is_not_bound_to_the_wire_format() -> None:
    """A change of the wire format does not change what scripts read: these names are promised to them."""
    printed = json.loads(to_line(make_result()))
    assert list(printed) == [*RESULT_COLUMNS, "schema_version"]


def test_a_line_that_is_no_result_is_refused() -> None:
    """One plain error, which the reader puts into its own words."""
    with pytest.raises(ValueError, match="target_id"):
        from_line("{}")
