"""The commands of `dbadmin targets`."""
