"""The document asyncapi.json: the topics and their messages, for those who read them (AsyncAPI 3.0)."""

from __future__ import annotations

import datetime as dt
import inspect
import json
from typing import Any

import msgspec

from dbadmin.install.topics import ALERT_PARTITIONS, DEAD_LETTER_MESSAGE_BYTES, DEAD_LETTER_PARTITIONS
from monitoring_alerting import event
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.config import KafkaConfig
from monitoring_core.result import CheckResult

_TOPICS = KafkaConfig(bootstrap_servers="kafka:9092")
_BINDING = "0.5.0"
_ABOUT = """\
The topics of the website availability monitor. Their names are those of the section `kafka` of the configuration.
Messages may gain fields and headers; ignore those that you do not know. This document is generated from the code."""
_DEAD_LETTER_HEADERS = {
    "reason": "Why the message can never be stored, in a word.",
    "error": "What is wrong with it, in a sentence.",
    "original_topic": "The topic that it was in.",
    "original_partition": "The partition that it was in.",
    "original_offset": "Its offset there.",
    "original_timestamp": "Its timestamp there, in milliseconds since the epoch.",
    "cut_from_bytes": "How large its key and value were, where they were cut.",
}
_CE_HEADERS = {
    "ce_specversion": "The version of CloudEvents.",
    "ce_id": "Identity of the event, the same in every repeat.",
    "ce_source": "The database and the schema in which the alert is stored.",
    "ce_type": "`website_alert.` and the state.",
    "ce_subject": "The target's number.",
    "ce_time": "When it happened: `at` of the value.",
    "content-type": "What the value is.",
}


def page() -> str:
    """The text of the document."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Website availability monitor",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": event.CONTENT_TYPE,
        "channels": {
            "results": _channel(
                _TOPICS.topic_name,
                "Results of checks, one message for each slot of each target at each location; some may come twice.",
                "CheckResult",
                _TOPICS.partitions,
                {"cleanup.policy": ["delete"]},
            ),
            "deadLetters": _channel(
                _TOPICS.dead_letter_topic,
                "Messages of the topic of results that can never be stored, with their bytes unchanged.",
                "DeadLetter",
                DEAD_LETTER_PARTITIONS,
                {"cleanup.policy": ["delete"], "max.message.bytes": DEAD_LETTER_MESSAGE_BYTES},
            ),
            "alerts": _channel(
                _TOPICS.alert_topic_name,
                "What becomes of alerts. The newest event of each alert is kept; events may come twice, with one id. "
                "They are written in transactions: read them with isolation.level read_committed.",
                "AlertEvent",
                ALERT_PARTITIONS,
                {"cleanup.policy": ["compact"]},
            ),
        },
        "operations": {
            "publishResults": _operation("send", "results", "CheckResult", "producer-svc publishes results."),
            "storeResults": _operation("receive", "results", "CheckResult", "consumer-svc and alert-svc read results."),
            "rejectMessages": _operation("send", "deadLetters", "DeadLetter", "consumer-svc puts aside what is bad."),
            "publishAlerts": _operation("send", "alerts", "AlertEvent", "alert-svc publishes what becomes of alerts."),
        },
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(
    topic: str, about: str, message: str, partitions: int, configuration: dict[str, object]
) -> dict[str, object]:
    kafka = {
        "topic": topic,
        "partitions": partitions,
        "topicConfiguration": configuration,
        "bindingVersion": _BINDING,
    }
    return {
        "address": topic,
        "description": about,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": kafka},
    }


def _operation(action: str, channel: str, message: str, about: str) -> dict[str, object]:
    place = f"#/channels/{channel}"
    return {
        "action": action,
        "channel": {"$ref": place},
        "summary": about,
        "messages": [{"$ref": f"{place}/messages/{message}"}],
    }


def _messages() -> dict[str, object]:
    ce_headers = event.headers(_example(), "id", event.source_of("monitoring", "monitoring"))
    return {
        "CheckResult": _message(
            "The result of one check.", "The target's number.", {"$ref": "#/components/schemas/CheckResult"}
        ),
        "DeadLetter": _message(
            "A message that can never be stored.",
            "The key of the original message.",
            {"description": "The value of the original message: any bytes, or none."},
            _headers(_DEAD_LETTER_HEADERS, [name for name in _DEAD_LETTER_HEADERS if name != "cut_from_bytes"]),
        )
        | {"contentType": "application/octet-stream"},
        "AlertEvent": _message(
            "An alert as it is now: an event of CloudEvents 1.0 in Kafka's binary mode.",
            "The alert's identity, by which compaction keeps the newest event of each alert.",
            {"$ref": "#/components/schemas/AlertEvent"},
            _headers({name: _CE_HEADERS[name] for name in ce_headers}, list(ce_headers)),
        ),
    }


def _message(
    about: str, key: str, payload: dict[str, object], headers: dict[str, object] | None = None
) -> dict[str, object]:
    binding = {"key": {"type": "string", "description": key}, "bindingVersion": _BINDING}
    made: dict[str, object] = {"summary": about, "payload": payload, "bindings": {"kafka": binding}}
    return made | ({"headers": headers} if headers else {})


def _headers(meanings: dict[str, str], required: list[str]) -> dict[str, object]:
    properties = {name: {"type": "string", "description": meaning} for name, meaning in meanings.items()}
    return {"type": "object", "properties": properties, "required": required}


def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [CheckResult, event.AlertEvent], ref_template="#/components/schemas/{name}"
    )
    for schema in schemas.values():
        schema["description"] = inspect.cleandoc(schema["description"])
    return dict(schemas)


def _example() -> event.AlertEvent:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return event.AlertEvent(
        alert_id="",
        target_id=1,
        url="",
        policy="",
        kind=Kind.DOWN,
        severity=Severity.CRITICAL,
        state=State.FIRING,
        before=State.SUSPECTED,
        at=moment,
        since=moment,
        locations=[],
    )
