"""Moves check results from Kafka into PostgreSQL, exactly one row each."""

__version__ = "0.1.0"
