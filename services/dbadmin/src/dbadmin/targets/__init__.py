"""The targets: in the database's table, in files, and from one into the other."""
