"""The wire format: CheckResult to and from the JSON bytes of a Kafka message.

Version 1 is published as `check_result.v1.schema.json` beside this module. Readers accept unknown extra fields and
refuse an unknown major version, so writers may add fields without a new version.
"""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Any, NoReturn

import msgspec

from monitoring_core.errors import DecodeError, DecodeReason
from monitoring_core.result import SCHEMA_VERSION, CheckResult, Status

MAX_MESSAGE_BYTES = 64 * 1024
SCHEMA_FILE = "check_result.v1.schema.json"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CheckResult)
# What is looked up for every message.
_UTC, _LAST_YEAR, _UP, _BACKSLASH = dt.UTC, dt.MAXYEAR, Status.UP, ord("\\")


def encode(result: CheckResult) -> bytes:
    """The message value of a result."""
    return _encoder.encode(result)


def encode_key(result: CheckResult) -> bytes:
    """The message key of a result: its target id in decimal, so that one target's results stay in order."""
    return b"%d" % result.target_id


def decode(value: bytes | None) -> CheckResult:
    """The result in a message value.

    Raises:
        DecodeError: the bytes are not a result in a version that this reader knows. Nothing else is ever raised.
    """
    if not value:
        raise DecodeError(DecodeReason.EMPTY, "the message has no value")
    if len(value) > MAX_MESSAGE_BYTES:
        raise DecodeError(DecodeReason.TOO_LARGE, f"{len(value)} bytes, at most {MAX_MESSAGE_BYTES} are allowed")
    try:
        result = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(value, error)
    if result.schema_version != SCHEMA_VERSION:
        raise _unsupported(result.schema_version)
    if fault := _fault(result, value):
        raise DecodeError(DecodeReason.INVALID, fault)
    return result


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the message value, generated from the code."""
    schema = msgspec.json.schema(CheckResult)
    # Docstrings, whose indentation Python keeps up to 3.12 and drops from 3.13 on.
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "CheckResult v1",
        "$ref": schema["$ref"],
        "$defs": schema["$defs"],
    }


def _fault(result: CheckResult, value: bytes) -> str | None:
    """What is wrong with a result beyond its types, or None. Written for speed: every message passes through here."""
    reason = result.reason
    if result.status is not (_UP if reason is None else reason.status):
        return f"status {result.status} does not go with reason {reason or 'null'}"
    slot, started, finished = result.scheduled_at, result.started_at, result.finished_at
    expires, chain = result.certificate_expires_at, result.chain_expires_at
    if not (
        slot.tzinfo is _UTC
        and (started is None or started.tzinfo is _UTC)
        and (finished is None or finished.tzinfo is _UTC)
        and (expires is None or expires.tzinfo is _UTC)
        and (chain is None or chain.tzinfo is _UTC)
    ):
        for moment in (slot, started, finished, expires, chain):
            if moment is not None and moment.utcoffset():
                return f"{moment.isoformat()} must be in UTC"
    if slot.year == _LAST_YEAR:
        return "scheduled_at: year 9999 is not supported"  # the end of its last hour exceeds datetime.max
    # JSON writes a NUL only as an escape. A backslash alone, given as a number, is found in a fifth of the time.
    if _BACKSLASH in value and b"\\u0000" in value:
        for name, content in msgspec.structs.asdict(result).items():
            if isinstance(content, str) and "\0" in content:
                return f"{name} holds a NUL character"
    return None


def _refuse(value: bytes, error: Exception) -> NoReturn:
    """Raise the DecodeError that says most precisely why typed decoding failed."""
    try:
        content = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
        raise DecodeError(DecodeReason.NOT_JSON, str(malformed)) from None
    version = content.get("schema_version", SCHEMA_VERSION) if isinstance(content, dict) else SCHEMA_VERSION
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise _unsupported(version) from None
    raise DecodeError(DecodeReason.INVALID, str(error)) from None


def _unsupported(version: int) -> DecodeError:
    detail = f"schema_version {version}, this reader knows {SCHEMA_VERSION}"
    return DecodeError(DecodeReason.UNSUPPORTED_VERSION, detail)
