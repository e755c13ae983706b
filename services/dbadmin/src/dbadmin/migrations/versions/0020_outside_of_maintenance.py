"""Views can leave maintenance windows out: when each of them holds, and what of a day lies outside of them."""

from psycopg import sql

from dbadmin.install.statements import run

revision = "0020"
down_revision = "0019"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

TABLES = (
    """
CREATE TABLE {schema}.maintenance_occurrence (
    window_id bigint NOT NULL REFERENCES {schema}.maintenance_window ON DELETE CASCADE,
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (window_id, begins_at),
    CONSTRAINT maintenance_occurrence_ends_after_it_begins CHECK (ends_at > begins_at)
)
""",
    """
CREATE INDEX maintenance_occurrence_time ON {schema}.maintenance_occurrence USING gist (tstzrange(begins_at, ends_at))
""",
    """
CREATE TABLE {schema}.maintenance_progress (
    window_id bigint PRIMARY KEY REFERENCES {schema}.maintenance_window ON DELETE CASCADE,
    stated bigint NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    problem text
)
""",
)
# As in revision 0011.
URL = """coalesce((
    SELECT c.before ->> 'amc_url' FROM {schema}.availability_monitor_config_history c
    WHERE c.target_id = s.target_id AND c.changed_at > s.day AND c.before ? 'amc_url' ORDER BY c.changed_at LIMIT 1
), CASE WHEN strpos(t.amc_url, '@') > 0
    THEN regexp_replace(t.amc_url, '^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@', '\\1') ELSE t.amc_url END)"""
# A day that no window touches is as it was rolled up. Of others the hours count, but for those within windows; and of
# hours that windows cut the rows. Where these are gone, the hour counts if windows take no more than half of it. What
# holds on a day for some labels is looked up once for all targets that have them (Memoize).
VIEW = f"""
CREATE VIEW {{schema}}.website_availability_outside_daily AS
SELECT v.target_id, v.url, v.location, v.day, v.up + v.down + v.unknown AS checks, v.up, v.down, v.unknown,
    v.up::double precision / nullif(v.up + v.down, 0) AS availability, v.checks - v.up - v.down - v.unknown AS left_out,
    v.labels
FROM (
    SELECT s.target_id, {URL} AS url, s.location, (s.day AT TIME ZONE 'UTC')::date AS day,
        s.up + s.down + s.unknown AS checks, t.amc_labels AS labels,
        CASE WHEN m.held IS NULL THEN s.up ELSE o.up END AS up,
        CASE WHEN m.held IS NULL THEN s.down ELSE o.down END AS down,
        CASE WHEN m.held IS NULL THEN s.unknown ELSE o.unknown END AS unknown
    FROM {{schema}}.availability_daily s
    LEFT JOIN {{schema}}.availability_monitor_config t ON t.amc_id = s.target_id
    LEFT JOIN (
        SELECT DISTINCT ON (target_id) target_id, before -> 'amc_labels' AS labels
        FROM {{schema}}.availability_monitor_config_history WHERE change = 'deleted'
        ORDER BY target_id, changed_at DESC
    ) g ON g.target_id = s.target_id AND t.amc_id IS NULL
    CROSS JOIN LATERAL (
        SELECT range_agg(tstzrange(p.begins_at, least(p.ends_at, w.ended_at))) AS held
        FROM {{schema}}.maintenance_occurrence p JOIN {{schema}}.maintenance_window w ON w.window_id = p.window_id
        WHERE tstzrange(p.begins_at, p.ends_at) && tstzrange(s.day, s.day + interval '24 hours')
        AND p.begins_at < coalesce(w.ended_at, 'infinity')
        AND coalesce(nullif(coalesce(t.amc_labels, g.labels), 'null'), '{{{{}}}}') @> w.match
    ) m
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(c.up), 0)::integer AS up, coalesce(sum(c.down), 0)::integer AS down,
            coalesce(sum(c.unknown), 0)::integer AS unknown
        FROM {{schema}}.availability_hourly h
        CROSS JOIN LATERAL (SELECT tstzrange(h.hour, h.hour + interval '1 hour') AS whole) i
        CROSS JOIN LATERAL (
            SELECT h.up, h.down, h.unknown WHERE NOT m.held && i.whole
            UNION ALL
            SELECT CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.up WHEN NOT r.mostly THEN h.up END,
                CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.down WHEN NOT r.mostly THEN h.down END,
                CASE WHEN r.rows >= h.up + h.down + h.unknown THEN r.unknown WHEN NOT r.mostly THEN h.unknown END
            FROM (
                SELECT count(*) AS rows, count(*) FILTER (WHERE outside AND status = 'up') AS up,
                    count(*) FILTER (WHERE outside AND status = 'down') AS down,
                    count(*) FILTER (WHERE outside AND status = 'unknown') AS unknown,
                    (SELECT sum(upper(x) - lower(x)) > interval '30 minutes'
                        FROM unnest(m.held * tstzmultirange(i.whole)) x) AS mostly
                FROM (
                    SELECT x.status, NOT m.held @> x.scheduled_at AS outside FROM {{schema}}.availability_result x
                    WHERE x.target_id = h.target_id AND x.location = h.location
                    AND x.scheduled_at >= h.hour AND x.scheduled_at < h.hour + interval '1 hour'
                ) x
            ) r WHERE m.held && i.whole AND NOT m.held @> i.whole
        ) c
        WHERE h.target_id = s.target_id AND h.location = s.location AND h.hour >= s.day
        AND h.hour < s.day + interval '24 hours' AND m.held IS NOT NULL
    ) o ON true
) v
"""  # noqa: S608
COMMENTS = {
    "TABLE maintenance_occurrence": (
        "When maintenance windows hold, also in the past, as far back as there are roll-ups; written by dbadmin "
        "maintain, some days ahead. A window that was ended since then holds no longer than that."
    ),
    "COLUMN maintenance_occurrence.window_id": "The window.",
    "COLUMN maintenance_occurrence.begins_at": "When it begins to hold.",
    "COLUMN maintenance_occurrence.ends_at": "From when on it no longer does.",
    "TABLE maintenance_progress": "For which time it is written down when each maintenance window holds.",
    "COLUMN maintenance_progress.window_id": "The window.",
    "COLUMN maintenance_progress.stated": "A hash of what it was then; another one when it was changed since.",
    "COLUMN maintenance_progress.since": "The beginning of that time.",
    "COLUMN maintenance_progress.until": "Its end.",
    "COLUMN maintenance_progress.problem": "Why the window cannot be used and never holds; null when it can.",
    "VIEW website_availability_outside_daily": (
        "Roll-up of each UTC day, of a target from a location, without what lies in maintenance windows: also in those "
        "that were added afterwards. As of the last run of dbadmin maintain. Ask for days or for a target."
    ),
    "COLUMN website_availability_outside_daily.target_id": "The target: amc_id of availability_monitor_config.",
    "COLUMN website_availability_outside_daily.url": (
        "The URL at that time, without user name and password; null when the target was deleted before revision 0011."
    ),
    "COLUMN website_availability_outside_daily.location": (
        "The place that the website was checked from: monitor.location of the producer."
    ),
    "COLUMN website_availability_outside_daily.day": "The UTC day.",
    "COLUMN website_availability_outside_daily.checks": "Number of results outside of maintenance windows.",
    "COLUMN website_availability_outside_daily.up": "Of these, those that were up.",
    "COLUMN website_availability_outside_daily.down": "Those that were down.",
    "COLUMN website_availability_outside_daily.unknown": "Those that say nothing about the website.",
    "COLUMN website_availability_outside_daily.availability": (
        "Share of the checks that were up among those up or down; null without any."
    ),
    "COLUMN website_availability_outside_daily.left_out": "Number of results of the day in maintenance windows.",
    "COLUMN website_availability_outside_daily.labels": (
        "Labels of the target as they are now: whose it is; null when it has none or was deleted. By these, or those "
        "that it had when it was deleted, windows match it."
    ),
}


def upgrade() -> None:
    for statement in (*TABLES, VIEW):
        run(statement)
    for what, text in COMMENTS.items():
        kind, name = what.split()
        literal = sql.Literal(text).as_string().replace("{", "{{").replace("}", "}}")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS {literal}")


def downgrade() -> None:
    run("DROP VIEW {schema}.website_availability_outside_daily")
    run("DROP TABLE {schema}.maintenance_progress")
    run("DROP TABLE {schema}.maintenance_occurrence")
