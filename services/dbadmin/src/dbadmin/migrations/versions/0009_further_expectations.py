"""What targets expect of an answer beyond its status and one regular expression."""

from dbadmin.install.statements import run

revision = "0009"
down_revision = "0008"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# What is an error of jsonb's functions on another kind of value is refused before they are called.
_LIST_OF_TEXT = """CASE WHEN jsonb_typeof({column}) = 'array' THEN jsonb_array_length({column}) <= {most}
    AND NOT jsonb_path_exists({column}, '$[*] ? (@.type() <> "string")') ELSE false END"""
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
        "What must be in a body of JSON, an object of values by JSON paths (RFC 9535): all that a path finds is the value.",
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


def downgrade() -> None:
    for column in reversed(COLUMNS):
        run(f"ALTER TABLE {{schema}}.availability_monitor_config DROP COLUMN {column}")
