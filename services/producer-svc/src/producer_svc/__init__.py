"""Checks websites when they are due and writes each result to Kafka."""

__version__ = "0.1.0"
