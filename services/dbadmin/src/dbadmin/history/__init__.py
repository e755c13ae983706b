"""What becomes of results: partitions of days, roll-ups, incidents, retention."""
