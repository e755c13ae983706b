"""Notifications of alerts: what is to be sent to whom, every attempt at it, and what was told of each open alert."""

from dbadmin.install.statements import run

revision = "0014"
down_revision = "0013"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

TABLES = (
    """
CREATE TABLE {schema}.alert_notification (
    notification_id text PRIMARY KEY,
    channel text NOT NULL,
    kind text NOT NULL,
    content jsonb NOT NULL,
    transitions text[] NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'given_up')),
    attempts integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz
)
""",
    """
CREATE INDEX alert_notification_pending ON {schema}.alert_notification (channel, next_at) WHERE state = 'pending'
""",
    "CREATE INDEX alert_notification_done ON {schema}.alert_notification (done_at) WHERE state <> 'pending'",
    """
CREATE TABLE {schema}.alert_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id text NOT NULL REFERENCES {schema}.alert_notification ON DELETE CASCADE,
    channel text NOT NULL,
    recipient text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    sent boolean,
    answer text
)
""",
    "CREATE INDEX alert_attempt_notification ON {schema}.alert_attempt (notification_id)",
    """
CREATE TABLE {schema}.alert_told (
    alert_id text PRIMARY KEY,
    transition_id text NOT NULL,
    state text NOT NULL,
    step_s integer,
    channels text[] NOT NULL,
    told_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
""",
    """
CREATE TABLE {schema}.alert_later (
    alert_id text NOT NULL REFERENCES {schema}.alert_told ON DELETE CASCADE,
    channel text NOT NULL,
    cause text NOT NULL CHECK (cause IN ('quiet_hours', 'escalation')),
    due_at timestamptz NOT NULL,
    PRIMARY KEY (alert_id, channel, cause)
)
""",
    "CREATE INDEX alert_later_due ON {schema}.alert_later (due_at)",
    """
CREATE TABLE {schema}.alert_channel (
    channel text PRIMARY KEY,
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    told_at timestamptz,
    answer text
)
""",
    # Of results no more than that: bodies and errors are nothing for whoever sends notifications.
    """
CREATE VIEW {schema}.alert_result_time AS
SELECT scheduled_at FROM {schema}.availability_result WHERE status <> 'unknown'
""",
)
COMMENTS = {
    "alert_notification": (
        "Messages about alerts, one row for each message and channel: the outbox of notifications.",
        {
            "notification_id": "Identity of the message, the same in every repeat.",
            "channel": "Name of the channel in alerts.yaml.",
            "kind": "problem, recovery, escalation or channel_failing.",
            "content": "What the message says.",
            "transitions": "The transitions that it tells of.",
            "state": "pending, sent, or given_up after a day of attempts.",
            "attempts": "How many attempts have begun.",
            "made_at": "When the message was made.",
            "next_at": "When the next attempt is due. While an attempt runs, when it counts as lost.",
            "done_at": "When the message was sent or given up.",
        },
    ),
    "alert_attempt": (
        "Every attempt to send a message.",
        {
            "attempt_id": "Number of the attempt.",
            "notification_id": "The message.",
            "channel": "Name of the channel.",
            "recipient": "To whom, without secrets.",
            "began_at": "When the attempt began.",
            "ended_at": "When it ended; null while it runs, or when its process was killed.",
            "sent": "Whether the receiver has taken the message; null as long as nobody knows.",
            "answer": "What the receiver said, or the error.",
        },
    ),
    "alert_told": (
        "Open alerts that channels were told of.",
        {
            "alert_id": "Identity of the alert.",
            "transition_id": "The transition that was told last.",
            "state": "The state that was told last.",
            "step_s": "The step that was told last, in seconds, of certificate_expires_within.",
            "channels": "The channels that were told; they are told of its end, too.",
            "told_at": "When a message was last made of it.",
        },
    ),
    "alert_later": (
        "Open alerts that a channel is told of later, if they are still open then.",
        {
            "alert_id": "Identity of the alert.",
            "channel": "Name of the channel.",
            "cause": "quiet_hours (they end then) or escalation (if nobody has acknowledged the alert by then).",
            "due_at": "When the channel is told.",
        },
    ),
    "alert_channel": (
        "How channels work.",
        {
            "channel": "Name of the channel.",
            "failures": "Failed attempts since the last one that succeeded.",
            "failing_since": "The first of these attempts; null when the channel works.",
            "told_at": "When another channel was told of it.",
            "answer": "What went wrong in the last attempt.",
        },
    ),
    "alert_result_time": (
        "When results were due that are up or down: whether there are fresh ones.",
        {"scheduled_at": "Slot of the result."},
    ),
}


def upgrade() -> None:
    for statement in TABLES:
        run(statement)
    for table, (about, columns) in COMMENTS.items():
        run(f"COMMENT ON {'VIEW' if table == 'alert_result_time' else 'TABLE'} {{schema}}.{table} IS '{about}'")
        for column, meaning in columns.items():
            run(f"COMMENT ON COLUMN {{schema}}.{table}.{column} IS '{meaning}'")


def downgrade() -> None:
    run("DROP VIEW {schema}.alert_result_time")
    for table in ("alert_channel", "alert_later", "alert_told", "alert_attempt", "alert_notification"):
        run(f"DROP TABLE {{schema}}.{table}")
