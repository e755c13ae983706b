"""The description of the API (OpenAPI 3.1). Tests hold it to what the routes do."""

from __future__ import annotations

import re
from typing import Any

from status_svc import __version__
from status_svc.api.parameters import DEFAULT_LIMIT, MAX_LIMIT
from status_svc.api.sent import EXAMPLES, SENT
from status_svc.api.shapes import (
    ID,
    KEY,
    MAYBE_TEXT,
    MOMENT,
    OBJECTS,
    PROBLEM,
    TEXT,
    TRUTH,
    Schema,
    of_fields,
)

_QUERY: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    "cursor": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "description": "`next` of the page before."},
    "label": {"type": "string", "pattern": "^[^=\\u0000]+=[^\\u0000]*$", "description": "Targets with this label."},
    "target_id": ID,
    "active": TRUTH,
    "open": TRUTH,
    "ended": TRUTH,
    "location": TEXT,
    "from": MOMENT | {"description": "From then on; an incident that lasted into this time is among them."},
    "until": MOMENT | {"description": "Before then."},
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
    "/notes": ("listNotes", "Notes on incidents, the newest first.", ("limit", "cursor", "target_id"), "Note"),
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
# By path and method: the name of the operation, what it does, what is sent, what it gives with which status code, and
# which further errors there are.
_WRITES: dict[str, dict[str, tuple[str, str, str, tuple[str, str], tuple[str, ...]]]] = {
    "/targets": {"post": ("addTarget", "Add a target.", "NewTarget", ("201", "Target"), ("409",))},
    "/targets/plan": {
        "post": (
            "planTargets",
            "Tell what applyTargets would change, and change nothing. The ETag is that of the plan.",
            "Declaration",
            ("200", "Plan"),
            ("408",),
        )
    },
    "/targets/apply": {
        "post": (
            "applyTargets",
            "Make the targets of an owner as they are declared, all of them or none. A second time changes nothing.",
            "Declaration",
            ("200", "Plan"),
            ("408", "409", "412"),
        )
    },
    "/targets/{target_id}": {
        "patch": (
            "changeTarget",
            "Change the fields of a target that are named.",
            "TargetChange",
            ("200", "Target"),
            ("404", "409", "412", "428"),
        ),
        "delete": ("deleteTarget", "Delete a target; its results stay.", "", ("204", ""), ("404", "412", "428")),
    },
    "/maintenance": {"post": ("addWindow", "Add a maintenance window.", "NewWindow", ("201", "Window"), ())},
    "/maintenance/{window_id}/end": {
        "post": ("endWindow", "End a maintenance window now and for good.", "", ("200", "Window"), ("404",))
    },
    "/alerts/{alert_id}/acknowledgement": {
        "put": (
            "acknowledgeAlert",
            "Note that somebody looks after an alert: nobody else is called.",
            "NewAcknowledgement",
            ("200", "Acknowledgement"),
            ("404",),
        )
    },
    "/notes": {
        "post": ("addNote", "Say something of an incident.", "NewNote", ("201", "Note"), ("409",)),
    },
    "/notes/{note_id}": {
        "delete": ("withdrawNote", "Withdraw a note: nothing shows it any more.", "", ("204", ""), ("404",))
    },
}
_FURTHER = {
    "404": "There is no such thing.",
    "408": "The content did not come in time.",
    "409": "It conflicts with what there is.",
    "412": "It has changed since.",
    "413": "The content is too large.",
    "415": "The content must be JSON.",
    "422": "The content is not valid.",
    "428": "If-Match is required.",
}
_OF_PATH: dict[str, Schema] = {
    "target_id": ID,
    "window_id": ID,
    "note_id": ID,
    "alert_id": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
}
_ERRORS = {
    "400": "A parameter is wrong.",
    "401": "A token is needed.",
    "403": "The token does not allow this.",
    "429": "Too many requests.",
    "503": "The database does not answer.",
}


def document(*, writes: bool) -> dict[str, Any]:
    """The description as a document. Args: writes: whether anything may be written."""
    paths: dict[str, dict[str, Schema]] = {path: {"get": _read(path, *about)} for path, about in _PATHS.items()}
    objects = {name: of_fields(fields, *fields) for name, fields in OBJECTS.items()}
    if writes:
        for path, methods in _WRITES.items():
            for method, about in methods.items():
                paths.setdefault(path, {})[method] = _write(path, method, *about)
        objects |= SENT
    return {
        "openapi": "3.1.0",
        "info": {"title": "Status of websites", "version": __version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/api/v1"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": objects | {"Problem": PROBLEM},
        },
    }


def _read(path: str, name: str, about: str, parameters: tuple[str, ...], item: str) -> Schema:
    kinds = _QUERY | (_DAYS if path.startswith("/reports") else {})
    of_query = [{"name": one, "in": "query", "schema": kinds[one]} for one in parameters]
    errors = _ERRORS | ({"404": _FURTHER["404"]} if "{" in path else {})
    return {
        "operationId": name,
        "summary": about,
        "parameters": _of_path(path) + of_query,
        "responses": {
            "200": _answer(_page(path, item) if item else _reference("Target")),
            "304": {"description": "Nothing has changed since If-None-Match."},
        }
        | _problems(errors),
    }


def _write(
    path: str, method: str, name: str, about: str, sent: str, given: tuple[str, str], further: tuple[str, ...]
) -> Schema:
    status, item = given
    codes = (*further, *(("413", "415", "422") if sent else ()))
    headers = []
    if "428" in codes:
        headers.append(_header("If-Match", "The ETag of the target as it is known.") | {"required": True})
    elif "412" in codes:
        headers.append(_header("If-Match", "The ETag of the plan that was seen: no other is carried out."))
    if status == "201":
        headers.append(_header("Idempotency-Key", "The same request with the same key is done once.", KEY))
    operation: Schema = {
        "operationId": name,
        "summary": about,
        "security": [{"token": []}],
        "parameters": _of_path(path) + headers,
        "responses": {status: _answer(_reference(item)) if item else {"description": "Done."}}
        | _problems(_ERRORS | {code: _FURTHER[code] for code in codes}),
    }
    if status == "201":
        operation["responses"][status]["headers"]["Location"] = {"schema": TEXT}
    if sent:
        kinds = ("application/merge-patch+json", "application/json") if method == "patch" else ("application/json",)
        content = {kind: {"schema": _reference(sent), "example": EXAMPLES[sent]} for kind in kinds}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _of_path(path: str) -> list[Schema]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": _OF_PATH[name]} for name in names]


def _header(name: str, about: str, schema: Schema = TEXT) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": about, "schema": schema}


def _answer(schema: Schema) -> Schema:
    return {
        "description": "What was asked for, or is now.",
        "headers": {"ETag": {"schema": TEXT}},
        "content": {"application/json": {"schema": schema}},
    }


def _problems(errors: dict[str, str]) -> dict[str, Schema]:
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    return {code: {"description": text, "content": content} for code, text in sorted(errors.items())}


def _page(path: str, item: str) -> Schema:
    days: dict[str, Schema] = _DAYS if path.startswith("/reports") else {}
    fields = days | {"items": {"type": "array", "items": _reference(item)}, "next": MAYBE_TEXT}
    return of_fields(fields, *fields)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
