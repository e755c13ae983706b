"""Scenes for tests: what websites, locations and clocks do, and what well-known rules would have made of it."""
