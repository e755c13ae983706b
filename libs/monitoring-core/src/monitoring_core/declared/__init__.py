"""Targets as their owner declares them, in files, in a cluster or in a request: judged, compared and carried out."""
