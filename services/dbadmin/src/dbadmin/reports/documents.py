"""A report as HTML and as PDF. All that it shows of websites is text: nothing is fetched, and nothing is a link."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitoring_core.errors import StopError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from dbadmin.reports.model import Report

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
NONE = "\N{EN DASH}"


def html(report: Report) -> str:
    """A report as one file of HTML, which needs nothing else and prints well."""
    return _ENVIRONMENT.get_template("report.html").render(report=report)


def pdf(report: Report) -> bytes:
    """A report as PDF.

    Raises:
        StopError: WeasyPrint, or a library that it needs, is not installed.
    """
    try:
        from weasyprint import HTML  # an optional package, which takes a second to load
    except ImportError:
        raise StopError("a report as PDF needs WeasyPrint: pip install 'dbadmin[pdf]'") from None
    except OSError as error:
        raise StopError(
            "a report as PDF needs Pango, which is missing: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
            f"libharfbuzz-subset0 ({str(error).splitlines()[0][:200]})"
        ) from None
    made: bytes = HTML(string=html(report), url_fetcher=_fetch_nothing).write_pdf()
    return made


def percent(share: float | None) -> str:
    """A share as per cent, as many digits as there are."""
    return NONE if share is None else f"{share * 100:.4f}".rstrip("0").rstrip(".") + " %"


def minutes(value: float | None) -> str:
    """Minutes, without a fraction that is nought."""
    return NONE if value is None else f"{value:,.2f}".removesuffix(".00").replace("-", "\N{MINUS SIGN}")


def shown(moment: dt.datetime, zone: str) -> str:
    """A moment in the time zone of the report."""
    return f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def labels(some: Mapping[str, str]) -> str:
    """Labels as they are asked for."""
    return ", ".join(f"{name}={value}" for name, value in some.items())


def _fetch_nothing(*_: object, **__: object) -> NoReturn:
    raise ValueError("a report fetches nothing")


_ENVIRONMENT.filters.update(percent=percent, minutes=minutes, shown=shown, labels=labels)
