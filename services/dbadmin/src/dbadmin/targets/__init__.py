"""The targets: in files and in the table, one by one and by the million."""
