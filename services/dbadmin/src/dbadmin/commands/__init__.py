"""One module for each command, added in `dbadmin.cli`."""
