"""Fakes of the producer's ports: in memory, at once, and broken when a test says so."""
