"""The dashboards as the tests read them, and their queries as Grafana would send them."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "infra/observability/dashboards"
FILES = sorted(FOLDER.glob("*.json"))
POSTGRESQL = "grafana-postgresql-datasource"


@attrs.frozen
class Query:
    """A query of a panel or of a variable."""

    where: str
    text: str
    source: str
    format: str = ""
    instant: bool = False


def dashboard(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def panels(file: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard, without the headings between them."""
    return [panel for panel in dashboard(file)["panels"] if panel["type"] != "row"]


def variables(file: Path) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in dashboard(file)["templating"]["list"]}


def queries(file: Path) -> list[Query]:
    """Every query of the panels."""
    return [
        Query(
            f"{file.stem}: {panel['title']} {target['refId']}",
            target.get("expr") or target["rawSql"],
            target["datasource"]["type"],
            target.get("format", ""),
            target.get("instant", False),
        )
        for panel in panels(file)
        for target in panel["targets"]
    ]


def promql(text: str, window_s: int) -> str:
    """A query as Grafana sends it with everything chosen, with windows of this length."""
    for name in ("$__rate_interval", "$__range"):
        text = text.replace(name, f"{window_s}s")
    text = re.sub(r"\$(job|instance|location)\b", ".+", text)
    assert "$" not in text, text
    return text


def sql(text: str, begin: dt.datetime, end: dt.datetime, chosen: dict[str, list[str]]) -> str:
    """A query as the PostgreSQL source of Grafana sends it, with these values of the variables."""
    text = re.sub(r"\$__timeFilter\((.+?)\)(?= |$)", rf"\1 BETWEEN '{begin:%FT%TZ}' AND '{end:%FT%TZ}'", text)
    text = text.replace("$__timeFrom()", f"'{begin:%FT%TZ}'").replace("$__timeTo()", f"'{end:%FT%TZ}'")
    text = text.replace("$__interval", "5s")
    text = re.sub(
        r"\$__timeGroup\((\w+), (\d+)s\)",
        r"to_timestamp(floor(extract(epoch FROM \1) / \2) * \2)",
        text,
    )
    for name, values in chosen.items():
        quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
        text = text.replace(f"${{{name}:sqlstring}}", quoted)
    assert "$" not in text, text
    return text
