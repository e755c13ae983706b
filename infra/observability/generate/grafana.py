"""Dashboards of Grafana as plain values: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model."""

from __future__ import annotations

from typing import Any

import attrs

# Version of the model; later versions of Grafana raise it when they load a dashboard.
_SCHEMA_VERSION = 39
_WIDTH = 24
PROMETHEUS = "prometheus"
POSTGRESQL = "grafana-postgresql-datasource"
# The variable that names the data source of each kind, and what a person reads beside it.
DATASOURCES = {PROMETHEUS: ("datasource", "Prometheus"), POSTGRESQL: ("postgresql", "PostgreSQL")}
_TAG = "website-availability-monitor"
_RED_ABOVE_ZERO = (("green", None), ("red", 1))


@attrs.frozen
class Panel:
    """A panel.

    Attributes:
        description: what is seen, and when it is bad.
        queries: PromQL or SQL; one for each line of the legend where there are several.
        legends: of each query of PromQL, like "{{instance}}".
        unit: as Grafana calls it, like "s" or "percentunit".
        kind: "timeseries", "stat" or "table".
        source: which of DATASOURCES.
        width: of 24.
        instant: whether a query of PromQL asks for this moment alone.
        units: units of columns that have another one, by name.
        alarming: whether everything above 0 is red.
    """

    title: str
    description: str
    queries: tuple[str, ...]
    unit: str
    legends: tuple[str, ...] = ()
    kind: str = "timeseries"
    source: str = PROMETHEUS
    width: int = 8
    instant: bool = False
    units: dict[str, str] = attrs.field(factory=dict)
    alarming: bool = False
    stacked: bool = False


@attrs.frozen
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@attrs.frozen
class Variable:
    """A variable that a person chooses, by a query.

    Attributes:
        query: SQL, or `label_values(metric, label)`.
        several: whether more than one may be chosen, and all.
    """

    name: str
    label: str
    query: str
    source: str = PROMETHEUS
    several: bool = True


@attrs.frozen
class Dashboard:
    """A dashboard. Its uid is what links go by, and never changes."""

    uid: str
    title: str
    description: str
    sources: tuple[str, ...]
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    period: str = "now-24h"


def document(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it from a file."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [_TAG],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "utc",
        "time": {"from": dashboard.period, "to": "now"},
        "links": _links(),
        "annotations": {"list": []},
        "templating": {"list": [*map(_datasource, dashboard.sources), *map(_variable, dashboard.variables), _docs()]},
        "panels": _panels(dashboard.rows),
    }


def _links() -> list[dict[str, Any]]:
    """To the other dashboards, with the same time, and to the documents."""
    common = {
        "icon": "external link",
        "keepTime": True,
        "includeVars": False,
        "targetBlank": False,
        "asDropdown": False,
    }
    return [
        common | {"type": "dashboards", "title": "Website availability", "tags": [_TAG], "asDropdown": True},
        common | {"type": "link", "title": "Runbook", "tags": [], "url": "${docs}/runbook.md", "icon": "doc"},
        common | {"type": "link", "title": "Glossary", "tags": [], "url": "${docs}/glossary.md", "icon": "doc"},
    ]


def _docs() -> dict[str, Any]:
    """Where the folder docs/ can be read, which each installation knows for itself."""
    return {"type": "textbox", "name": "docs", "label": "Address of docs/", "hide": 2, "query": "/public/docs"}


def _datasource(kind: str) -> dict[str, Any]:
    name, label = DATASOURCES[kind]
    return {"type": "datasource", "name": name, "label": f"Data source {label}", "query": kind, "regex": "", "hide": 0}


def _variable(variable: Variable) -> dict[str, Any]:
    made = {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": _of(variable.source),
        "query": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": variable.several,
        "includeAll": variable.several,
        "hide": 0,
    }
    if variable.several:
        made["current"] = {"text": ["All"], "value": ["$__all"]}
        if variable.source == PROMETHEUS:
            made["allValue"] = ".+"
    return made


def _of(kind: str) -> dict[str, str]:
    return {"type": kind, "uid": f"${{{DATASOURCES[kind][0]}}}"}


def _panels(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """All panels with their places: from left to right, each row of panels as high as its highest."""
    made: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        made.append(
            {"type": "row", "title": row.title, "id": len(made) + 1, "collapsed": False, "panels": [], "gridPos": place}
        )
        y, x, height = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            own = 4 if panel.kind == "stat" else 8
            made.append(_panel(panel, len(made) + 1, {"x": x, "y": y, "w": panel.width, "h": own}))
            x, height = x + panel.width, max(height, own)
        y += height
    return made


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    options: dict[str, Any] = {}
    if panel.kind == "timeseries":
        defaults["custom"] = {"showPoints": "auto", "fillOpacity": 20 if panel.stacked else 0}
        if panel.stacked:
            defaults["custom"]["stacking"] = {"mode": "normal", "group": "A"}
        options = {
            "tooltip": {"mode": "multi", "sort": "desc"},
            "legend": {"displayMode": "list", "placement": "bottom"},
        }
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "none"}
    if panel.unit == "percentunit":
        defaults |= {"max": 1} if panel.kind == "timeseries" else {"decimals": 3}
    if panel.alarming:
        steps = [{"color": color, "value": value} for color, value in _RED_ABOVE_ZERO]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    overrides = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in panel.units.items()
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _of(panel.source),
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": options,
        "targets": [_target(panel, index) for index in range(len(panel.queries))],
    }


def _target(panel: Panel, index: int) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": chr(ord("A") + index), "datasource": _of(panel.source)}
    if panel.source == POSTGRESQL:
        shape = "time_series" if panel.kind == "timeseries" else "table"
        return target | {"rawSql": panel.queries[index], "rawQuery": True, "editorMode": "code", "format": shape}
    target |= {"expr": panel.queries[index], "editorMode": "code", "range": not panel.instant, "instant": panel.instant}
    if panel.kind == "table":
        target["format"] = "table"
    return target | {"legendFormat": panel.legends[index] if panel.legends else "__auto"}
