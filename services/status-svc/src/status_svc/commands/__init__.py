"""The commands of status-svc."""
