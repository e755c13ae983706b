"""Alerts: every transition once, how far each partition is decided and with which state, and maintenance windows."""

from dbadmin.install.statements import run

revision = "0013"
down_revision = "0012"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

UPGRADE = (
    """
CREATE TABLE {schema}.maintenance_window (
    window_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    match jsonb NOT NULL DEFAULT '{{}}',
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    zone text NOT NULL DEFAULT 'UTC',
    recurrence text,
    ended_at timestamptz,
    note text,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by text NOT NULL DEFAULT session_user,
    CONSTRAINT maintenance_window_ends_after_it_begins CHECK (ends_at > begins_at),
    CONSTRAINT maintenance_window_matches_labels CHECK (
        jsonb_typeof(match) = 'object' AND NOT jsonb_path_exists(match, '$.* ? (@.type() != "string")')
    )
)
""",
    """
CREATE TABLE {schema}.alert_transition (
    transition_id text PRIMARY KEY,
    alert_id text NOT NULL,
    target_id bigint NOT NULL,
    policy text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    state text NOT NULL,
    before text NOT NULL,
    at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    decided_at timestamptz,
    locations text[] NOT NULL,
    evidence jsonb NOT NULL,
    cause text,
    silenced_by jsonb,
    step_s integer,
    url text NOT NULL,
    labels jsonb,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    silenced_window bigint,
    noticed boolean NOT NULL DEFAULT false,
    sequence bigint GENERATED ALWAYS AS IDENTITY
)
""",
    "CREATE INDEX alert_transition_not_noticed ON {schema}.alert_transition (sequence) WHERE NOT noticed",
    "CREATE INDEX alert_transition_of_alert ON {schema}.alert_transition (alert_id, sequence)",
    """
CREATE INDEX alert_transition_in_window ON {schema}.alert_transition (silenced_window) WHERE silenced_window IS NOT NULL
""",
    """
CREATE TABLE {schema}.alert_acknowledgement (
    alert_id text PRIMARY KEY,
    acknowledged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    acknowledged_by text,
    note text
)
""",
    # Each row is updated with every batch: room in its page lets the updates stay there.
    """
CREATE TABLE {schema}.alert_position (
    topic text NOT NULL,
    partition integer NOT NULL,
    cluster text NOT NULL,
    topic_id text NOT NULL,
    generation bigint NOT NULL DEFAULT 1,
    next_offset bigint NOT NULL,
    snapshot_offset bigint NOT NULL,
    tick_offsets bigint[] NOT NULL DEFAULT '{{}}',
    tick_moments bigint[] NOT NULL DEFAULT '{{}}',
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50)
""",
    """
CREATE TABLE {schema}.alert_snapshot (
    topic text NOT NULL,
    partition integer NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (topic, partition, number)
)
""",
    # The content is compressed already.
    "ALTER TABLE {schema}.alert_snapshot ALTER content SET STORAGE EXTERNAL",
    """
CREATE VIEW {schema}.alert_target AS
SELECT amc_id, amc_url, amc_check_interval_s, amc_labels FROM {schema}.availability_monitor_config WHERE amc_active
""",
)
COMMENTS = {
    "TABLE maintenance_window": (
        "Maintenance windows: what changes of matching targets within them is stored, but not sent."
    ),
    "COLUMN maintenance_window.window_id": "Number of the window.",
    "COLUMN maintenance_window.match": "Labels that a target must have, a JSON object of texts; {{}} is all targets.",
    "COLUMN maintenance_window.begins_at": "When the window begins; the first time, if it recurs.",
    "COLUMN maintenance_window.ends_at": "When it ends; the first time, if it recurs.",
    "COLUMN maintenance_window.zone": "Time zone in which it recurs, like Europe/Berlin.",
    "COLUMN maintenance_window.recurrence": "RRULE of RFC 5545, like FREQ=WEEKLY;BYDAY=SU; null for once.",
    "COLUMN maintenance_window.ended_at": "When somebody ended it for good; null while nobody has.",
    "COLUMN maintenance_window.note": "What it is for.",
    "COLUMN maintenance_window.added_at": "When it was added.",
    "COLUMN maintenance_window.added_by": "Who added it; an account of PostgreSQL.",
    "TABLE alert_transition": "Every change of state of an alert, once, as alert-svc decided it.",
    "COLUMN alert_transition.transition_id": "The same whoever computes it.",
    "COLUMN alert_transition.alert_id": "The same for all transitions of an alert, from its first sign to its end.",
    "COLUMN alert_transition.target_id": "The target.",
    "COLUMN alert_transition.policy": "Name of the policy.",
    "COLUMN alert_transition.kind": "down, degraded, certificate_expires_within, missed or invalid_target.",
    "COLUMN alert_transition.severity": "info, warning or critical.",
    "COLUMN alert_transition.state": "ok, suspected, firing, recovering, resolved, undetermined or flapping.",
    "COLUMN alert_transition.before": "The state before that.",
    "COLUMN alert_transition.at": "The slot that decided it; where no slot does, when the time was up.",
    "COLUMN alert_transition.since": "The first bad slot, or the first moment without enough votes.",
    "COLUMN alert_transition.decided_at": "Where the clock stood that is taken from the results.",
    "COLUMN alert_transition.locations": "The locations that the state rests on.",
    "COLUMN alert_transition.evidence": "The results that it was decided on, with keys, reasons and what was seen.",
    "COLUMN alert_transition.cause": "Why an alert ended without results, or why it is told again.",
    "COLUMN alert_transition.silenced_by": "The target that is down and has this one behind it.",
    "COLUMN alert_transition.step_s": "The step of an end of a certificate, in seconds.",
    "COLUMN alert_transition.url": "URL of the target, without user and password.",
    "COLUMN alert_transition.labels": "Labels of the target.",
    "COLUMN alert_transition.stored_at": "When it was stored.",
    "COLUMN alert_transition.silenced_window": "The maintenance window that keeps it from being sent.",
    "COLUMN alert_transition.noticed": "Whether notifications have been made of it.",
    "COLUMN alert_transition.sequence": "The order in which transitions were stored.",
    "TABLE alert_acknowledgement": "Alerts that somebody looks after.",
    "COLUMN alert_acknowledgement.alert_id": "The alert.",
    "COLUMN alert_acknowledgement.acknowledged_at": "When it was acknowledged.",
    "COLUMN alert_acknowledgement.acknowledged_by": "Who acknowledged it.",
    "COLUMN alert_acknowledgement.note": "What that person had to say.",
    "TABLE alert_position": "How far each partition of the topic of results is decided. alert-svc goes on here.",
    "COLUMN alert_position.topic": "Name of the topic.",
    "COLUMN alert_position.partition": "Number of the partition.",
    "COLUMN alert_position.cluster": "ID of the Kafka cluster.",
    "COLUMN alert_position.topic_id": "ID of the topic; empty where Kafka gives none.",
    "COLUMN alert_position.generation": "Raised by each process that takes the partition over; others store no more.",
    "COLUMN alert_position.next_offset": "What follows from every message before this offset is stored.",
    "COLUMN alert_position.snapshot_offset": "The offset before which the snapshot was taken; reading begins here.",
    "COLUMN alert_position.tick_offsets": "Before which offsets the clock went on without results since the snapshot.",
    "COLUMN alert_position.tick_moments": "To which moment it went on then, in milliseconds since the epoch.",
    "TABLE alert_snapshot": "What deciding remembers of a partition, in parts.",
    "COLUMN alert_snapshot.topic": "Name of the topic.",
    "COLUMN alert_snapshot.partition": "Number of the partition.",
    "COLUMN alert_snapshot.number": "Number of the part; part 0 says how to read the others.",
    "COLUMN alert_snapshot.content": "MessagePack, compressed by zlib.",
    "VIEW alert_target": "Active targets, with what alert-svc needs of them and nothing else.",
    "COLUMN alert_target.amc_id": "The target.",
    "COLUMN alert_target.amc_url": "Its URL.",
    "COLUMN alert_target.amc_check_interval_s": "Its check interval in seconds; null for the one of the configuration.",
    "COLUMN alert_target.amc_labels": "Its labels.",
}


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)
    for what, text in COMMENTS.items():
        kind, _, name = what.partition(" ")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS '{text}'")


def downgrade() -> None:
    run("DROP VIEW {schema}.alert_target")
    for table in (
        "alert_snapshot",
        "alert_position",
        "alert_acknowledgement",
        "alert_transition",
        "maintenance_window",
    ):
        run(f"DROP TABLE {{schema}}.{table}")
