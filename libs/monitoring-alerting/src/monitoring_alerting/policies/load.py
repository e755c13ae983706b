"""Load alert policies from alerts.yaml: strictly, with every fault at once."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from monitoring_alerting.policies.choice import Policies
from monitoring_alerting.policies.items import Items
from monitoring_alerting.policies.kinds import KINDS, Kind, Policy
from monitoring_core.config.values.shown import shown

_EXAMPLE = "a list of policies, like `- {name: website-down, kind: down}`"


def load_policies(path: Path) -> Policies:
    """Read the policies of a file.

    Raises:
        ConfigError: anything is wrong with them, with every fault found. Nothing else is ever raised.
    """
    items = Items(path)
    items.check_sections()
    policies = read_policies(items)
    items.finish()
    return policies


def read_policies(items: Items) -> Policies:
    """The policies of a file that is being read, without those that are faulty."""
    found = items.data.get("policies")
    if not isinstance(found, list) or not found:
        items.fault("policies", f"must be {_EXAMPLE}")
        found = []
    policies = [_policy(items, f"policies[{number}]", item) for number, item in enumerate(found)]
    _compare(items, policies)
    return Policies(tuple(policy for policy in policies if policy))


def _policy(items: Items, path: str, item: object) -> Policy | None:
    """The policy, or None when it cannot be made; notes all its faults."""
    if not isinstance(item, dict):
        items.fault(path, f"must be a policy like {{name: website-down, kind: down}}, got {shown(item)}")
        return None
    named = item.get("kind")
    if named not in list(Kind):
        known = ", ".join(Kind)
        items.fault(f"{path}.kind", "is required" if named is None else f"must be one of {known}, got {shown(named)}")
        return None
    return cast("Policy | None", items.item(path, item, KINDS[Kind(named)]))


def _compare(items: Items, policies: list[Policy | None]) -> None:
    """Note faults of policies that stand in each other's way."""
    items.unique_names([(f"policies[{number}]", policy.name) for number, policy in enumerate(policies) if policy])
    matches: dict[tuple[Kind, frozenset[tuple[str, str]]], str] = {}
    for number, policy in enumerate(policies):
        if policy is None:
            continue
        other = matches.setdefault((policy.kind, frozenset(policy.match.items())), policy.name)
        if other != policy.name:
            items.fault(f"policies[{number}].match", f"is that of {other}, so that this policy would never be chosen")
