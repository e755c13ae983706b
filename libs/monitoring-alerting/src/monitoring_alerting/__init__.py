"""Decides about alerts: results and a clock in, transitions out; no input or output of its own."""

__version__ = "0.1.0"
