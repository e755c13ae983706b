"""Making the installation: database, accounts, schema and topics, each repeatable."""
