"""Backtests: what policies would have told on the results that are stored."""
