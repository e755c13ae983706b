"""The description of the API (OpenAPI 3.1). A test holds it to what the routes do."""

from __future__ import annotations

from typing import Any

from status_svc import __version__
from status_svc.api.parameters import DEFAULT_LIMIT, MAX_ID, MAX_LIMIT

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_ID: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"]}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
_TRUTH: Schema = {"type": "boolean"}
_LABELS: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
_STATUS: Schema = {"enum": ["up", "down", "unknown"]}

_OBJECTS: dict[str, dict[str, Schema]] = {
    "Target": {
        "target_id": _ID,
        "url": _TEXT | {"description": "Without user name and password."},
        "active": _TRUTH,
        "check_interval_s": _MAYBE_COUNT,
        "timeout_s": _MAYBE_NUMBER,
        "method": _MAYBE_TEXT,
        "expected_status": _MAYBE_TEXT,
        "regexp": _MAYBE_TEXT,
        "labels": _LABELS,
        "added_at": _MAYBE_MOMENT,
        "added_by": _MAYBE_TEXT,
    },
    "Status": {
        "target_id": _ID,
        "url": _TEXT,
        "location": _MAYBE_TEXT,
        "status": _STATUS,
        "reason": _MAYBE_TEXT,
        "since": _MAYBE_MOMENT,
        "last_check_at": _MAYBE_MOMENT,
        "response_time_s": _MAYBE_NUMBER,
        "http_status": _MAYBE_COUNT,
        "certificate_expires_at": _MAYBE_MOMENT,
        "availability_today": _MAYBE_NUMBER,
        "active": _TRUTH,
        "checked_at": _MAYBE_MOMENT,
        "age_s": _MAYBE_NUMBER,
        "stale": _TRUTH,
        "error": _MAYBE_TEXT,
        "remote_address": _MAYBE_TEXT,
        "certificate_subject": _MAYBE_TEXT,
        "certificate_issuer": _MAYBE_TEXT,
        "labels": _LABELS,
    },
    "Result": {
        "target_id": _ID,
        "url": _MAYBE_TEXT,
        "location": _TEXT,
        "scheduled_at": _MOMENT,
        "started_at": _MAYBE_MOMENT,
        "finished_at": _MAYBE_MOMENT,
        "status": _STATUS,
        "reason": _MAYBE_TEXT,
        "error": _MAYBE_TEXT,
        "http_status": _MAYBE_COUNT,
        "response_time_s": _MAYBE_NUMBER,
        "queue_delay_s": _MAYBE_NUMBER,
        "dns_s": _MAYBE_NUMBER,
        "connect_s": _MAYBE_NUMBER,
        "tls_s": _MAYBE_NUMBER,
        "first_byte_s": _MAYBE_NUMBER,
        "transfer_s": _MAYBE_NUMBER,
        "body_bytes": _MAYBE_COUNT,
        "regexp_matched": {"type": ["boolean", "null"]},
        "remote_address": _MAYBE_TEXT,
        "addresses_tried": _MAYBE_TEXT,
        "final_url": _MAYBE_TEXT,
        "redirects": _MAYBE_COUNT,
        "certificate_expires_at": _MAYBE_MOMENT,
        "certificate_subject": _MAYBE_TEXT,
        "certificate_issuer": _MAYBE_TEXT,
        "chain_expires_at": _MAYBE_MOMENT,
        "chain_expires_subject": _MAYBE_TEXT,
        "http_version": _MAYBE_TEXT,
        "tls_version": _MAYBE_TEXT,
        "producer_id": _COUNT,
    },
    "Incident": {
        "target_id": _ID,
        "url": _MAYBE_TEXT,
        "location": _TEXT,
        "began_at": _MOMENT,
        "ended_at": _MAYBE_MOMENT,
        "duration_s": _MAYBE_NUMBER,
        "reason": _MAYBE_TEXT,
        "checks": _COUNT,
        "end_reason": _MAYBE_TEXT,
        "labels": _LABELS,
    },
    "Alert": {
        "sequence": _COUNT,
        "alert_id": _TEXT,
        "state": {"enum": ["ok", "suspected", "firing", "recovering", "resolved", "undetermined", "flapping"]},
        "severity": _TEXT,
        "policy": _TEXT,
        "kind": _TEXT,
        "target_id": _ID,
        "url": _TEXT,
        "labels": _LABELS,
        "since": _MOMENT,
        "at": _MOMENT,
        "locations": {"type": "array", "items": _TEXT},
        "cause": _MAYBE_TEXT,
        "silenced_window": _MAYBE_COUNT,
        "step_s": _MAYBE_COUNT,
        "acknowledged_at": _MAYBE_MOMENT,
        "acknowledged_by": _MAYBE_TEXT,
        "note": _MAYBE_TEXT,
    },
    "Window": {
        "window_id": _ID,
        "match": {"type": "object", "additionalProperties": {"type": "string"}},
        "begins_at": _MOMENT,
        "ends_at": _MOMENT,
        "zone": _TEXT,
        "recurrence": _MAYBE_TEXT,
        "ended_at": _MAYBE_MOMENT,
        "note": _MAYBE_TEXT,
        "added_at": _MOMENT,
        "added_by": _TEXT,
    },
    "Availability": {
        "target_id": _ID,
        "url": _TEXT,
        "labels": _LABELS,
        "location": _MAYBE_TEXT,
        "up": _COUNT,
        "down": _COUNT,
        "unknown": _COUNT,
        "availability": _MAYBE_NUMBER | {"description": "Share of the checks that were up among those up or down."},
        "coverage": _MAYBE_NUMBER | {"description": "Share of the slots whose check was up or down."},
    },
    "Problem": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
    },
}

_QUERY: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    "cursor": _TEXT | {"description": "`next` of the page before."},
    "label": {"type": "string", "pattern": "^[^=\\u0000]+=[^\\u0000]*$", "description": "Targets with this label."},
    "target_id": _ID,
    "active": _TRUTH,
    "open": _TRUTH,
    "ended": _TRUTH,
    "location": _TEXT,
    "from": _MOMENT,
    "until": _MOMENT,
}
_DAYS: dict[str, Schema] = {name: {"type": "string", "format": "date"} for name in ("from", "until")}

# By path: the name of the operation, what it does, its parameters, and what it gives.
_PATHS: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "/targets": ("listTargets", "The targets, in order of id.", ("limit", "cursor", "label", "active"), "Target"),
    "/targets/{target_id}": ("getTarget", "One target.", (), ""),
    "/targets/{target_id}/results": (
        "listResults",
        "The results of a target, the newest first; of the last day, unless it says otherwise.",
        ("limit", "cursor", "from", "until", "location"),
        "Result",
    ),
    "/status": (
        "listStatus",
        "The status of targets from each location; a page has all locations of so many targets.",
        ("limit", "cursor", "label", "target_id"),
        "Status",
    ),
    "/incidents": (
        "listIncidents",
        "Incidents, the newest first.",
        ("limit", "cursor", "label", "target_id", "open", "from", "until"),
        "Incident",
    ),
    "/alerts": (
        "listAlerts",
        "Alerts, each as it is now, the one that changed last first.",
        ("limit", "cursor", "label", "target_id", "open"),
        "Alert",
    ),
    "/maintenance": (
        "listMaintenance",
        "Maintenance windows, the one that was added last first.",
        ("limit", "cursor", "ended"),
        "Window",
    ),
    "/reports/availability": (
        "reportAvailability",
        "Availability and coverage of targets from each location over whole UTC days, both ends included.",
        ("limit", "cursor", "label", "target_id", "from", "until"),
        "Availability",
    ),
}
_ERRORS = {
    "400": "A parameter is wrong.",
    "401": "A token is needed.",
    "403": "The token does not allow this.",
    "429": "Too many requests.",
    "503": "The database does not answer.",
}


def document() -> dict[str, Any]:
    """The description as a document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Status of websites", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{}, {"token": []}],
        "paths": {path: {"get": _operation(path, *about)} for path, about in _PATHS.items()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {name: _object(fields) for name, fields in _OBJECTS.items()},
        },
    }


def _operation(path: str, name: str, about: str, parameters: tuple[str, ...], item: str) -> Schema:
    of_path = [{"name": "target_id", "in": "path", "required": True, "schema": _ID}] if "{" in path else []
    kinds = _QUERY | (_DAYS if path.startswith("/reports") else {})
    of_query = [{"name": one, "in": "query", "schema": kinds[one]} for one in parameters]
    errors = _ERRORS | ({"404": "There is no such target."} if of_path else {})
    given = _page(path, item) if item else _reference("Target")
    return {
        "operationId": name,
        "summary": about,
        "parameters": of_path + of_query,
        "responses": {
            "200": {
                "description": "What was asked for.",
                "headers": {"ETag": {"schema": _TEXT}},
                "content": {"application/json": {"schema": given}},
            },
            "304": {"description": "Nothing has changed since If-None-Match."},
            **{
                code: {
                    "description": text,
                    "content": {"application/problem+json": {"schema": _reference("Problem")}},
                }
                for code, text in errors.items()
            },
        },
    }


def _page(path: str, item: str) -> Schema:
    days: dict[str, Schema] = _DAYS if path.startswith("/reports") else {}
    return _object(days | {"items": {"type": "array", "items": _reference(item)}, "next": _MAYBE_TEXT})


def _object(fields: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
