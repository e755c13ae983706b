"""Events of alerts in Kafka, for others: from the transitions in PostgreSQL, each at least once, in order."""
