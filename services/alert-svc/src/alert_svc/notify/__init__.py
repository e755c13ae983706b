"""Notifications: who is told of which transitions, when and how, from an outbox in PostgreSQL."""
