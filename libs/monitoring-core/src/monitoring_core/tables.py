"""The contract about tables: dbadmin creates them, and the services read and write them.

The names here are not quoted; SQL that is built from them quotes them.
"""

from __future__ import annotations

SCHEMA_VERSION_TABLE = "schema_version"
TARGET_TABLE = "availability_monitor_config"
TARGET_VERSION_TABLE = f"{TARGET_TABLE}_version"
LEASE_TABLE = "producer_lease"
RESULT_TABLE = "availability_result"
RESULT_DEFAULT_TABLE = f"{RESULT_TABLE}_default"
# Hours (UTC) whose roll-ups are out of date. A transaction that writes rows also writes their hours here.
DIRTY_HOUR_TABLE = "availability_dirty_hour"
# How far each partition of Kafka is stored. A transaction that writes rows also writes here how far it has come.
POSITION_TABLE = "availability_position"
# Messages that Kafka no longer had when they were due to be stored.
GAP_TABLE = "availability_gap"
# Every change of state of an alert.
TRANSITION_TABLE = "alert_transition"
ACKNOWLEDGEMENT_TABLE = "alert_acknowledgement"
# How far each partition is decided, and what deciding remembers of it, stored in one transaction with transitions.
ALERT_POSITION_TABLE = "alert_position"
ALERT_SNAPSHOT_TABLE = "alert_snapshot"
# The view of active targets that alert-svc reads.
ALERT_TARGET_VIEW = "alert_target"
WINDOW_TABLE = "maintenance_window"
# When windows hold, for views.
OCCURRENCE_TABLE = "maintenance_occurrence"
# Messages about alerts, attempts to send them, what was told of open alerts and is told later, and how channels work.
NOTIFICATION_TABLE = "alert_notification"
ATTEMPT_TABLE = "alert_attempt"
TOLD_TABLE = "alert_told"
LATER_TABLE = "alert_later"
CHANNEL_TABLE = "alert_channel"
# Which process publishes events of alerts.
PUBLISHER_TABLE = "alert_publisher"
# The view by which alert-svc sees whether results are fresh.
RESULT_TIME_VIEW = "alert_result_time"
# The view of results that a backtest reads.
ALERT_RESULT_VIEW = "alert_result"

# Tokens of status-svc: hashes, never the tokens themselves.
TOKEN_TABLE = "status_token"  # noqa: S105 - the name of a table
# Whose logins were ended before their time; nobody's name is empty.
LOGOUT_TABLE = "status_logout"
EVERYBODY = ""
# What people say of incidents, and what was written through the API.
NOTE_TABLE = "incident_note"
WRITE_TABLE = "status_write"

# Attribute of TargetRecord -> column.
TARGET_COLUMNS = {
    "id": "amc_id",
    "url": "amc_url",
    "regexp": "amc_regexp",
    "active": "amc_active",
    "check_interval_s": "amc_check_interval_s",
    "timeout_s": "amc_timeout_s",
    "method": "amc_method",
    "expected_status": "amc_expected_status",
    "headers": "amc_headers",
    "follow_redirects": "amc_follow_redirects",
    "verify_tls": "amc_verify_tls",
    "labels": "amc_labels",
    "body": "amc_body",
    "forbidden_regexp": "amc_forbidden_regexp",
    "connect_to": "amc_connect_to",
    "address_family": "amc_address_family",
    "further_regexps": "amc_further_regexps",
    "further_forbidden_regexps": "amc_further_forbidden_regexps",
    "expected_headers": "amc_expected_headers",
    "expected_json": "amc_expected_json",
    "degraded_above_s": "amc_degraded_above_s",
    "secret_headers": "amc_secret_headers",
    "client_certificate": "amc_client_certificate",
}

# Set by a trigger of the table: since when a target is active with its present interval.
ACTIVE_SINCE_COLUMN = "amc_active_since"
# Set when a target is added: when, and by which account.
ADDED_COLUMNS = ("amc_added_at", "amc_added_by")

# Column of the result table, named and ordered as the fields of CheckResult -> PostgreSQL type. The widest come first:
# rows pack without padding (PostgreSQL documentation, "Database Page Layout").
RESULT_COLUMNS = {
    "target_id": "bigint",
    "scheduled_at": "timestamptz",
    "started_at": "timestamptz",
    "finished_at": "timestamptz",
    "certificate_expires_at": "timestamptz",
    "producer_id": "integer",
    "body_bytes": "integer",
    "queue_delay_s": "real",
    "dns_s": "real",
    "connect_s": "real",
    "tls_s": "real",
    "first_byte_s": "real",
    "transfer_s": "real",
    "response_time_s": "real",
    "http_status": "smallint",
    "regexp_matched": "boolean",
    "location": "text",
    "status": "text",
    "reason": "text",
    "remote_address": "text",
    "error": "text",
    "final_url": "text",
    "certificate_subject": "text",
    "certificate_issuer": "text",
    "body_excerpt": "text",
    "http_version": "text",
    "tls_version": "text",
    "tls_resumed": "boolean",
    "redirects": "smallint",
    "addresses_tried": "text",
    "chain_expires_at": "timestamptz",
    "chain_expires_subject": "text",
}
RESULT_KEY = ("target_id", "scheduled_at", "location")
