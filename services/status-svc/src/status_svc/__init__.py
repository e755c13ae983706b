"""Shows the status of websites: metrics, an API and pages."""

__version__ = "0.1.0"
