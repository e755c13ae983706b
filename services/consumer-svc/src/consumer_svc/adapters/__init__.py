"""What stands outside of the consumer: Kafka and PostgreSQL. Imported by wiring alone."""
