"""Websites, from the views of PostgreSQL: exact, as far back as they are kept."""

from __future__ import annotations

from functools import partial

from grafana import POSTGRESQL, Dashboard, Panel, Row, Variable

_WHERE = "location IN (${location:sqlstring})"
_panel = partial(Panel, source=POSTGRESQL)
_stat = partial(_panel, kind="stat", width=4)
_table = partial(_panel, kind="table", unit="short")


def dashboard() -> Dashboard:
    """The dashboard."""
    location = Variable(
        "location",
        "Location",
        "SELECT DISTINCT location FROM monitoring.website_status WHERE location IS NOT NULL ORDER BY 1",
        POSTGRESQL,
    )
    return Dashboard(
        "wam-websites-postgresql",
        "Websites (PostgreSQL)",
        "All websites, from the views of the database: the status of this moment, and history as of the last dbadmin maintain.",
        (POSTGRESQL,),
        (location,),
        (Row("Now", _now()), Row("History", _history())),
    )


def _count(condition: str) -> str:
    return f"SELECT count(*) AS value FROM monitoring.website_status WHERE active AND {condition} AND {_WHERE}"


def _now() -> tuple[Panel, ...]:
    return (
        _stat("Up", "Websites that are up, once for each location.", (_count("status = 'up'"),), "short"),
        _stat(
            "Down",
            "Websites that are down, once for each location.",
            (_count("status = 'down'"),),
            "short",
            alarming=True,
        ),
        _stat(
            "Unknown",
            "Websites of which nothing can be said now. See the runbook, Statuses are stale.",
            (_count("status = 'unknown'"),),
            "short",
        ),
        _stat(
            "Availability of the period",
            "Share of the checks that were up among those that were up or down.",
            (
                f"SELECT sum(up)::float / nullif(sum(up) + sum(down), 0) AS value FROM monitoring.website_availability_hourly WHERE $__timeFilter(hour) AND {_WHERE}",
            ),
            "percentunit",
        ),
        _stat(
            "Coverage of the period",
            "Checks done against checks due, of the last seven days at most. What is missing, nobody knows.",
            (
                f"SELECT sum(done)::float / nullif(sum(due), 0) AS value FROM monitoring.website_coverage_hourly WHERE $__timeFilter(hour) AND {_WHERE}",
            ),
            "percentunit",
        ),
        _stat(
            "Open incidents",
            "Incidents that have not ended, as of the last dbadmin maintain.",
            (f"SELECT count(*) AS value FROM monitoring.website_incident WHERE ended_at IS NULL AND {_WHERE}",),
            "short",
            alarming=True,
        ),
        _table(
            "Not up now",
            "Websites that are down, or of which nothing is known, and why.",
            (
                f"SELECT url, location, status, reason, since, http_status, error FROM monitoring.website_status WHERE active AND status <> 'up' AND {_WHERE} ORDER BY status, since LIMIT 200",
            ),
            width=16,
        ),
        _table(
            "Certificates that end next",
            "When the certificate that was seen last expires.",
            (
                f'SELECT url, min(certificate_expires_at) AS certificate_expires_at, extract(epoch FROM min(certificate_expires_at) - now()) AS "left" FROM monitoring.website_status WHERE active AND certificate_expires_at IS NOT NULL AND {_WHERE} GROUP BY url ORDER BY 2 LIMIT 50',
            ),
            units={"left": "s"},
        ),
    )


def _history() -> tuple[Panel, ...]:
    hourly = f"FROM monitoring.website_availability_hourly WHERE $__timeFilter(hour) AND {_WHERE}"
    return (
        _panel(
            "Availability",
            "Share of the checks that were up among those that were up or down, by hour and location.",
            (
                f"SELECT hour AS time, location AS metric, sum(up)::float / nullif(sum(up) + sum(down), 0) AS value {hourly} GROUP BY 1, 2 ORDER BY 1",
            ),
            "percentunit",
        ),
        _panel(
            "Availability outside of maintenance",
            "The same by UTC day, without the time in which maintenance windows hold.",
            (
                f"SELECT day::timestamp AT TIME ZONE 'UTC' AS time, location AS metric, sum(up)::float / nullif(sum(up) + sum(down), 0) AS value FROM monitoring.website_availability_outside_daily WHERE $__timeFilter(day) AND {_WHERE} GROUP BY 1, 2 ORDER BY 1",
            ),
            "percentunit",
        ),
        _panel(
            "Coverage",
            "Checks done against checks due, by hour and location.",
            (
                f"SELECT hour AS time, location AS metric, sum(done)::float / nullif(sum(due), 0) AS value FROM monitoring.website_coverage_hourly WHERE $__timeFilter(hour) AND {_WHERE} GROUP BY 1, 2 ORDER BY 1",
            ),
            "percentunit",
        ),
        _panel(
            "Response time",
            "Of the checks that were up: the median of the websites' medians, and the 95th percentile of the slowest website.",
            (
                f"SELECT hour AS time, percentile_cont(0.5) WITHIN GROUP (ORDER BY p50_s) AS median, max(p95_s) AS slowest {hourly} AND p50_s IS NOT NULL GROUP BY 1 ORDER BY 1",
            ),
            "s",
        ),
        _panel(
            "Why checks were not up",
            "Checks by reason, by hour. missed_window, prober_error and invalid_target say nothing about the website.",
            (
                f"SELECT hour AS time, reason AS metric, sum(checks) AS value FROM monitoring.website_reason_hourly WHERE $__timeFilter(hour) AND {_WHERE} GROUP BY 1, 2 ORDER BY 1",
            ),
            "short",
            width=12,
            stacked=True,
        ),
        _table(
            "Lowest availability",
            "The websites that were down most in the period.",
            (
                f"SELECT url, sum(up)::float / nullif(sum(up) + sum(down), 0) AS availability, sum(down) AS down, sum(unknown) AS unknown {hourly} GROUP BY url HAVING sum(up) + sum(down) > 0 ORDER BY 2 LIMIT 50",
            ),
            width=12,
            units={"availability": "percentunit"},
        ),
        _table(
            "Incidents",
            "Incidents that began in the period, the newest first.",
            (
                f"SELECT began_at, ended_at, extract(epoch FROM duration) AS duration, url, location, reason, checks FROM monitoring.website_incident WHERE $__timeFilter(began_at) AND {_WHERE} ORDER BY began_at DESC LIMIT 200",
            ),
            width=24,
            units={"duration": "s"},
        ),
    )
