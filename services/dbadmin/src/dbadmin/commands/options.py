"""Kinds of values that several commands take."""

from __future__ import annotations

import click

from monitoring_core.config import parse_duration


class Duration(click.ParamType[float]):
    """A duration like 60s, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(str(value)).total_seconds()
        except ValueError as error:
            self.fail(str(error), param, ctx)
