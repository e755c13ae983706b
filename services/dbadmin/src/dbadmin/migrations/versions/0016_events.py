"""Events of alerts: which transitions are published in Kafka, and which process publishes them."""

from dbadmin.install.statements import run

revision = "0016"
down_revision = "0015"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

UPGRADE = (
    "ALTER TABLE {schema}.alert_transition ADD published boolean NOT NULL DEFAULT false",
    """
CREATE INDEX alert_transition_not_published ON {schema}.alert_transition (sequence)
WHERE NOT published AND state IN ('firing', 'undetermined', 'flapping', 'resolved')
""",
    """
CREATE TABLE {schema}.alert_publisher (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    owner text NOT NULL DEFAULT '',
    held_until timestamptz NOT NULL DEFAULT clock_timestamp()
)
""",
    "INSERT INTO {schema}.alert_publisher DEFAULT VALUES",
)
COMMENTS = {
    "COLUMN alert_transition.published": "Whether an event of it is in the topic of alerts.",
    "TABLE alert_publisher": "Which process of alert-svc publishes events: one at a time, so that they stay in order.",
    "COLUMN alert_publisher.singleton": "Always true: there is one row.",
    "COLUMN alert_publisher.owner": "The process, by a name that it has drawn; empty when none has published yet.",
    "COLUMN alert_publisher.held_until": "When another process may take its place, unless it shows itself before.",
}


def upgrade() -> None:
    for statement in UPGRADE:
        run(statement)
    for what, text in COMMENTS.items():
        kind, _, name = what.partition(" ")
        run(f"COMMENT ON {kind} {{schema}}.{name} IS '{text}'")


def downgrade() -> None:
    run("DROP TABLE {schema}.alert_publisher")
    run("ALTER TABLE {schema}.alert_transition DROP published")
