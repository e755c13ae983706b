"""What a report of a month reads: which targets were due from which location, and when."""

from dbadmin.install.statements import run

revision = "0019"
down_revision = "0018"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# A version of a target lasts until the change that ended it, the present one for ever. A change keeps the fields that
# it changed, as they were, and a deletion all that were not null: what a version does not say itself, the next that
# says it knows. So `*_part` counts from the end those that say it, and each has its value for those before it. A target
# from before revision 0011, which first wrote down when targets are added, is taken as due from the first result of its
# location on, if it was changed since then.
VIEW = """
CREATE VIEW {schema}.website_due AS
WITH version AS (
    SELECT target_id, changed_at AS until, change_id, change, before ->> 'amc_active' AS active,
        before ->> 'amc_check_interval_s' AS interval_s, before ->> 'amc_url' AS url,
        CASE WHEN change = 'deleted' THEN before ->> 'amc_labels' END AS labels,
        before ->> 'amc_added_at' AS added_at, NULL::timestamptz AS active_since,
        change = 'deleted' OR before ? 'amc_active' AS says_active,
        change = 'deleted' OR before ? 'amc_check_interval_s' AS says_interval
    FROM {schema}.availability_monitor_config_history
    WHERE change = 'deleted' OR before ?| ARRAY['amc_active', 'amc_check_interval_s']
    UNION ALL
    SELECT amc_id, 'infinity', NULL, 'present', amc_active::text, amc_check_interval_s::text, {url},
        amc_labels::text, amc_added_at::text, amc_active_since, true, true
    FROM {schema}.availability_monitor_config t
), parted AS (
    SELECT *, lag(until) OVER (PARTITION BY target_id ORDER BY until, change_id) AS changed_at,
        coalesce(lag(change) OVER (PARTITION BY target_id ORDER BY until, change_id) = 'deleted', true) AS first,
        count(*) FILTER (WHERE says_active) OVER onwards AS active_part,
        count(*) FILTER (WHERE says_interval) OVER onwards AS interval_part,
        count(*) FILTER (WHERE change <> 'changed') OVER onwards AS life
    FROM version
    WINDOW onwards AS (
        PARTITION BY target_id ORDER BY until, change_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
), known AS (
    SELECT target_id, until, changed_at, first, active_since,
        max(active) OVER (PARTITION BY target_id, active_part)::boolean AS active,
        max(interval_s) OVER (PARTITION BY target_id, interval_part)::integer AS check_interval_s,
        max(url) FILTER (WHERE change <> 'changed') OVER (PARTITION BY target_id, life) AS url,
        max(labels) OVER (PARTITION BY target_id, life) AS labels,
        max(added_at) OVER (PARTITION BY target_id, life)::timestamptz AS added_at
    FROM parted
), begun AS (
    SELECT target_id, url, check_interval_s, labels, until, CASE
        WHEN active_since IS NOT NULL AND NOT first THEN active_since
        WHEN active_since IS NOT NULL THEN greatest(active_since, changed_at)
        WHEN NOT first THEN changed_at
        ELSE coalesce(greatest(added_at, changed_at), '-infinity') END AS began
    FROM known WHERE active
), span AS (
    -- A change is noted a moment after the transaction began from which the next version counts.
    SELECT *, least(until, lead(began) OVER (PARTITION BY target_id ORDER BY until)) AS ended FROM begun
)
SELECT s.target_id, s.url, l.location, greatest(s.began, l.first_at) AS due_from,
    nullif(least(s.ended, l.forgotten_at), 'infinity') AS due_until,
    coalesce(s.check_interval_s, w.check_interval_s, 60) AS check_interval_s, s.labels::jsonb AS labels
FROM span s CROSS JOIN {schema}.availability_location l
LEFT JOIN (
    SELECT location, max(check_interval_s) AS check_interval_s FROM {schema}.producer_lease GROUP BY location
) w ON w.location = l.location
WHERE greatest(s.began, l.first_at) < least(s.ended, coalesce(l.forgotten_at, 'infinity'))
"""
# An account that may read views may not read the user names and passwords in URLs.
URL = """CASE WHEN strpos(t.amc_url, '@') > 0
        THEN regexp_replace(t.amc_url, '^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@', '\\1') ELSE t.amc_url END"""
# The view of days has them as dates: without it, a month of days is found by reading the days of all years.
INDEX = """
CREATE INDEX availability_daily_date ON {schema}.availability_daily (((day AT TIME ZONE 'UTC')::date))
"""
COMMENTS = {
    "VIEW {schema}.website_due": (
        "When each target was due from each location: a row for each time in which it was active with one interval. "
        "Targets that were deleted are among them."
    ),
    "COLUMN {schema}.website_due.target_id": "The target.",
    "COLUMN {schema}.website_due.url": "Its URL now, or when it was deleted, without user name and password.",
    "COLUMN {schema}.website_due.location": "The place that the website was checked from.",
    "COLUMN {schema}.website_due.due_from": (
        "The first moment at which a slot was due: not before the first result of the location."
    ),
    "COLUMN {schema}.website_due.due_until": (
        "The moment from which on none was: the target was changed, deactivated or deleted, or the location forgotten; "
        "null while it lasts."
    ),
    "COLUMN {schema}.website_due.check_interval_s": (
        "The interval of that time in seconds; of a target that leaves it to the configuration, the present one."
    ),
    "COLUMN {schema}.website_due.labels": "Its labels now, or when it was deleted; null when it has none.",
}


def upgrade() -> None:
    run(VIEW.replace("{url}", URL))
    run(INDEX)
    for what, text in COMMENTS.items():
        run(f"COMMENT ON {what} IS '{text}'")


def downgrade() -> None:
    run("DROP INDEX {schema}.availability_daily_date")
    run("DROP VIEW {schema}.website_due")
