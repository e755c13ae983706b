"""What is outside: PostgreSQL, Kafka, the outbox's file, canaries. Imported by wiring alone."""
