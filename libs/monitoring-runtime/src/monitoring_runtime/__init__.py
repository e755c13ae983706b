"""What every process of the monitor needs around its work: log, endpoint, stop, retries and connections."""

__version__ = "0.1.0"
