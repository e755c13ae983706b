"""An alert as an event for others: CloudEvents 1.0 in the binary mode of Kafka.

The headers are the attributes of the event, and the value of the message is an `AlertEvent` as JSON, published as
`alert_event.v1.schema.json` beside this module. Fields may be added without a new version; readers ignore those that
they do not know.
"""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from monitoring_alerting.policies.kinds import Kind, Severity  # noqa: TC001 (msgspec reads the annotations)
from monitoring_alerting.transition import State

SCHEMA_FILE = "alert_event.v1.schema.json"
SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 64 * 1024
CONTENT_TYPE = "application/json"
# The states of which there are events. Suspicions that came to nothing are no alerts.
EVENT_STATES = (State.FIRING, State.UNDETERMINED, State.FLAPPING, State.RESOLVED)

_encoder = msgspec.json.Encoder()
_Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]


def _moment(meaning: str) -> Meta:
    return Meta(tz=True, description=meaning)


class AlertEvent(Struct, frozen=True, kw_only=True):
    """What an alert is now.

    The newest event of an alert replaces those before it: the key of the message is `alert_id`, and the topic is
    compacted. Moments are UTC.
    """

    alert_id: Annotated[str, Meta(description="The same for all events of one alert, from its begin to its end.")]
    target_id: Annotated[_Id, Meta(description="The website, by its number among the targets.")]
    url: Annotated[str, Meta(description="The target's URL, without user name and password.")]
    policy: Annotated[str, Meta(description="The name of the policy that decided it.")]
    kind: Kind
    severity: Severity
    state: Annotated[State, Meta(description="firing, undetermined, flapping, or resolved, which ends the alert.")]
    before: Annotated[State, Meta(description="The state before; the same when it is told again.")]
    at: Annotated[dt.datetime, _moment("The slot that decided it; where none did, when the time was up.")]
    since: Annotated[dt.datetime, _moment("When the alert began.")]
    locations: Annotated[list[str], Meta(description="The locations that the state rests on.")]
    labels: Annotated[dict[str, str], Meta(description="The labels of the target.")] = {}
    reason: Annotated[str | None, Meta(description="Why the newest result it rests on is not up.")] = None
    error: Annotated[str | None, Meta(description="The error of that result.")] = None
    http_status: Annotated[int | None, Meta(description="The HTTP status of that result.")] = None
    step_s: Annotated[int | None, Meta(description="Of certificate_expires_within, the step in seconds.")] = None
    cause: Annotated[str | None, Meta(description="Why it ended without results, or is told again.")] = None
    maintenance_window: Annotated[
        int | None, Meta(description="The maintenance window because of which nobody is notified.")
    ] = None
    schema_version: Annotated[int, Meta(ge=1)] = SCHEMA_VERSION


def encode(event: AlertEvent) -> bytes:
    """The message value of an event, without its labels where they make it too large."""
    value = _encoder.encode(event)
    if len(value) <= MAX_EVENT_BYTES:
        return value
    return _encoder.encode(msgspec.structs.replace(event, labels={}))


def encode_key(event: AlertEvent) -> bytes:
    """The message key of an event, by which compaction keeps the newest one of each alert."""
    return event.alert_id.encode()


def headers(event: AlertEvent, event_id: str, source: str) -> dict[str, str]:
    """The message headers of an event: its attributes (CloudEvents, Kafka Protocol Binding 1.0.2, section 3.2).

    Args:
        event_id: the same in every repeat.
        source: what `source_of` says.
    """
    return {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": source,
        "ce_type": f"website_alert.{event.state}",
        "ce_subject": str(event.target_id),
        "ce_time": event.at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        "content-type": CONTENT_TYPE,
    }


def source_of(database: str, schema: str) -> str:
    """Where events come from, a URI reference: the schema that the alerts are stored in."""
    return f"/alert-svc/{quote(database, safe='')}/{quote(schema, safe='')}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the message value, generated from the code."""
    schema = msgspec.json.schema(AlertEvent)
    # Docstrings, whose indentation Python keeps up to 3.12 and drops from 3.13 on.
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "AlertEvent v1",
        "$ref": schema["$ref"],
        "$defs": schema["$defs"],
    }
