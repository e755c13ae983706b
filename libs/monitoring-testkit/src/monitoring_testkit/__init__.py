"""Servers, fixtures and helpers for the tests of the website-availability monitor. No shipped package needs it."""

__version__ = "0.1.0"
