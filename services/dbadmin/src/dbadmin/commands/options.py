"""Kinds of option values that several commands have."""

from __future__ import annotations

import click

from monitoring_core.config import parse_duration


class Duration(click.ParamType[float]):
    """A duration like 60s, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds of a text like 60s; anything else is wrong usage."""
        try:
            return parse_duration(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)


sql_option = click.option(
    "--sql", "as_sql", is_flag=True, help="Print the statements that would run, and change nothing."
)
