"""What status-svc reads: targets without what may be secret, and the tokens of those who ask."""

from psycopg import sql

from dbadmin.install.statements import run

revision = "0015"
down_revision = "0014"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# An account that may read views may not read the user names and passwords in URLs.
URL = """CASE WHEN strpos(t.amc_url, '@') > 0
    THEN regexp_replace(t.amc_url, '^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@', '\\1') ELSE t.amc_url END"""

UPGRADE = (
    f"""
CREATE VIEW {{schema}}.website_target AS
SELECT t.amc_id AS target_id, {URL} AS url, t.amc_active AS active, t.amc_check_interval_s AS check_interval_s,
    t.amc_timeout_s AS timeout_s, t.amc_method AS method, t.amc_expected_status AS expected_status,
    t.amc_regexp AS regexp, t.amc_labels AS labels, t.amc_added_at AS added_at, t.amc_added_by AS added_by
FROM {{schema}}.availability_monitor_config t
""",  # noqa: S608
    """
CREATE TABLE {schema}.status_token (
    token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write'] AND cardinality(scopes) > 0),
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz,
    revoked_at timestamptz
)
""",
    "CREATE UNIQUE INDEX status_token_name ON {schema}.status_token (name) WHERE revoked_at IS NULL",
    # Alerts are paged in the order in which they changed.
    "CREATE INDEX alert_transition_sequence ON {schema}.alert_transition (sequence)",
)
COMMENTS = {
    "VIEW website_target": "The targets, without headers and bodies, which may hold secrets.",
    "COLUMN website_target.target_id": "The target.",
    "COLUMN website_target.url": "Its URL, without user name and password.",
    "COLUMN website_target.active": "Whether the target is checked.",
    "COLUMN website_target.check_interval_s": "Its check interval in seconds; null for the one of the configuration.",
    "COLUMN website_target.timeout_s": "Its timeout in seconds; null for the one of the configuration.",
    "COLUMN website_target.method": "Its HTTP method; null for GET.",
    "COLUMN website_target.expected_status": "The status codes that are up; null for those of the configuration.",
    "COLUMN website_target.regexp": "What its body must match; null for nothing.",
    "COLUMN website_target.labels": "Its labels: whose it is; null when it has none.",
    "COLUMN website_target.added_at": "When it was added; null for targets from before revision 0011.",
    "COLUMN website_target.added_by": "The account that added it; null for targets from before revision 0011.",
    "TABLE status_token": "Tokens for status-svc, as hashes.",
    "COLUMN status_token.token_id": "Number of the token.",
    "COLUMN status_token.name": "Whose it is, or what for; no two that are valid have the same.",
    "COLUMN status_token.hash": "SHA-256 of the token, which is random.",
    "COLUMN status_token.scopes": "What it allows: read, write.",
    "COLUMN status_token.added_at": "When it was added.",
    "COLUMN status_token.added_by": "Who added it; an account of PostgreSQL.",
    "COLUMN status_token.expires_at": "Until when it is valid; null for always.",
    "COLUMN status_token.revoked_at": "When it was revoked; null while it is valid.",
}


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)
    for what, text in COMMENTS.items():
        kind, name = what.split()
        literal = sql.Literal(text).as_string().replace("{", "{{").replace("}", "}}")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS {literal}")


def downgrade() -> None:
    run("DROP INDEX {schema}.alert_transition_sequence")
    run("DROP TABLE {schema}.status_token")
    run("DROP VIEW {schema}.website_target")
