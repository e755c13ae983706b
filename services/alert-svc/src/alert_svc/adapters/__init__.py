"""The adapters to PostgreSQL. Only `wiring` imports it."""
