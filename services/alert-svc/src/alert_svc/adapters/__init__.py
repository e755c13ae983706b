"""The adapter to PostgreSQL. Only `wiring` imports it."""
