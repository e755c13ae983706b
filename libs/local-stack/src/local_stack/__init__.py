"""The whole monitor on one machine: embedded servers, sample websites and the real services."""

__version__ = "0.1.0"
