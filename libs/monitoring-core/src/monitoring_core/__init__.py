"""The shared vocabulary of the monitor: what a target, a slot, a result and a configuration are."""

__version__ = "0.1.0"
