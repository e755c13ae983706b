"""Events of alerts: what is published, as the library of CloudEvents and the published schema read it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
from cloudevents.core.bindings import kafka
from jsonschema import Draft202012Validator

import monitoring_alerting
from monitoring_alerting.event import (
    MAX_EVENT_BYTES,
    SCHEMA_FILE,
    AlertEvent,
    encode,
    encode_key,
    headers,
    json_schema,
    source_of,
)
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State

MOMENT = dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)
EVENT = AlertEvent(
    alert_id="f00d",
    target_id=42,
    url="https://example.org/",
    policy="website-down",
    kind=Kind.DOWN,
    severity=Severity.CRITICAL,
    state=State.FIRING,
    before=State.SUSPECTED,
    at=MOMENT,
    since=MOMENT - dt.timedelta(minutes=2),
    locations=["berlin", "tokyo"],
    labels={"team": "shop"},
    reason="timeout",
)


def read(event: AlertEvent, source: str) -> Any:
    """The event of a message, as others read it."""
    sent = {name: text.encode() for name, text in headers(event, "cafe", source).items()}
    return kafka.from_binary_event(kafka.KafkaMessage(sent, encode_key(event), encode(event)))


def test_the_library_of_cloudevents_reads_an_event() -> None:
    """All attributes and the data; its check of attributes finds nothing."""
    found = read(EVENT, source_of("monitoring", "monitoring"))
    assert found.get_specversion() == "1.0"
    assert found.get_id() == "cafe"
    assert found.get_source() == "/alert-svc/monitoring/monitoring"
    assert found.get_type() == "website_alert.firing"
    assert found.get_subject() == "42"
    assert found.get_time() == MOMENT
    assert found.get_datacontenttype() == "application/json"
    assert found.get_data() == json.loads(encode(EVENT))
    assert found.get_data()["at"] == "2026-03-29T01:30:00Z"


def test_a_source_is_a_uri_reference_whatever_the_names_are() -> None:
    """Databases and schemas may have any name."""
    assert source_of("a/b c", "ü?") == "/alert-svc/a%2Fb%20c/%C3%BC%3F"


def test_the_published_schema_is_that_of_the_code_and_allows_events() -> None:
    """alert_event.v1.schema.json says what is published."""
    published = json.loads((Path(monitoring_alerting.__file__).parent / SCHEMA_FILE).read_text())
    assert published == json_schema()
    Draft202012Validator.check_schema(published)
    Draft202012Validator(published).validate(json.loads(encode(EVENT)))
    assert list(Draft202012Validator(published).iter_errors(json.loads(encode(EVENT)) | {"state": "broken"}))


def test_an_event_is_never_too_large() -> None:
    """Labels are the one part that has no bound elsewhere; without them it still says what is down."""
    large = msgspec.structs.replace(EVENT, labels={"note": "x" * MAX_EVENT_BYTES})
    assert len(encode(large)) <= MAX_EVENT_BYTES
    assert json.loads(encode(large)) == json.loads(encode(EVENT)) | {"labels": {}}
