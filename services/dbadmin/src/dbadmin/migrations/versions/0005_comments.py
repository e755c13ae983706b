"""Comments on every table, view and column, for whoever looks at the schema with psql or another tool."""

from psycopg import sql

from dbadmin.install.statements import run

revision = "0005"
down_revision = "0004"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

Comments = dict[str, tuple[str, dict[str, str]]]

_TARGET = "The target: amc_id of availability_monitor_config."
_LOCATION = "The place that the website was checked from: monitor.location of the producer."
_HOUR = "The beginning of the hour, UTC."
_UP, _DOWN = "Number of checks that were up.", "Number of checks that were down."
_UNKNOWN = "Number of checks that say nothing about the website: not run in time, or spoiled by the prober itself."
_P50 = "Median response time in seconds, within 2 %; null when none was measured."
_P95 = "95th percentile of the response times in seconds, within 2 %; null when none was measured."
_P99 = "99th percentile of the response times in seconds, within 2 %; null when none was measured."
_SKETCH = "Response times counted in buckets that grow by 4 %, each entry bucket << 20 | count; sketches add up."
_REASON = "Why it is not up; null exactly when it is."
_FIRST_REASON = "Reason of the first of these checks."
_URL = "The URL, without user name and password; null when the target was deleted."
_CHECKS = "Number of checks that were due: up, down and unknown."
_AVAILABILITY = "Share of the checks that were up among those that were up or down, 0 to 1; null without any."
_RESPONSE_TIME = "From the start of the check to the last byte of the body, in seconds."

TABLES: Comments = {
    "schema_version": (
        "The revision that the schema is at: one row, kept by dbadmin.",
        {
            "version_num": "The revision, four digits.",
            "oldest_served": "The oldest revision whose services still work with this one.",
        },
    ),
    "availability_monitor_config": (
        "Targets: the websites to check, written by users with SQL or dbadmin targets. Null means the default.",
        {
            "amc_id": "Identity of the target. Producers share the active targets out in this order.",
            "amc_url": "The URL to request, http or https. Views and results leave a user name and password in it out.",
            "amc_regexp": "Regular expression (RE2) that must match somewhere in the body; null: any body will do.",
            "amc_active": "Whether the website is checked.",
            "amc_check_interval_s": "Seconds from one check to the next, 1 to 86400; null: monitor.check_interval.",
            "amc_timeout_s": "Time budget of one check in seconds; null: monitor.timeout, at most 0.9 of the interval.",
            "amc_method": "HTTP method: GET, HEAD or POST; null: GET.",
            "amc_expected_status": "Status codes that count as up, like 200-299,301; null: monitor.expected_status.",
            "amc_headers": "Request headers, a JSON object of texts by name. A redirect to another site gets none.",
            "amc_follow_redirects": "Whether redirects are followed; null: they are.",
            "amc_verify_tls": "Whether the certificate of the website is verified; null: it is.",
            "amc_labels": "Labels for people and their tools, a JSON object of texts by name; the monitor uses none.",
            "amc_body": "Body of a POST request.",
            "amc_active_since": "Since when it is active with its present interval: its slots begin then.",
        },
    ),
    "availability_monitor_config_version": (
        "One row, by which producers notice that targets have changed.",
        {"version": "Counted up by every statement that changes targets."},
    ),
    "producer_lease": (
        "Leases: which process works as which producer, one row for each location and producer ID.",
        {
            "location": "The place that the producer checks from: monitor.location.",
            "producer_id": "The producer ID, from 1. It says which range of the active targets is worked.",
            "holder": "The process that holds the ID, or held it last: host, process ID and a random number.",
            "expires_at": "When the lease ends unless it is renewed, by the clock of PostgreSQL; then the ID is free.",
            "accounted_until": "The watermark: all slots of the range before it have results in Kafka.",
        },
    ),
    "availability_result": (
        "Results: one row for each slot of a target, seen from one location. Partitioned by UTC day, or a hypertable.",
        {
            "target_id": _TARGET,
            "scheduled_at": "The slot: when the check was due.",
            "started_at": "When the first step of the check began; null when it was not run.",
            "finished_at": "When the verdict stood; null when it was not run.",
            "certificate_expires_at": "When the last certificate seen expires.",
            "producer_id": "The producer ID that wrote the result.",
            "body_bytes": "Bytes of the body that were read, after decompression.",
            "queue_delay_s": "From due to started, in seconds: the delay of the prober, not of the website.",
            "dns_s": "Name look-ups in seconds, those of all redirects together.",
            "connect_s": "TCP connects in seconds, those of all redirects together.",
            "tls_s": "TLS handshakes in seconds, those of all redirects together.",
            "first_byte_s": "From request to response headers, in seconds, those of all redirects together.",
            "transfer_s": "Reading the body, in seconds.",
            "response_time_s": _RESPONSE_TIME,
            "http_status": "Status code of the last response; null when there was none.",
            "regexp_matched": "Whether amc_regexp matched; null when the target has none or no body came.",
            "location": _LOCATION,
            "status": "The verdict: up, down, or unknown when it says nothing about the website.",
            "reason": _REASON,
            "remote_address": "IP address of the last connection.",
            "error": "What went wrong, one line for a person.",
            "final_url": "Of a check that is not up: the URL requested last, without user name and password.",
            "certificate_subject": "Of a check that is not up: whom the last certificate seen names.",
            "certificate_issuer": "Of a check that is not up: who signed the last certificate seen.",
            "body_excerpt": "The beginning of a body that amc_regexp did not match, cut at monitor.body_excerpt.",
        },
    ),
    "availability_dirty_hour": (
        "Hours to roll up again because results came: marked by consumers with the rows, unmarked by maintain.",
        {"hour": _HOUR},
    ),
    "availability_dirty_day": (
        "Days to roll up again because their hours changed: dbadmin maintain marks and unmarks them.",
        {"day": "The beginning of the UTC day."},
    ),
    "availability_hourly": (
        "Hourly roll-ups of the results. See view website_availability_hourly.",
        {
            "target_id": _TARGET,
            "hour": _HOUR,
            "first_up_at": "Slot of the first check of the hour that was up; null when none was.",
            "up": _UP,
            "down": _DOWN,
            "unknown": _UNKNOWN,
            "p50_s": _P50,
            "p95_s": _P95,
            "p99_s": _P99,
            "location": _LOCATION,
            "response_sketch": _SKETCH,
        },
    ),
    "availability_daily": (
        "Daily roll-ups, made from the hourly ones. See view website_availability_daily.",
        {
            "target_id": _TARGET,
            "day": "The beginning of the UTC day.",
            "up": _UP,
            "down": _DOWN,
            "unknown": _UNKNOWN,
            "p50_s": _P50,
            "p95_s": _P95,
            "p99_s": _P99,
            "location": _LOCATION,
            "response_sketch": _SKETCH,
        },
    ),
    "availability_down_run": (
        "Checks of one hour that were down with none in between that was up: what incidents are joined from.",
        {
            "target_id": _TARGET,
            "began_at": "Slot of the first of these checks.",
            "hour": _HOUR,
            "checks": _DOWN,
            "location": _LOCATION,
            "reason": _FIRST_REASON,
        },
    ),
    "availability_incident": (
        "Incidents, each from the first check that was down to the first that was up again. See view website_incident.",
        {
            "target_id": _TARGET,
            "began_at": "Slot of the first check that was down.",
            "ended_at": "Slot of the first check that was up again; null while the incident is open.",
            "checks": _DOWN,
            "location": _LOCATION,
            "reason": _FIRST_REASON,
        },
    ),
    "availability_state": (
        "The newest check of each target and location at the last run of dbadmin maintain. See view website_status.",
        {
            "target_id": _TARGET,
            "scheduled_at": "Slot of the newest check.",
            "certificate_expires_at": "When the last certificate seen expires.",
            "first_up_at": "Slot of the first check that was ever up; null when none was.",
            "recovered_at": "When the last incident ended; null without one that ended.",
            "last_real_at": "Slot of the newest check that was up or down; null when none was.",
            "unknown_since": "Slot of the first unknown check after last_real_at; null unless the status is unknown.",
            "response_time_s": _RESPONSE_TIME,
            "http_status": "Status code of the newest check.",
            "location": _LOCATION,
            "status": "Status of the newest check: up, down or unknown.",
            "reason": _REASON,
        },
    ),
    "availability_progress": (
        "How far dbadmin maintain has come: one row.",
        {
            "tail_from": "The view website_status reads results since then in one sweep, and older ones one by one.",
            "compared_until": "The last UTC day whose roll-ups were compared with its results.",
        },
    ),
}

VIEWS: Comments = {
    "website_status": (
        "The status of each active target from each location at this moment.",
        {
            "target_id": _TARGET,
            "url": "The URL, without user name and password.",
            "location": _LOCATION,
            "status": "up, down, or unknown when nothing can be said about the website.",
            "reason": "Why it is not up; not_checked_yet before the first check; null when it is up.",
            "since": "Slot of the first check of this status. Unknown checks do not interrupt up or down.",
            "last_check_at": "Slot of the newest check; null before the first.",
            "response_time_s": _RESPONSE_TIME,
            "http_status": "Status code of the newest check.",
            "certificate_expires_at": "When the last certificate seen expires.",
            "availability_today": "Availability of this UTC day at the last run of dbadmin maintain, 0 to 1.",
        },
    ),
    "website_availability_hourly": (
        "Availability and response times of each target, location and hour, as of the last run of dbadmin maintain.",
        {
            "target_id": _TARGET,
            "url": _URL,
            "location": _LOCATION,
            "hour": _HOUR,
            "checks": _CHECKS,
            "up": _UP,
            "down": _DOWN,
            "unknown": _UNKNOWN,
            "availability": _AVAILABILITY,
            "p50_s": _P50,
            "p95_s": _P95,
            "p99_s": _P99,
        },
    ),
    "website_availability_daily": (
        "Availability and response times of each target, location and UTC day, as of the last run of dbadmin maintain.",
        {
            "target_id": _TARGET,
            "url": _URL,
            "location": _LOCATION,
            "day": "The UTC day.",
            "checks": _CHECKS,
            "up": _UP,
            "down": _DOWN,
            "unknown": _UNKNOWN,
            "availability": _AVAILABILITY,
            "p50_s": _P50,
            "p95_s": _P95,
            "p99_s": _P99,
        },
    ),
    "website_incident": (
        "Incidents of each target and location, as of the last run of dbadmin maintain.",
        {
            "target_id": _TARGET,
            "url": _URL,
            "location": _LOCATION,
            "began_at": "Slot of the first check that was down.",
            "ended_at": "Slot of the first check that was up again; null while the incident is open.",
            "duration": "From began_at to ended_at; to this moment while the incident is open.",
            "reason": _FIRST_REASON,
            "checks": _DOWN,
        },
    ),
}


def upgrade() -> None:
    # Alembic's hook in env.py adds this column only after the revision, and a schema of an older release lacks it.
    run("ALTER TABLE {schema}.{versions} ADD COLUMN IF NOT EXISTS oldest_served text")
    for kind, comments in (("TABLE", TABLES), ("VIEW", VIEWS)):
        for relation, (text, columns) in comments.items():
            _comment(kind, relation, text)
            for column, about in columns.items():
                _comment("COLUMN", f"{relation}.{column}", about)


def downgrade() -> None:
    for kind, comments in (("TABLE", TABLES), ("VIEW", VIEWS)):
        for relation, (_, columns) in comments.items():
            _comment(kind, relation, None)
            for column in columns:
                _comment("COLUMN", f"{relation}.{column}", None)


def _comment(kind: str, name: str, text: str | None) -> None:
    """Comment on a table, a view or a column in the schema; without a text, remove the comment."""
    literal = sql.Literal(text).as_string().replace("{", "{{").replace("}", "}}")
    run(f"COMMENT ON {kind} {{schema}}.{name} IS {literal}")
