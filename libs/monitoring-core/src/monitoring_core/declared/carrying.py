"""Comparing what is declared with the table of targets, and making it so.

In a statement `{name}` stands for the relation of this name in the schema, quoted, and `%(name)s` for a value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from monitoring_core.declared.ownership import OWNER_LABEL
from monitoring_core.declared.plans import Action, make_plan
from monitoring_core.tables import TARGET_COLUMNS, TARGET_TABLE
from monitoring_core.targets import TargetRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from monitoring_core.declared.declaration import Declaration
    from monitoring_core.declared.plans import Plan, Way

    # Runs one statement of a transaction; gives its rows, each by the names of its columns.
    Run = Callable[[str, Mapping[str, object]], list[dict[str, Any]]]

# So many targets are changed by a statement: a value of JSON may have 256 MiB.
MOST_AT_ONCE = 10_000

_VALUES = [column for name, column in TARGET_COLUMNS.items() if name != "id"]
# Also who locks rows first, to change them later, waits here; else each would wait for the other.
_HOLD = f"LOCK TABLE {{{TARGET_TABLE}}} IN EXCLUSIVE MODE"
_KNOWN = f"""
SELECT {", ".join(f"{column} AS {name}" for name, column in TARGET_COLUMNS.items())}, xmin::text AS version
FROM {{{TARGET_TABLE}}} WHERE amc_labels @> %(owner)s::jsonb OR amc_url = ANY(%(urls)s) ORDER BY amc_id"""
_DEACTIVATE = f"UPDATE {{{TARGET_TABLE}}} SET amc_active = false WHERE amc_id = ANY(%(ids)s)"
_REMOVE = f"DELETE FROM {{{TARGET_TABLE}}} WHERE amc_id = ANY(%(ids)s)"
_ROWS = f"jsonb_populate_recordset(NULL::{{{TARGET_TABLE}}}, %(rows)s::jsonb)"
_CHANGE = f"""
UPDATE {{{TARGET_TABLE}}} t SET {", ".join(f"{column} = s.{column}" for column in _VALUES)}
FROM {_ROWS} s WHERE t.amc_id = s.amc_id"""
_ADD = f"""
INSERT INTO {{{TARGET_TABLE}}} ({", ".join(_VALUES)})
SELECT {", ".join(f"s.{column}" for column in _VALUES)} FROM {_ROWS} WITH ORDINALITY s ORDER BY s.ordinality"""


@attrs.frozen
class Compared:
    """What has to change, and of which state of the table that is true.

    Attributes:
        versions: of each target that was compared, by its id; another one after every change (see `xmin` in PostgreSQL
            documentation, "System Columns").
    """

    plan: Plan
    versions: Mapping[int, str]


def hold(run: Run) -> None:
    """Let others wait who want to change targets, until the transaction ends; readers never wait."""
    run(_HOLD, {})


def compare(run: Run, declaration: Declaration, way: Way) -> Compared:
    """What has to change; nothing is locked or written."""
    values = {
        "owner": json.dumps({OWNER_LABEL: declaration.owner}),
        "urls": [declared.record.url for declared in declaration.targets],
    }
    rows = run(_KNOWN, values)
    versions = {row["id"]: row.pop("version") for row in rows}
    return Compared(make_plan(declaration, (TargetRecord(**row) for row in rows), way), versions)


def carry_out(run: Run, plan: Plan) -> None:
    """Change what has to change. Since the plan was made, others were held off."""
    # What goes comes first: others may take over what it has.
    for action, statement in ((Action.DEACTIVATE, _DEACTIVATE), (Action.REMOVE, _REMOVE)):
        if ids := [change.before.id for change in plan.changes if change.action is action and change.before]:
            run(statement, {"ids": ids})
    for actions, statement in (((Action.ADOPT, Action.CHANGE), _CHANGE), ((Action.ADD,), _ADD)):
        records = [change.after for change in plan.changes if change.action in actions and change.after]
        for rows in _in_json(records):
            run(statement, {"rows": rows})


def _in_json(records: Sequence[TargetRecord]) -> Iterator[str]:
    """The rows of targets."""
    for begin in range(0, len(records), MOST_AT_ONCE):
        rows = [
            {column: getattr(record, name) for name, column in TARGET_COLUMNS.items()}
            for record in records[begin : begin + MOST_AT_ONCE]
        ]
        yield json.dumps(rows, ensure_ascii=False, allow_nan=False)
