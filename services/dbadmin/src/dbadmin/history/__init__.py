"""The history of results: partitions of days, roll-ups, incidents and retention, all kept up by `maintain`."""
