"""What every process of the monitor needs and the core must not know."""

__version__ = "0.1.0"
