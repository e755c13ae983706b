"""What status-svc reads: targets without what may be secret, and the last check of each from each location."""

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
}


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)
    for what, text in COMMENTS.items():
        kind, name = what.split()
        literal = sql.Literal(text).as_string().replace("{", "{{").replace("}", "}}")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS {literal}")


def downgrade() -> None:
    run("DROP VIEW {schema}.website_target")
