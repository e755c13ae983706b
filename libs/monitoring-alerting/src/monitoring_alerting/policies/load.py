"""Load alert policies from alerts.yaml: strictly, with every fault at once."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args

import attrs

from monitoring_alerting.policies.choice import Policies
from monitoring_alerting.policies.kinds import KINDS, Kind, Policy
from monitoring_core.config.document import Document, read_document
from monitoring_core.config.faults import ConfigError, Fault, suggestion
from monitoring_core.config.structure import structure
from monitoring_core.config.values.shown import shown

_EXAMPLE = "a list of policies, like `- {name: website-down, kind: down}`"


def load_policies(path: Path) -> Policies:
    """Read a file of policies.

    Raises:
        ConfigError: anything is wrong, with every fault found. Nothing else is ever raised.
    """
    return _Loading(path, read_document(path)).load()


class _Loading:
    """One load: the document, and the faults so far."""

    def __init__(self, path: Path, document: Document) -> None:
        self._path = path
        self._document = document
        self._faults: list[Fault] = []

    def load(self) -> Policies:
        content = self._document.data
        for name in content:
            if name != "policies":
                self._fault(name, f"no such section{suggestion(name, {'policies': None})}")
        items = content.get("policies")
        if not isinstance(items, list) or not items:
            self._fault("policies", f"must be {_EXAMPLE}")
            items = []
        policies = [self._policy(f"policies[{number}]", item) for number, item in enumerate(items)]
        self._compare(policies)
        if self._faults:
            raise ConfigError(sorted(self._faults, key=_line))
        return Policies(tuple(cast("list[Policy]", policies)))

    def _policy(self, path: str, item: object) -> Policy | None:
        """The policy, or None when it cannot be made; adds all its faults to `_faults`."""
        if not isinstance(item, dict):
            self._fault(path, f"must be a policy like {{name: website-down, kind: down}}, got {shown(item)}")
            return None
        named = item.get("kind")
        if named not in list(Kind):
            known = ", ".join(Kind)
            self._fault(
                f"{path}.kind", "is required" if named is None else f"must be one of {known}, got {shown(named)}"
            )
            return None
        kind = KINDS[Kind(named)]
        data, faulty = self._without_misshapen_sections(path, item, kind)
        policy, faults = structure(data, kind)
        for key, message in faults:
            self._fault(f"{path}.{key}", message)
            faulty.add(key.partition(".")[0])
        if policy:
            for rule in policy.broken_rules():
                if faulty.isdisjoint(key.partition(".")[0] for key in rule.keys):
                    self._fault(f"{path}.{rule.keys[0]}", rule.message)
        return None if faulty else cast("Policy | None", policy)

    def _without_misshapen_sections(
        self, path: str, item: dict[str, Any], kind: type[Policy]
    ) -> tuple[dict[str, object], set[str]]:
        """The settings of a policy without those that should be mappings and are not, and the names of these."""
        sections = _sections(kind)
        empty = {name for name in sections if name in item and item[name] is None}
        misshapen = {name for name in sections.keys() & item.keys() - empty if not isinstance(item[name], dict)}
        for name in misshapen:
            settings = ", ".join(attrs.fields_dict(sections[name]))
            self._fault(f"{path}.{name}", f"must be a mapping with {settings}, got {shown(item[name])}")
        return {name: value for name, value in item.items() if name not in empty | misshapen}, misshapen

    def _compare(self, policies: list[Policy | None]) -> None:
        """Faults of policies that stand in each other's way."""
        names: dict[str, int] = {}
        matches: dict[tuple[Kind, frozenset[tuple[str, str]]], str] = {}
        for number, policy in enumerate(policies):
            if policy is None:
                continue
            first = names.setdefault(policy.name, number)
            if first != number:
                self._fault(f"policies[{number}].name", f"is the name of policies[{first}] too")
            other = matches.setdefault((policy.kind, frozenset(policy.match.items())), policy.name)
            if other != policy.name:
                self._fault(
                    f"policies[{number}].match", f"is that of {other}, so that this policy would never be chosen"
                )

    def _fault(self, path: str, message: str) -> None:
        self._faults.append(Fault(self._place(path), path, message))

    def _place(self, path: str) -> str:
        """The place of a setting; where it is not set, that of what it belongs to."""
        lines = self._document.lines
        while path:
            if path in lines:
                return f"{self._path}:{lines[path]}"
            within = [line for name, line in lines.items() if name.startswith(f"{path}.")]
            if within:
                return f"{self._path}:{min(within)}"
            path = path.rpartition(".")[0] if "." in path else path.partition("[")[0] if "[" in path else ""
        return str(self._path)


def _line(fault: Fault) -> tuple[int, str]:
    """Sort by line of the file; faults without a line come first."""
    _, _, line = fault.place.rpartition(":")
    return (int(line) if line.isdecimal() else 0, fault.path)


def _sections(kind: type[Policy]) -> dict[str, type[attrs.AttrsInstance]]:
    """The settings of a kind that are mappings of settings, with their classes."""
    fields = attrs.fields(attrs.resolve_types(kind))
    return {
        field.name: option
        for field in fields
        for option in get_args(field.type) or (field.type,)
        if option is not NoneType and isinstance(option, type) and attrs.has(option)
    }
