"""Comparing the targets of an owner with what is declared, and making them so, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dbadmin.connect import connected
from dbadmin.targets.merging import Merge, changed
from dbadmin.targets.ownership import OWNER_LABEL
from dbadmin.targets.plans import Action, Way, make_plan
from dbadmin.targets.staging import rows_of, stage
from dbadmin.targets.table import aliased_columns
from monitoring_core.tables import TARGET_TABLE
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from dbadmin.targets.declared import Declaration
    from dbadmin.targets.plans import Plan
    from monitoring_core.config import DatabaseConfig

_KNOWN = """SELECT {columns} FROM {table}
WHERE amc_labels @> %(owner)s OR amc_url = ANY(%(urls)s) ORDER BY amc_id"""


def plan_targets(config: DatabaseConfig, declaration: Declaration, way: Way) -> Plan:
    """What has to change; nothing is locked or written.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    with connected(config) as connection:
        return _plan(connection, config.schema, declaration, way)


def apply_targets(config: DatabaseConfig, declaration: Declaration, way: Way, accepted: Callable[[Plan], None]) -> Plan:
    """Make the targets of the owner as declared, all of them or none; returns what was changed.

    Others wait with changes of targets from the comparison on, so that it still holds when it is carried out.

    Args:
        accepted: raises an error if the plan must not be carried out.

    Raises:
        OutageError, StopError: PostgreSQL cannot be reached, or refuses.
    """
    table = sql.Identifier(config.schema, TARGET_TABLE)
    with connected(config) as connection:
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table))
        plan = _plan(connection, config.schema, declaration, way)
        accepted(plan)
        _let_go(connection, table, plan)
        _merge(connection, config.schema, plan)
    return plan


def _plan(connection: psycopg.Connection[Any], schema: str, declaration: Declaration, way: Way) -> Plan:
    statement = sql.SQL(_KNOWN).format(columns=aliased_columns(), table=sql.Identifier(schema, TARGET_TABLE))
    values = {
        "owner": Jsonb({OWNER_LABEL: declaration.owner}),
        "urls": [declared.record.url for declared in declaration.targets],
    }
    with connection.cursor(row_factory=class_row(TargetRecord)) as cursor:
        return make_plan(declaration, cursor.execute(statement, values), way)


def _let_go(connection: psycopg.Connection[Any], table: sql.Identifier, plan: Plan) -> None:
    """Before others change: they may take over what these have."""
    for action, statement in (
        (Action.DEACTIVATE, "UPDATE {} SET amc_active = false WHERE amc_id = ANY(%s)"),
        (Action.REMOVE, "DELETE FROM {} WHERE amc_id = ANY(%s)"),
    ):
        ids = [change.before.id for change in plan.changes if change.action is action and change.before]
        if ids:
            changed(connection, sql.SQL(statement).format(table), (ids,))


def _merge(connection: psycopg.Connection[Any], schema: str, plan: Plan) -> None:
    """Add and change the others."""
    gone = (Action.DEACTIVATE, Action.REMOVE)
    records = [change.after for change in plan.changes if change.action not in gone and change.after]
    if records:
        stage(connection, schema, rows_of(records))
        merge = Merge(connection, sql.Identifier(schema, TARGET_TABLE), dry_run=False)
        merge.update()
        merge.insert()
