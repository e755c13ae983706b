"""Roll-ups, incidents, the newest state of each target, what must be recomputed, and the views for people."""

from dbadmin.install.statements import run

revision = "0004"
down_revision = "0003"
# The oldest revision whose services still work with this one: docs/adr/0008.
oldest_served = "0001"

TABLES = (
    # Marks: consumers insert one with the rows that make an hour's roll-up out of date, and dbadmin maintain deletes it
    # when it rolls up the hour. No key and no index, so that an insert costs next to nothing and never waits.
    "CREATE TABLE {schema}.availability_dirty_hour (hour timestamptz NOT NULL)",
    "CREATE TABLE {schema}.availability_dirty_day (day timestamptz NOT NULL)",
    """
CREATE TABLE {schema}.availability_hourly (
    target_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    first_up_at timestamptz,
    up integer NOT NULL,
    down integer NOT NULL,
    unknown integer NOT NULL,
    p50_s real,
    p95_s real,
    p99_s real,
    location text NOT NULL,
    response_sketch integer[],
    PRIMARY KEY (target_id, hour, location)
)
""",
    "CREATE INDEX availability_hourly_hour ON {schema}.availability_hourly (hour)",
    """
CREATE TABLE {schema}.availability_daily (
    target_id bigint NOT NULL,
    day timestamptz NOT NULL,
    up integer NOT NULL,
    down integer NOT NULL,
    unknown integer NOT NULL,
    p50_s real,
    p95_s real,
    p99_s real,
    location text NOT NULL,
    response_sketch integer[],
    PRIMARY KEY (target_id, day, location)
)
""",
    "CREATE INDEX availability_daily_day ON {schema}.availability_daily (day)",
    # Runs of downs of one target within one hour, without an up between them.
    """
CREATE TABLE {schema}.availability_down_run (
    target_id bigint NOT NULL,
    began_at timestamptz NOT NULL,
    hour timestamptz NOT NULL,
    checks integer NOT NULL,
    location text NOT NULL,
    reason text,
    PRIMARY KEY (target_id, location, began_at)
)
""",
    "CREATE INDEX availability_down_run_hour ON {schema}.availability_down_run (hour)",
    """
CREATE TABLE {schema}.availability_incident (
    target_id bigint NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    checks bigint NOT NULL,
    location text NOT NULL,
    reason text,
    PRIMARY KEY (target_id, location, began_at)
)
""",
    "CREATE INDEX availability_incident_began ON {schema}.availability_incident (began_at)",
    "CREATE INDEX availability_incident_ended ON {schema}.availability_incident (ended_at)",
    """
CREATE TABLE {schema}.availability_state (
    target_id bigint NOT NULL,
    scheduled_at timestamptz NOT NULL,
    certificate_expires_at timestamptz,
    first_up_at timestamptz,
    recovered_at timestamptz,
    last_real_at timestamptz,
    unknown_since timestamptz,
    response_time_s real,
    http_status smallint,
    location text NOT NULL,
    status text NOT NULL,
    reason text,
    PRIMARY KEY (target_id, location)
)
""",
    # One row: the moment from which on the view of the status reads all rows, and the last day whose roll-ups were
    # compared with its results.
    "CREATE TABLE {schema}.availability_progress (tail_from timestamptz, compared_until date)",
    "INSERT INTO {schema}.availability_progress VALUES (NULL, NULL)",
    # Results that are stored already must be rolled up too: mark every hour of each partition, and the hours that the
    # default partition has.
    r"""
INSERT INTO {schema}.availability_dirty_hour
SELECT generate_series(day, least(day + interval '23 hours', now()), interval '1 hour') FROM (
    SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz AS day
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
    JOIN pg_class parent ON parent.oid = inhparent JOIN pg_namespace n ON n.oid = parent.relnamespace
    WHERE n.nspname = {name} AND parent.relname = 'availability_result'
) partitions WHERE day <= now()
""",
    """
INSERT INTO {schema}.availability_dirty_hour
SELECT DISTINCT date_trunc('hour', scheduled_at, 'UTC') FROM {schema}.availability_result_default
""",
    # With this index an hour is read without the rest of its day. Future partitions inherit it. Building it here for
    # present partitions would keep consumers from writing, so dbadmin maintain builds it for those concurrently.
    """
CREATE INDEX availability_result_time ON ONLY {schema}.availability_result USING brin (scheduled_at)
WITH (pages_per_range = 32)
""",
    """
CREATE INDEX availability_result_default_time ON {schema}.availability_result_default USING brin (scheduled_at)
WITH (pages_per_range = 32)
""",
    "ALTER INDEX {schema}.availability_result_time ATTACH PARTITION {schema}.availability_result_default_time",
)

# Declared immutable, although it is not, so that the planner evaluates it and prunes the partitions of older days. The
# time for planning then does not grow with the partitions. A plan that is kept for days reads too much, never too
# little.
RECENT = """
CREATE FUNCTION {schema}.availability_recent() RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT date_trunc('day', now(), 'UTC') - interval '1 day' $$
"""

COUNTS = """
    s.target_id, {url} AS url, s.location, {time}, s.up + s.down + s.unknown AS checks, s.up, s.down, s.unknown,
    s.up::double precision / nullif(s.up + s.down, 0) AS availability, s.p50_s, s.p95_s, s.p99_s
"""
# An account that may read views may not read the user names and passwords in URLs.
URL = """CASE WHEN strpos(t.amc_url, '@') > 0
    THEN regexp_replace(t.amc_url, '^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@', '\\1') ELSE t.amc_url END"""

# Rows may be newer than the state of their target. The newer rows of nearly all targets are read in one sweep from this
# moment on. Targets whose state is older, or that have no state yet, are looked up one by one.
TAIL_FROM = "(SELECT tail_from FROM {schema}.availability_progress)"
RANGE = "AND r.scheduled_at >= {schema}.availability_recent() AND r.scheduled_at < now() + interval '1 hour'"
KNOWN = """s.target_id, s.location, s.scheduled_at AS known_at, s.status AS known_status, s.reason AS known_reason,
    s.response_time_s AS known_response_time_s, s.http_status AS known_http_status,
    s.certificate_expires_at AS known_certificate, s.first_up_at, s.recovered_at, s.unknown_since"""

VIEWS = (
    f"""
CREATE VIEW {{schema}}.website_availability_hourly AS
SELECT {COUNTS.replace("{url}", URL).replace("{time}", "s.hour")}
FROM {{schema}}.availability_hourly s LEFT JOIN {{schema}}.availability_monitor_config t ON t.amc_id = s.target_id
""",  # noqa: S608
    f"""
CREATE VIEW {{schema}}.website_availability_daily AS
SELECT {COUNTS.replace("{url}", URL).replace("{time}", "(s.day AT TIME ZONE 'UTC')::date AS day")}
FROM {{schema}}.availability_daily s LEFT JOIN {{schema}}.availability_monitor_config t ON t.amc_id = s.target_id
""",  # noqa: S608
    f"""
CREATE VIEW {{schema}}.website_incident AS
SELECT i.target_id, {URL} AS url, i.location, i.began_at, i.ended_at,
    coalesce(i.ended_at, now()) - i.began_at AS duration, i.reason, i.checks
FROM {{schema}}.availability_incident i LEFT JOIN {{schema}}.availability_monitor_config t ON t.amc_id = i.target_id
""",  # noqa: S608
    f"""
CREATE VIEW {{schema}}.website_status AS
SELECT n.target_id, {URL} AS url, n.location,
    coalesce(n.status, n.known_status, 'unknown') AS status,
    CASE WHEN n.status IS NOT NULL THEN n.reason WHEN n.known_status IS NOT NULL THEN n.known_reason
    ELSE 'not_checked_yet' END AS reason,
    CASE
    WHEN n.status IS NULL OR n.boundary IS NULL AND n.status IS NOT DISTINCT FROM
        CASE WHEN n.status = 'unknown' THEN n.known_status WHEN i.began_at IS NOT NULL THEN 'down'
        WHEN n.first_up_at IS NOT NULL THEN 'up' END
    THEN
        CASE coalesce(n.status, n.known_status) WHEN 'down' THEN i.began_at
        WHEN 'up' THEN coalesce(n.recovered_at, n.first_up_at) ELSE n.unknown_since END
    ELSE (
        SELECT min(r.scheduled_at) FROM {{schema}}.availability_result r
        WHERE r.target_id = n.target_id AND r.location = n.location AND r.status = n.status {RANGE}
        AND r.scheduled_at >= coalesce(n.boundary, n.known_at, '-infinity')
    ) END AS since,
    coalesce(n.scheduled_at, n.known_at) AS last_check_at,
    CASE WHEN n.status IS NULL THEN n.known_response_time_s ELSE n.response_time_s END AS response_time_s,
    CASE WHEN n.status IS NULL THEN n.known_http_status ELSE n.http_status END AS http_status,
    coalesce(n.certificate_expires_at, n.known_certificate) AS certificate_expires_at,
    d.up::double precision / nullif(d.up + d.down, 0) AS availability_today
FROM (
    SELECT {KNOWN}, r.scheduled_at, r.status, r.reason, r.response_time_s, r.http_status, r.certificate_expires_at,
        CASE r.status WHEN 'up' THEN a.down_at WHEN 'down' THEN a.up_at ELSE greatest(a.up_at, a.down_at) END
            AS boundary
    FROM {{schema}}.availability_state s LEFT JOIN (
        SELECT r.target_id, r.location, max(r.scheduled_at) AS scheduled_at,
            max(r.scheduled_at) FILTER (WHERE r.status = 'up') AS up_at,
            max(r.scheduled_at) FILTER (WHERE r.status = 'down') AS down_at
        FROM {{schema}}.availability_result r WHERE r.scheduled_at >= {TAIL_FROM} {RANGE}
        GROUP BY r.target_id, r.location
    ) a ON a.target_id = s.target_id AND a.location = s.location
    LEFT JOIN {{schema}}.availability_result r ON r.target_id = a.target_id AND r.location = a.location
        AND r.scheduled_at = a.scheduled_at AND r.scheduled_at >= {TAIL_FROM} {RANGE}
    WHERE s.scheduled_at >= {TAIL_FROM}
    UNION ALL
    SELECT {KNOWN}, n.* FROM (
        SELECT * FROM {{schema}}.availability_state WHERE (scheduled_at >= {TAIL_FROM}) IS NOT TRUE
        UNION ALL
        SELECT (none).* FROM (
            SELECT ROW(amc_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, location, NULL, NULL)
                ::{{schema}}.availability_state AS none
            FROM {{schema}}.availability_monitor_config
            CROSS JOIN (SELECT DISTINCT location FROM {{schema}}.producer_lease) l
            WHERE NOT EXISTS (
                SELECT FROM {{schema}}.availability_state s WHERE s.target_id = amc_id AND s.location = l.location)
        ) missing
    ) s LEFT JOIN LATERAL (
        SELECT r.scheduled_at, r.status, r.reason, r.response_time_s, r.http_status, r.certificate_expires_at, (
            SELECT max(o.scheduled_at) FROM {{schema}}.availability_result o
            WHERE o.target_id = s.target_id AND o.location = s.location {RANGE.replace(" r.", " o.")}
            AND o.scheduled_at >= coalesce(s.scheduled_at, '-infinity')
            AND CASE r.status WHEN 'unknown' THEN o.status <> 'unknown' ELSE o.status NOT IN ('unknown', r.status) END)
        FROM {{schema}}.availability_result r WHERE r.target_id = s.target_id AND r.location = s.location {RANGE}
        AND r.scheduled_at >= coalesce(s.scheduled_at, '-infinity') ORDER BY r.scheduled_at DESC LIMIT 1
    ) n ON true
) n
JOIN {{schema}}.availability_monitor_config t ON t.amc_id = n.target_id AND t.amc_active
LEFT JOIN {{schema}}.availability_incident i
    ON i.target_id = n.target_id AND i.location = n.location AND i.ended_at IS NULL
LEFT JOIN {{schema}}.availability_daily d
    ON d.target_id = n.target_id AND d.location = n.location AND d.day = date_trunc('day', now(), 'UTC')
""",  # noqa: S608
)

DOWNGRADE = (
    "DROP VIEW {schema}.website_status",
    "DROP VIEW {schema}.website_incident",
    "DROP VIEW {schema}.website_availability_daily",
    "DROP VIEW {schema}.website_availability_hourly",
    "DROP FUNCTION {schema}.availability_recent()",
    "DROP INDEX {schema}.availability_result_time",
    "DROP TABLE {schema}.availability_progress",
    "DROP TABLE {schema}.availability_state",
    "DROP TABLE {schema}.availability_incident",
    "DROP TABLE {schema}.availability_down_run",
    "DROP TABLE {schema}.availability_daily",
    "DROP TABLE {schema}.availability_hourly",
    "DROP TABLE {schema}.availability_dirty_day",
    "DROP TABLE {schema}.availability_dirty_hour",
)


def upgrade() -> None:
    for statement in (*TABLES, RECENT, *VIEWS):
        run(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        run(statement)
