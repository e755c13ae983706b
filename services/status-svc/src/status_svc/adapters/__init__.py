"""What meets PostgreSQL."""
