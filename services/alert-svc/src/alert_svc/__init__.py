"""Decides about alerts: confirmed, from several places."""

__version__ = "0.1.0"
