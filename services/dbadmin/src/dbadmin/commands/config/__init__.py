"""The commands of `dbadmin config`."""
