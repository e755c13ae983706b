"""What the API takes, as schemas with examples. What else is wrong with a target, a window or a note is told by 422."""

from __future__ import annotations

from monitoring_core.declared.ownership import MAX_KEY_LENGTH, OWNER_PATTERN
from monitoring_core.declared.plans import FEW
from monitoring_core.result import MAX_URL_LENGTH
from monitoring_core.targets.contents import MAX_BODY_LENGTH, MAX_HEADERS, METHODS
from monitoring_core.targets.expectations import MAX_EXPECTATIONS
from monitoring_core.targets.place import FAMILIES
from monitoring_core.targets.record import MAX_INTERVAL_S, MIN_INTERVAL_S
from monitoring_core.targets.regexp import MAX_REGEXP_LENGTH
from status_svc.api.contents import MAX_LABELS, MAX_TEXT, NOTE_KINDS, RECURRENCE
from status_svc.api.declarations import MAX_TARGETS
from status_svc.api.shapes import (
    ID,
    LABELS,
    MAYBE_MOMENT,
    MAYBE_TEXT,
    MAYBE_TEXTS,
    MAYBE_TRUTH,
    MOMENT,
    TRUTH,
    Schema,
    of_fields,
)

MAYBE_TIME: Schema = {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 300}
MAYBE_REGEXP: Schema = {"type": ["string", "null"], "maxLength": MAX_REGEXP_LENGTH}
TARGET_FIELDS: dict[str, Schema] = {
    "url": {"type": "string", "minLength": 1, "maxLength": MAX_URL_LENGTH},
    "active": TRUTH,
    "check_interval_s": {"type": ["integer", "null"], "minimum": MIN_INTERVAL_S, "maximum": MAX_INTERVAL_S},
    "timeout_s": MAYBE_TIME,
    "method": {"enum": [*METHODS, None]},
    "expected_status": MAYBE_TEXT,
    "headers": LABELS | {"description": "No answer shows them."},
    "follow_redirects": MAYBE_TRUTH,
    "verify_tls": MAYBE_TRUTH,
    "labels": LABELS,
    "body": MAYBE_TEXT | {"maxLength": MAX_BODY_LENGTH, "description": "No answer shows it."},
    "regexp": MAYBE_REGEXP,
    "forbidden_regexp": MAYBE_REGEXP,
    "further_regexps": MAYBE_TEXTS | {"maxItems": MAX_EXPECTATIONS},
    "further_forbidden_regexps": MAYBE_TEXTS | {"maxItems": MAX_EXPECTATIONS},
    "connect_to": MAYBE_TEXT,
    "address_family": {"enum": [*FAMILIES, None]},
    "expected_headers": LABELS,
    "expected_json": {"type": ["object", "null"]},
    "degraded_above_s": MAYBE_TIME,
    "secret_headers": MAYBE_TEXTS | {"maxItems": MAX_HEADERS},
    "client_certificate": MAYBE_TEXT,
}
_DECLARED = {"key": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH}} | TARGET_FIELDS
MAYBE_NOTE: Schema = {"type": ["string", "null"], "maxLength": MAX_TEXT}
SENT: dict[str, Schema] = {
    "NewTarget": of_fields(TARGET_FIELDS, "url"),
    "TargetChange": of_fields(TARGET_FIELDS)
    | {"description": "A merge patch (RFC 7396): what is not named stays, and null is the default."},
    "Declaration": of_fields(
        {
            "owner": {"type": "string", "pattern": f"^{OWNER_PATTERN}$"},
            "targets": {"type": "array", "items": of_fields(_DECLARED, "key", "url"), "maxItems": MAX_TARGETS},
            "adopt": TRUTH | {"default": False, "description": "Take over targets of these URLs that are nobody's."},
            "remove": TRUTH | {"default": False, "description": "Remove what is not declared; else deactivate it."},
            "max_gone": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "default": 25,
                "description": f"The percentage of the owner's targets that may go; {FEW} may, if they are not all.",
            },
        },
        "owner",
        "targets",
    ),
    "NewWindow": of_fields(
        {
            "match": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 1_000},
                "maxProperties": MAX_LABELS,
                "description": "The labels that targets must have; none for all targets.",
            },
            "begins_at": MAYBE_MOMENT | {"description": "Now, unless it is stated."},
            "ends_at": MOMENT,
            "zone": {"type": "string", "maxLength": 100, "default": "UTC"},
            "recurrence": {"type": ["string", "null"], "pattern": RECURRENCE},
            "note": MAYBE_NOTE,
        },
        "match",
        "ends_at",
    ),
    "NewAcknowledgement": of_fields({"note": MAYBE_NOTE}),
    "NewNote": of_fields(
        {
            "target_id": ID,
            "kind": {"enum": list(NOTE_KINDS)},
            "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
            "public": TRUTH | {"default": False, "description": "Whether the public pages show it."},
            "began_at": MAYBE_MOMENT | {"description": "A moment within the incident; the open one otherwise."},
        },
        "target_id",
        "kind",
        "text",
    ),
}

EXAMPLES: dict[str, object] = {
    "NewTarget": {"url": "https://shop.example.org/health", "labels": {"team": "shop"}, "check_interval_s": 30},
    "TargetChange": {"labels": {"team": None}, "expected_status": "200-299", "regexp": "is well"},
    "Declaration": {
        "owner": "shop",
        "targets": [
            {"key": "home", "url": "https://shop.example.org/", "regexp": "Welcome", "labels": {"team": "shop"}},
            {"key": "cart", "url": "https://shop.example.org/cart", "check_interval_s": 30, "timeout_s": 5},
        ],
    },
    "NewWindow": {
        "match": {"team": "shop"},
        "begins_at": "2030-01-05T22:00:00Z",
        "ends_at": "2030-01-06T02:00:00Z",
        "zone": "Europe/Berlin",
        "recurrence": "FREQ=WEEKLY;BYDAY=SA",
        "note": "New disks",
    },
    "NewAcknowledgement": {"note": "The provider knows."},
    "NewNote": {"target_id": 1, "kind": "identified", "text": "A disk is full.", "public": True},
}
