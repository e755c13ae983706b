"""One website, from the views of PostgreSQL."""

from __future__ import annotations

from functools import partial

from grafana import POSTGRESQL, Dashboard, Panel, Row, Variable

_WHERE = "url = ${website:sqlstring} AND location IN (${location:sqlstring})"
_panel = partial(Panel, source=POSTGRESQL)
_stat = partial(_panel, kind="stat", width=4)
_table = partial(_panel, kind="table", unit="short")
_CHECKS = f"FROM monitoring.website_check WHERE $__timeFilter(scheduled_at) AND {_WHERE}"


def dashboard() -> Dashboard:
    """The dashboard."""
    website = Variable(
        "website", "Website", "SELECT DISTINCT url FROM monitoring.website_status ORDER BY 1", POSTGRESQL, several=False
    )
    location = Variable(
        "location",
        "Location",
        "SELECT DISTINCT location FROM monitoring.website_status WHERE location IS NOT NULL ORDER BY 1",
        POSTGRESQL,
    )
    return Dashboard(
        "wam-website",
        "Website",
        "One website: how it is, what its checks found, and its incidents and alerts.",
        (POSTGRESQL,),
        (website, location),
        (Row("Now", _now()), Row("Checks", _checks()), Row("Incidents and alerts", _events())),
        period="now-6h",
    )


def _now() -> tuple[Panel, ...]:
    status = f"FROM monitoring.website_status WHERE {_WHERE}"
    return (
        _stat(
            "Locations that see it up",
            "Share of the locations that say up or down.",
            (f"SELECT avg((status = 'up')::int) AS value {status} AND status <> 'unknown'",),
            "percentunit",
        ),
        _stat(
            "Age of the newest check",
            "How long ago the newest check ended.",
            (f"SELECT extract(epoch FROM min(age)) AS value {status}",),
            "s",
        ),
        _stat(
            "Response time",
            "Of the newest check, the slowest location.",
            (f"SELECT max(response_time_s) AS value {status}",),
            "s",
        ),
        _stat(
            "Availability today",
            "Of this UTC day, as of the last dbadmin maintain.",
            (f"SELECT avg(availability_today) AS value {status}",),
            "percentunit",
        ),
        _stat(
            "Certificate",
            "How long the certificate that was seen last is valid.",
            (f"SELECT extract(epoch FROM min(certificate_expires_at) - now()) AS value {status}",),
            "s",
        ),
        _stat(
            "Checks not up",
            "Checks of the period that were down.",
            (f"SELECT count(*) AS value {_CHECKS} AND status = 'down'",),
            "short",
            alarming=True,
        ),
        _table(
            "Status by location",
            "What each location says now, and since when.",
            (
                f"SELECT location, status, reason, since, last_check_at, http_status, response_time_s, remote_address, error {status} ORDER BY location",
            ),
            width=24,
            units={"response_time_s": "s"},
        ),
    )


def _checks() -> tuple[Panel, ...]:
    phases = ", ".join(f"avg({phase}_s) AS {phase}" for phase in ("dns", "connect", "tls", "first_byte", "transfer"))
    step = "$__timeGroup(scheduled_at, $__interval)"
    return (
        _panel(
            "Response time by location",
            "Mean of the checks that were up.",
            (
                f"SELECT {step} AS time, location AS metric, avg(response_time_s) AS value {_CHECKS} AND status = 'up' GROUP BY 1, 2 ORDER BY 1",
            ),
            "s",
            width=12,
        ),
        _panel(
            "Response time by phase",
            "Mean of the checks that were up; phases of all redirects together.",
            (f"SELECT {step} AS time, {phases} {_CHECKS} AND status = 'up' GROUP BY 1 ORDER BY 1",),
            "s",
            width=12,
            stacked=True,
        ),
        _panel(
            "Verdicts",
            "Checks by verdict and reason.",
            (
                f"SELECT {step} AS time, status || coalesce(' ' || reason, '') AS metric, count(*) AS value {_CHECKS} GROUP BY 1, 2 ORDER BY 1",
            ),
            "short",
            width=12,
            stacked=True,
        ),
        _panel(
            "Status codes",
            "Checks by the status code of the last answer.",
            (
                f"SELECT {step} AS time, http_status::text AS metric, count(*) AS value {_CHECKS} AND http_status IS NOT NULL GROUP BY 1, 2 ORDER BY 1",
            ),
            "short",
            width=12,
            stacked=True,
        ),
        _table(
            "Last checks",
            "The newest checks with what was seen.",
            (
                f"SELECT scheduled_at, location, status, reason, http_status, response_time_s, dns_s, connect_s, tls_s, first_byte_s, transfer_s, body_bytes, http_version, tls_version, remote_address, error {_CHECKS} ORDER BY scheduled_at DESC LIMIT 100",
            ),
            width=24,
            units={"body_bytes": "bytes"}
            | dict.fromkeys(("response_time_s", "dns_s", "connect_s", "tls_s", "first_byte_s", "transfer_s"), "s"),
        ),
    )


def _events() -> tuple[Panel, ...]:
    return (
        _panel(
            "Availability by day",
            "Share of the checks that were up among those that were up or down.",
            (
                f"SELECT day::timestamptz AS time, location AS metric, availability AS value FROM monitoring.website_availability_daily WHERE $__timeFilter(day::timestamptz + interval '1 day') AND {_WHERE} ORDER BY 1",
            ),
            "percentunit",
        ),
        _table(
            "Incidents",
            "Incidents that were open in the period.",
            (
                f"SELECT began_at, ended_at, extract(epoch FROM duration) AS duration, location, reason, end_reason, checks FROM monitoring.website_incident WHERE began_at <= $__timeTo() AND coalesce(ended_at, 'infinity') >= $__timeFrom() AND {_WHERE} ORDER BY began_at DESC LIMIT 100",
            ),
            width=8,
            units={"duration": "s"},
        ),
        _table(
            "Alerts",
            "Transitions of its alerts, the newest first.",
            (
                "SELECT at, policy, kind, severity, before, state, cause FROM monitoring.alert_transition WHERE $__timeFilter(at) AND url = ${website:sqlstring} ORDER BY sequence DESC LIMIT 100",
            ),
            width=8,
        ),
    )
