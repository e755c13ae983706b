"""Examining a set-up: what is wrong in it, and what mends it."""
