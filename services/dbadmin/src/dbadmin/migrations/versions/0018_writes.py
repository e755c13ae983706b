"""What status-svc writes for people and programs: notes on incidents, and who wrote what."""

import importlib

from psycopg import sql

from dbadmin.install.statements import run

revision = "0018"
down_revision = "0017"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# As in revision 0015.
URL = """CASE WHEN strpos(t.amc_url, '@') > 0
    THEN regexp_replace(t.amc_url, '^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@', '\\1') ELSE t.amc_url END"""
VIEW = f"""
SELECT t.amc_id AS target_id, {URL} AS url, t.amc_active AS active, t.amc_check_interval_s AS check_interval_s,
    t.amc_timeout_s AS timeout_s, t.amc_method AS method, t.amc_expected_status AS expected_status,
    t.amc_regexp AS regexp, t.amc_labels AS labels, t.amc_added_at AS added_at, t.amc_added_by AS added_by"""
# The values of headers and bodies stay out: they may be secrets. xmin is another one after every change of the row
# (PostgreSQL documentation, "System Columns").
MORE = """,
    t.amc_follow_redirects AS follow_redirects, t.amc_verify_tls AS verify_tls,
    t.amc_forbidden_regexp AS forbidden_regexp, t.amc_connect_to AS connect_to,
    t.amc_address_family AS address_family, t.amc_further_regexps AS further_regexps,
    t.amc_further_forbidden_regexps AS further_forbidden_regexps, t.amc_expected_headers AS expected_headers,
    t.amc_expected_json AS expected_json, t.amc_degraded_above_s AS degraded_above_s,
    t.amc_secret_headers AS secret_headers, t.amc_client_certificate AS client_certificate,
    t.xmin::text AS version"""
FROM = " FROM {schema}.availability_monitor_config t"

# Whoever writes for somebody says so for its transaction. The account stays in front: nobody can name another.
WHO = "session_user || coalesce(' for ' || nullif(current_setting('monitoring.actor', true), ''), '')"
SAID_BY = (
    ("availability_monitor_config", "amc_added_by"),
    ("availability_monitor_config_history", "changed_by"),
    ("maintenance_window", "added_by"),
)
TABLES = (
    f"""
CREATE TABLE {{schema}}.incident_note (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id bigint NOT NULL,
    began_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL CHECK (kind IN ('investigating', 'identified', 'monitoring', 'resolved')),
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000),
    public boolean NOT NULL DEFAULT false,
    added_by text NOT NULL DEFAULT {WHO},
    withdrawn_at timestamptz
)
""",
    "CREATE INDEX incident_note_of_target ON {schema}.incident_note (target_id, note_id)",
    """
CREATE TABLE {schema}.status_write (
    write_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    account text NOT NULL DEFAULT session_user,
    token_id bigint NOT NULL,
    token text NOT NULL,
    operation text NOT NULL,
    subject text NOT NULL,
    idempotency_key text,
    request bytea,
    status smallint NOT NULL,
    location text,
    answer bytea,
    CONSTRAINT status_write_key UNIQUE (token_id, idempotency_key)
)
""",
)
COMMENTS = {
    "COLUMN website_target.follow_redirects": "Whether its check follows redirects; null for yes.",
    "COLUMN website_target.verify_tls": "Whether its certificate is verified; null for yes.",
    "COLUMN website_target.forbidden_regexp": "What its body must not match; null for nothing.",
    "COLUMN website_target.connect_to": "The host and port that its check connects to instead of those of the URL.",
    "COLUMN website_target.address_family": "ipv4 or ipv6 alone; null for both.",
    "COLUMN website_target.further_regexps": "What its body must match as well.",
    "COLUMN website_target.further_forbidden_regexps": "What its body must not match as well.",
    "COLUMN website_target.expected_headers": "What headers of its answer must match, by their names.",
    "COLUMN website_target.expected_json": "What its body must have, by JSON paths.",
    "COLUMN website_target.degraded_above_s": "The response time in seconds above which it is degraded.",
    "COLUMN website_target.secret_headers": "Names of the headers that no redirect to another place gets.",
    "COLUMN website_target.client_certificate": "The file with the certificate that its check shows.",
    "COLUMN website_target.version": "Another one after every change.",
    "TABLE incident_note": "What people say of incidents.",
    "COLUMN incident_note.note_id": "Number of the note.",
    "COLUMN incident_note.target_id": "The target that the incident is of.",
    "COLUMN incident_note.began_at": "A moment within the incident: when it began, as far as was known.",
    "COLUMN incident_note.noted_at": "When it was written.",
    "COLUMN incident_note.kind": "investigating, identified, monitoring or resolved.",
    "COLUMN incident_note.text": "What there is to say.",
    "COLUMN incident_note.public": "Whether the public pages show it.",
    "COLUMN incident_note.added_by": "The account that wrote it, and for which token.",
    "COLUMN incident_note.withdrawn_at": "When it was withdrawn: nothing shows it since then.",
    "TABLE status_write": "What was written through the API of status-svc, by which token.",
    "COLUMN status_write.write_id": "Number of the write.",
    "COLUMN status_write.written_at": "When it was done.",
    "COLUMN status_write.account": "The account of PostgreSQL that did it.",
    "COLUMN status_write.token_id": "The token that was shown.",
    "COLUMN status_write.token": "The name of that token then.",
    "COLUMN status_write.operation": "What was done, by its name in the description of the API.",
    "COLUMN status_write.subject": "To what it was done: the path of it.",
    "COLUMN status_write.idempotency_key": "By what the same request is known again; null when it stated none.",
    "COLUMN status_write.request": "SHA-256 of the request that stated it.",
    "COLUMN status_write.status": "The status code that was answered.",
    "COLUMN status_write.location": "Where the answer said that it is; null when it did not.",
    "COLUMN status_write.answer": "What was answered, for a request that comes again.",
    "COLUMN availability_monitor_config.amc_added_by": (
        "The account that added it, and for which token of status-svc; null for targets from before revision 0011."
    ),
    "COLUMN availability_monitor_config_history.changed_by": (
        "The account that changed it, and for which token of status-svc."
    ),
    "COLUMN maintenance_window.added_by": "The account that added it, and for which token of status-svc.",
    "COLUMN website_target.added_by": (
        "The account that added it, and for which token of status-svc; null for targets from before revision 0011."
    ),
}

# The comments of before on what this revision says anew.
BEFORE = {
    "COLUMN availability_monitor_config.amc_added_by": (
        "The account that added it; null for targets from before revision 0011."
    ),
    "COLUMN availability_monitor_config_history.changed_by": "The account that was logged in.",
    "COLUMN maintenance_window.added_by": "Who added it; an account of PostgreSQL.",
}


def upgrade() -> None:
    run(f"CREATE OR REPLACE VIEW {{schema}}.website_target AS {VIEW}{MORE}{FROM}")
    for table, column in SAID_BY:
        run(f"ALTER TABLE {{schema}}.{table} ALTER {column} SET DEFAULT {WHO}")
    for statement in TABLES:
        run(statement)
    _comment(COMMENTS)


def downgrade() -> None:
    run("DROP TABLE {schema}.status_write")
    run("DROP TABLE {schema}.incident_note")
    for table, column in SAID_BY:
        run(f"ALTER TABLE {{schema}}.{table} ALTER {column} SET DEFAULT session_user")
    run("DROP VIEW {schema}.website_target")
    run(f"CREATE VIEW {{schema}}.website_target AS {VIEW}{FROM}")
    # It has the comments on the view of before.
    earlier = importlib.import_module("dbadmin.migrations.versions.0015_status")
    _comment({what: text for what, text in earlier.COMMENTS.items() if "website_target" in what} | BEFORE)


def _comment(comments: dict[str, str]) -> None:
    for what, text in comments.items():
        kind, name = what.split()
        literal = sql.Literal(text).as_string().replace("{", "{{").replace("}", "}}")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS {literal}")
