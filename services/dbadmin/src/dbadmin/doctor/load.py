"""Whether the present targets have what they need: connections to PostgreSQL, and a producer for each ID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin.doctor.findings import Finding, failed, passed, warned
from dbadmin.sizing.inventory import loads_in, max_connections_in
from dbadmin.sizing.planning import Circumstances, Costs, check_us, plan
from dbadmin.targets.table import count_active
from monitoring_core.assignment import producers_needed, rank_range
from monitoring_runtime.postgres import composed

if TYPE_CHECKING:
    import psycopg

    from monitoring_core.config import Config

# A warning begins above this share of the allowed connections.
_NEARLY_ALL = 0.8
_HELD = "SELECT producer_id FROM {producer_lease} WHERE location = %s AND expires_at > now()"


def check_connections(connection: psycopg.Connection[Any], config: Config) -> Finding:
    """Whether PostgreSQL allows the connections of all parts that the targets need."""
    costs = Costs(check_us=check_us(config.monitor.engine))
    known = Circumstances(max_connections=max_connections_in(connection))
    needs = plan(config, loads_in(connection, config), costs, known)
    subject = "connections to PostgreSQL"
    need = next(need for need in needs if need.what == subject)
    have = int(need.have or 0)
    if need.need > have:
        return failed(subject, f"{need.need:g} are needed and {have} allowed", need.advice)
    if need.need > _NEARLY_ALL * have:
        return warned(subject, f"{need.need:g} are needed of {have}", need.advice)
    return passed(subject, f"{need.need:g} are needed of {have}")


def check_leases(connection: psycopg.Connection[Any], config: Config) -> Finding:
    """Whether each producer ID that is needed is held: nobody watches the targets of an ID that is not."""
    query = composed(_HELD, config.database.schema)
    held = {int(row[0]) for row in connection.execute(query, (config.monitor.location,)).fetchall()}
    active = count_active(connection, config.database.schema)
    needed = producers_needed(active, config.monitor.websites_per_container)
    free = sorted(set(range(1, needed + 1)) - held)
    subject = f"producers in {config.monitor.location}"
    if free:
        shown = ", ".join(map(str, free[:10])) + (", …" if len(free) > 10 else "")
        ranges = (rank_range(number, config.monitor.websites_per_container) for number in free)
        unwatched = sum(min(ranks.stop, active) - ranks.start for ranks in ranges)
        text = f"{len(free)} of {needed} IDs have none: {shown}; nobody watches {unwatched} of {active} active targets"
        return failed(subject, text, "run producer-svc run --id for each")
    return passed(subject, f"{needed} needed, all IDs are held")
