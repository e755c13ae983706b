"""The adapters to PostgreSQL, Kafka, the outbox's file and canaries. Only `wiring` imports them."""
