"""Sizing: what a number of targets needs, and what is there of it."""
