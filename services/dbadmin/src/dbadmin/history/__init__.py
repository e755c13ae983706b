"""What becomes of results: partitions of days, roll-ups, incidents and retention, each kept up by `maintain`."""
