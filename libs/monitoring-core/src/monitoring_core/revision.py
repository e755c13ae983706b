"""Which revisions of the schema a service works with (docs/adr/0008)."""

from __future__ import annotations

# The oldest revision that has every table and column that the service's code uses. dbadmin knows the newest.
PRODUCER_NEEDS = "0011"
CONSUMER_NEEDS = "0010"
ALERT_NEEDS = "0017"
STATUS_NEEDS = "0022"

# The present revision, and the oldest one whose services it still serves; {versions} is the quoted name of the table.
# to_jsonb gives NULL for oldest_served where the table is older than the column.
QUERY = "SELECT version_num, to_jsonb(v) ->> 'oldest_served' FROM {versions} AS v"


def why_unfit(needed: str, present: str | None, oldest_served: str | None, schema: str) -> str | None:
    """Why a service cannot work with a schema, in one line with the command that mends it, or None.

    Args:
        needed: the revision that the service's code needs.
        present: the revision of the schema; None when it has none.
        oldest_served: the oldest revision whose services still work with the schema; None means `present`.
        schema: the name of the schema.
    """
    if present is None or present < needed:
        at = f"at revision {present}" if present else "empty"
        return f"schema {schema} is {at}, too old for this service, which needs {needed}: run dbadmin create-schema"
    if needed < (oldest_served or present):
        return (
            f"schema {schema} is at revision {present}, too new for this service, which needs {needed}: use a newer "
            f"release of it, or run dbadmin downgrade-schema {needed}"
        )
    return None
