"""Options that several commands have."""

from __future__ import annotations

import click

sql_option = click.option(
    "--sql", "as_sql", is_flag=True, help="Print the statements that would run, and change nothing."
)
