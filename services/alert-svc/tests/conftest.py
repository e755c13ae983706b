"""A real PostgreSQL for the tests that need one."""

from monitoring_testkit.fixtures.postgresql import postgres, server

__all__ = ["postgres", "server"]
