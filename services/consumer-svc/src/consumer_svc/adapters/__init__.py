"""The adapters to Kafka and PostgreSQL. Only `wiring` imports them."""
