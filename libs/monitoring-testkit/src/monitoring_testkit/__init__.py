"""Servers, fixtures and helpers for the tests of the website-availability monitor. Nothing that ships needs it."""

__version__ = "0.1.0"
