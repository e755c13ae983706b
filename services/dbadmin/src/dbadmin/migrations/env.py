"""Alembic's entry: runs the revisions on the connection and in the schema that `dbadmin.schema` hands over."""

from alembic import context

from dbadmin.schema import VERSION_TABLE

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    version_table=VERSION_TABLE,
    version_table_schema=attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
