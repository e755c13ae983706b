"""The table of websites that is redrawn while the stack runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from local_stack.servers import connect
from local_stack.stack import DATABASE
from monitoring_core.tables import TRANSITION_TABLE
from monitoring_core.targets import without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_stack.stack import Stack

_COLOURS = {"up": "green", "down": "red", "unknown": "yellow"}
_LATEST = f"""
SELECT amc_id, amc_url, r.status, r.reason, r.response_time_s, coalesce(n.rows, 0), a.states
FROM monitoring.availability_monitor_config
LEFT JOIN LATERAL (SELECT status, reason, response_time_s FROM monitoring.availability_result
                   WHERE target_id = amc_id ORDER BY scheduled_at DESC LIMIT 1) r ON true
LEFT JOIN (SELECT target_id, count(*) AS rows FROM monitoring.availability_result GROUP BY 1) n ON n.target_id = amc_id
LEFT JOIN (SELECT target_id, string_agg(state, ', ' ORDER BY state) AS states FROM
    (SELECT DISTINCT ON (alert_id) target_id, state FROM monitoring.{TRANSITION_TABLE} ORDER BY alert_id, sequence DESC)
    AS newest WHERE state NOT IN ('ok', 'resolved') GROUP BY 1) a ON a.target_id = amc_id
WHERE amc_active ORDER BY amc_id LIMIT 40
"""  # noqa: S608 (a constant)


def live_table(stack: Stack, names: Mapping[int, str]) -> Table:
    """Each website with its latest verdict in the database, its open alert and its number of rows."""
    table = Table(box=None, header_style="bold")
    for name in ("website", "verdict", "reason", "time", "alert", "rows"):
        table.add_column(name, overflow="fold")
    with connect(stack.postgres, DATABASE) as connection:
        for target_id, url, status, reason, seconds, rows, alert in connection.execute(_LATEST).fetchall():
            name = names.get(target_id) or without_credentials(url)
            verdict = f"[{_COLOURS[status]}]{status}[/]" if status else "…"
            took = f"{seconds * 1000:.0f} ms" if seconds is not None else ""
            table.add_row(name, verdict, reason or "", took, alert or "", str(rows))
    return table


def hints(stack: Stack, page: str) -> str:
    """How to look at the stack from a browser, and from another terminal."""
    postgres = stack.postgres
    return (
        f"Open {page} in a browser.\n"
        "In another terminal, for psql and dbadmin:\n"
        f'psql "host={postgres.host} port={postgres.port} user={postgres.user} dbname={DATABASE}"\n'
        f"export MONITORING_CONFIG={stack.config_file}"
    )
