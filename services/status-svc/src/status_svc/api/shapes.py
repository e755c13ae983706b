"""What the API gives, as schemas of JSON Schema (2020-12), and the kinds of values that it also takes."""

from __future__ import annotations

from typing import Any

from monitoring_core.declared.plans import Action
from status_svc.api.contents import NOTE_KINDS
from status_svc.api.parameters import MAX_ID

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
COUNT: Schema = {"type": "integer", "minimum": 0}
MAYBE_COUNT: Schema = {"type": ["integer", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
TRUTH: Schema = {"type": "boolean"}
MAYBE_TRUTH: Schema = {"type": ["boolean", "null"]}
MAYBE_TEXTS: Schema = {"type": ["array", "null"], "items": TEXT}
LABELS: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
KEY: Schema = {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"}
STATUS: Schema = {"enum": ["up", "down", "unknown"]}


def of_fields(fields: dict[str, Schema], *required: str) -> Schema:
    """An object that has these fields and no other."""
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}


OBJECTS: dict[str, dict[str, Schema]] = {
    "Target": {
        "target_id": ID,
        "url": TEXT | {"description": "Without user name and password."},
        "active": TRUTH,
        "check_interval_s": MAYBE_COUNT,
        "timeout_s": MAYBE_NUMBER,
        "method": MAYBE_TEXT,
        "expected_status": MAYBE_TEXT,
        "regexp": MAYBE_TEXT,
        "labels": LABELS,
        "added_at": MAYBE_MOMENT,
        "added_by": MAYBE_TEXT,
        "follow_redirects": MAYBE_TRUTH,
        "verify_tls": MAYBE_TRUTH,
        "forbidden_regexp": MAYBE_TEXT,
        "connect_to": MAYBE_TEXT,
        "address_family": MAYBE_TEXT,
        "further_regexps": MAYBE_TEXTS,
        "further_forbidden_regexps": MAYBE_TEXTS,
        "expected_headers": LABELS,
        "expected_json": {"type": ["object", "null"]},
        "degraded_above_s": MAYBE_NUMBER,
        "secret_headers": MAYBE_TEXTS,
        "client_certificate": MAYBE_TEXT,
        "version": TEXT | {"description": "Another one after every change."},
    },
    "Status": {
        "target_id": ID,
        "url": TEXT,
        "location": MAYBE_TEXT,
        "status": STATUS,
        "reason": MAYBE_TEXT,
        "since": MAYBE_MOMENT,
        "last_check_at": MAYBE_MOMENT,
        "response_time_s": MAYBE_NUMBER,
        "http_status": MAYBE_COUNT,
        "certificate_expires_at": MAYBE_MOMENT,
        "availability_today": MAYBE_NUMBER,
        "active": TRUTH,
        "checked_at": MAYBE_MOMENT,
        "age_s": MAYBE_NUMBER,
        "stale": TRUTH,
        "error": MAYBE_TEXT,
        "remote_address": MAYBE_TEXT,
        "certificate_subject": MAYBE_TEXT,
        "certificate_issuer": MAYBE_TEXT,
        "labels": LABELS,
    },
    "Result": {
        "target_id": ID,
        "url": MAYBE_TEXT,
        "location": TEXT,
        "scheduled_at": MOMENT,
        "started_at": MAYBE_MOMENT,
        "finished_at": MAYBE_MOMENT,
        "status": STATUS,
        "reason": MAYBE_TEXT,
        "error": MAYBE_TEXT,
        "http_status": MAYBE_COUNT,
        "response_time_s": MAYBE_NUMBER,
        "queue_delay_s": MAYBE_NUMBER,
        "dns_s": MAYBE_NUMBER,
        "connect_s": MAYBE_NUMBER,
        "tls_s": MAYBE_NUMBER,
        "first_byte_s": MAYBE_NUMBER,
        "transfer_s": MAYBE_NUMBER,
        "body_bytes": MAYBE_COUNT,
        "regexp_matched": {"type": ["boolean", "null"]},
        "remote_address": MAYBE_TEXT,
        "addresses_tried": MAYBE_TEXT,
        "final_url": MAYBE_TEXT,
        "redirects": MAYBE_COUNT,
        "certificate_expires_at": MAYBE_MOMENT,
        "certificate_subject": MAYBE_TEXT,
        "certificate_issuer": MAYBE_TEXT,
        "chain_expires_at": MAYBE_MOMENT,
        "chain_expires_subject": MAYBE_TEXT,
        "http_version": MAYBE_TEXT,
        "tls_version": MAYBE_TEXT,
        "producer_id": COUNT,
    },
    "Incident": {
        "target_id": ID,
        "url": MAYBE_TEXT,
        "location": TEXT,
        "began_at": MOMENT,
        "ended_at": MAYBE_MOMENT,
        "duration_s": MAYBE_NUMBER,
        "reason": MAYBE_TEXT,
        "checks": COUNT,
        "end_reason": MAYBE_TEXT,
        "labels": LABELS,
    },
    "Alert": {
        "sequence": COUNT,
        "alert_id": TEXT,
        "state": {"enum": ["ok", "suspected", "firing", "recovering", "resolved", "undetermined", "flapping"]},
        "severity": TEXT,
        "policy": TEXT,
        "kind": TEXT,
        "target_id": ID,
        "url": TEXT,
        "labels": LABELS,
        "since": MOMENT,
        "at": MOMENT,
        "locations": {"type": "array", "items": TEXT},
        "cause": MAYBE_TEXT,
        "silenced_window": MAYBE_COUNT,
        "step_s": MAYBE_COUNT,
        "acknowledged_at": MAYBE_MOMENT,
        "acknowledged_by": MAYBE_TEXT,
        "note": MAYBE_TEXT,
    },
    "Window": {
        "window_id": ID,
        "match": {"type": "object", "additionalProperties": {"type": "string"}},
        "begins_at": MOMENT,
        "ends_at": MOMENT,
        "zone": TEXT,
        "recurrence": MAYBE_TEXT,
        "ended_at": MAYBE_MOMENT,
        "note": MAYBE_TEXT,
        "added_at": MOMENT,
        "added_by": TEXT,
    },
    "Note": {
        "note_id": ID,
        "target_id": ID,
        "began_at": MOMENT | {"description": "A moment within the incident."},
        "noted_at": MOMENT,
        "kind": {"enum": list(NOTE_KINDS)},
        "text": TEXT,
        "public": TRUTH,
        "added_by": TEXT,
    },
    "Acknowledgement": {
        "alert_id": TEXT,
        "acknowledged_at": MOMENT,
        "acknowledged_by": MAYBE_TEXT,
        "note": MAYBE_TEXT,
    },
    "Availability": {
        "target_id": ID,
        "url": TEXT,
        "labels": LABELS,
        "location": MAYBE_TEXT | {"description": "Null where it was not due."},
        "due": COUNT | {"description": "Slots in which it was due, as far as results are rolled up."},
        "up": COUNT,
        "down": COUNT,
        "unknown": COUNT,
        "availability": MAYBE_NUMBER | {"description": "Share of the checks that were up among those up or down."},
        "coverage": MAYBE_NUMBER | {"description": "Share of the slots due whose check was up or down."},
    },
}
_CHANGE: dict[str, Schema] = {
    "action": {"enum": [*Action]},
    "key": TEXT,
    "target_id": {"type": ["integer", "null"]} | {"description": "Null for what is added."},
    "url": TEXT | {"description": "Without user name and password."},
    "fields": {
        "type": "object",
        "additionalProperties": of_fields({"before": {}, "after": {}}, "before", "after"),
        "description": "What is different, by name: values of headers and bodies are shown as ***.",
    },
}
_CONFLICT: dict[str, Schema] = {
    "key": TEXT,
    "url": TEXT,
    "target_id": ID,
    "owner": MAYBE_TEXT | {"description": "Whose the target with this URL is; null for nobody's."},
    "adoptable": TRUTH | {"description": "Whether `adopt` takes it over."},
}
OBJECTS["Plan"] = {
    "owner": TEXT,
    "changes": {"type": "array", "items": of_fields(_CHANGE, *_CHANGE)},
    "conflicts": {"type": "array", "items": of_fields(_CONFLICT, *_CONFLICT)},
    "unchanged": COUNT,
    "left_out": COUNT | {"description": "Changes and conflicts for which the answer has no room."},
    "refusal": MAYBE_TEXT | {"description": "Why this would not be applied; null when it would, or was."},
}
PROBLEM: Schema = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "errors": {"type": "array", "items": TEXT},
    },
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
}
