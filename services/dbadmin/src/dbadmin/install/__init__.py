"""Making an installation: the database, its accounts, the schema and the topics. Everything may be repeated."""
