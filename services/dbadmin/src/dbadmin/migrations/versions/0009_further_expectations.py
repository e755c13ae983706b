"""What targets expect of an answer beyond its status and one regular expression."""

from dbadmin.install.statements import run

revision = "0009"
down_revision = "0008"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# What is an error of jsonb's functions on another kind of value is refused before they are called.
_LIST_OF_TEXT = """CASE WHEN jsonb_typeof({column}) = 'array' THEN jsonb_array_length({column}) <= {most}
    AND NOT jsonb_path_exists({column}, 'strict $[*] ? (@.type() <> "string")') ELSE false END"""
_OBJECT = """CASE WHEN jsonb_typeof({column}) = 'object'
    THEN jsonb_array_length(jsonb_path_query_array({column}, '$.*')) <= {most}"""
_OBJECT_OF_TEXT = f"""{_OBJECT}
    AND NOT jsonb_path_exists({{column}}, 'strict $.* ? (@.type() <> "string")') ELSE false END"""

# Column: type, condition, comment.
COLUMNS = {
    "amc_further_regexps": (
        "jsonb",
        _LIST_OF_TEXT.replace("{most}", "20"),
        "Regular expressions that must match beside amc_regexp, a JSON array of texts.",
    ),
    "amc_further_forbidden_regexps": (
        "jsonb",
        _LIST_OF_TEXT.replace("{most}", "20"),
        "Regular expressions that must not match beside amc_forbidden_regexp, a JSON array of texts.",
    ),
    "amc_expected_headers": (
        "jsonb",
        _OBJECT_OF_TEXT.replace("{most}", "20"),
        "Regular expressions for headers of the answer, a JSON object of texts by name: each must match a value.",
    ),
    "amc_expected_json": (
        "jsonb",
        f"{_OBJECT.replace('{most}', '20')} ELSE false END",
        "What JSON paths (RFC 9535) must find in the body, an object of values by paths: all that a path finds is it.",
    ),
    "amc_degraded_above_s": (
        "double precision",
        "({column} > 0 AND {column} <= 300 AND (amc_timeout_s IS NULL OR {column} < amc_timeout_s))",
        "Response time in seconds above which an answer that is up is too slow; null: none is.",
    ),
    "amc_secret_headers": (
        "jsonb",
        _LIST_OF_TEXT.replace("{most}", "50"),
        "Names of headers in amc_headers that no redirect takes to another host, a JSON array of texts.",
    ),
    "amc_client_certificate": (
        "text",
        "{column} ~ '^[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}$'",
        "Client certificate to show: the name of a file in monitor.client_certificate_directory of the producers.",
    ),
}

# Column: the comment, and the one before.
CHANGED = {
    "availability_monitor_config.amc_headers": (
        "Request headers, a JSON object of texts by name. A redirect takes none that is secret to another host.",
        "Request headers, a JSON object of texts by name. A redirect to another site gets none.",
    ),
    "availability_result.regexp_matched": (
        "Whether all regular expressions that must match did; null when the target has none or no body came.",
        "Whether amc_regexp matched; null when the target has none or no body came.",
    ),
    "availability_result.body_excerpt": (
        "The beginning of a body in which something was not found, cut at monitor.body_excerpt.",
        "The beginning of a body that amc_regexp did not match, cut at monitor.body_excerpt.",
    ),
}


def upgrade() -> None:
    for column, (kind, condition, about) in COLUMNS.items():
        run(f"ALTER TABLE {{schema}}.availability_monitor_config ADD COLUMN {column} {kind}")
        # Not valid: rows that are there hold null, so reading them all under a lock would find nothing.
        run(
            f"ALTER TABLE {{schema}}.availability_monitor_config ADD CONSTRAINT {column}_check "
            f"CHECK ({{column}} IS NULL OR {condition}) NOT VALID",
            column=column,
        )
        run(f"COMMENT ON COLUMN {{schema}}.availability_monitor_config.{column} IS '{about}'")
    for place, (about, _) in CHANGED.items():
        run(f"COMMENT ON COLUMN {{schema}}.{place} IS '{about}'")


def downgrade() -> None:
    for place, (_, about) in CHANGED.items():
        run(f"COMMENT ON COLUMN {{schema}}.{place} IS '{about}'")
    for column in reversed(COLUMNS):
        run(f"ALTER TABLE {{schema}}.availability_monitor_config DROP COLUMN {column}")
