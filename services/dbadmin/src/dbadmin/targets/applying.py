"""Comparing the targets of an owner with what is declared, and making them so, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from dbadmin.connect import connected, runner
from dbadmin.targets.ids import raise_sequence
from monitoring_core.declared.carrying import carry_out, compare, hold
from monitoring_core.declared.plans import Action
from monitoring_core.tables import TARGET_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitoring_core.config import DatabaseConfig
    from monitoring_core.declared.declaration import Declaration
    from monitoring_core.declared.plans import Plan, Way


def plan_targets(config: DatabaseConfig, declaration: Declaration, way: Way) -> Plan:
    """What has to change; nothing is locked or written.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return compare(runner(connection, config.schema), declaration, way).plan


def apply_targets(config: DatabaseConfig, declaration: Declaration, way: Way, accepted: Callable[[Plan], None]) -> Plan:
    """Make the targets of the owner as declared, all of them or none; returns what was changed.

    Others wait with changes of targets from the comparison on, so that it still holds when it is carried out.

    Args:
        accepted: raises an error if the plan must not be carried out.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        run = runner(connection, config.schema)
        hold(run)
        plan = compare(run, declaration, way).plan
        accepted(plan)
        if plan.count(Action.ADD):
            raise_sequence(connection, sql.Identifier(config.schema, TARGET_TABLE))
        carry_out(run, plan)
    return plan
