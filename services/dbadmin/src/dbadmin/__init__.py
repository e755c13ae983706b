"""Sets up and looks after the database and the topics."""

__version__ = "0.1.0"
