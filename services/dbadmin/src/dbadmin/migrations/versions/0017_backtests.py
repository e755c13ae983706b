"""What a backtest of alerts reads of results."""

from dbadmin.install.statements import run

revision = "0017"
down_revision = "0016"
# Everything added since then can be ignored by older services.
oldest_served = "0001"

# Of results no more than decisions need: bodies and errors may hold what is nobody's business.
VIEW = """
CREATE VIEW {schema}.alert_result AS
SELECT target_id, scheduled_at, finished_at, location, status, reason, response_time_s, certificate_expires_at,
    chain_expires_at
FROM {schema}.availability_result
"""
COMMENTS = {
    "target_id": "The target.",
    "scheduled_at": "Slot of the result.",
    "finished_at": "When its verdict stood.",
    "location": "Place of the check.",
    "status": "up, down or unknown.",
    "reason": "Why it is not up.",
    "response_time_s": "Response time in seconds.",
    "certificate_expires_at": "When the certificate ends that was seen.",
    "chain_expires_at": "When the first certificate of its chain ends.",
}


def upgrade() -> None:
    run(VIEW)
    run("COMMENT ON VIEW {schema}.alert_result IS 'Results, with what alerts are decided on and nothing else.'")
    for column, meaning in COMMENTS.items():
        run(f"COMMENT ON COLUMN {{schema}}.alert_result.{column} IS '{meaning}'")


def downgrade() -> None:
    run("DROP VIEW {schema}.alert_result")
