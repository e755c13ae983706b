"""What the annotations of an object say: whether it is watched, where, and how.

Whoever may change an Ingress says what is asked of its hosts, so no field is taken that would send secrets, or send a
request elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from dbadmin.targets.cluster.address import is_plain_path
from monitoring_core.config.faults import clipped, suggestion
from monitoring_core.declared.ownership import OWNER_LABELS
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import TargetRecord
from monitoring_core.targets.files import parse_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbadmin.targets.cluster.address import Address

PREFIX = "availability-monitor/"
FIELDS = (
    "check_interval_s",
    "timeout_s",
    "degraded_above_s",
    "expected_status",
    "regexp",
    "forbidden_regexp",
    "further_regexps",
    "further_forbidden_regexps",
    "expected_headers",
    "expected_json",
    "follow_redirects",
    "verify_tls",
    "address_family",
    "labels",
)
_OWN = ("watch", "paths", "scheme")
_TRUTHS = {"true": True, "false": False}
_ANY_URL = "http://a/"
_LIMIT = 1_000
_SEPARATOR = re.compile(r"[\s,]+")


@attrs.frozen
class Wishes:
    """What annotations say.

    Attributes:
        watch: None when they do not say.
        paths: in place of those that the object publishes; empty for these.
        scheme: in place of the object's; None for this.
        record: the fields of its targets, with any URL.
        faults: what is wrong with them, a sentence each.
    """

    watch: bool | None
    paths: tuple[str, ...]
    scheme: str | None
    record: TargetRecord
    faults: tuple[str, ...]

    def moved(self, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        """The addresses as they are wished: each host with the paths, and with the scheme."""
        found = [
            attrs.evolve(address, path=path, scheme=self.scheme or address.scheme)
            for address in addresses
            for path in self.paths or (address.path,)
            if path
        ]
        return tuple(dict.fromkeys(found))


def wishes_of(annotations: Mapping[str, str]) -> Wishes:
    """What the annotations of an object say; of those with other names, nothing."""
    said = {name.removeprefix(PREFIX): value for name, value in annotations.items() if name.startswith(PREFIX)}
    faults = list(_faults(said))
    record = TargetRecord(url=_ANY_URL)
    try:
        record = parse_texts({"url": _ANY_URL} | {name: said[name] for name in FIELDS if name in said})
        faults += [f"labels.{name} is set by apply" for name in OWNER_LABELS if name in (record.labels or {})]
    except InvalidTargetError as error:
        faults += error.problems
    return Wishes(
        watch=_TRUTHS.get(said.get("watch", "")),
        paths=tuple(_paths(said)),
        scheme=said.get("scheme"),
        record=record,
        faults=tuple(faults),
    )


def _paths(said: Mapping[str, str]) -> list[str]:
    return [path for path in _SEPARATOR.split(said.get("paths", "")) if path]


def _faults(said: Mapping[str, str]) -> Iterator[str]:
    for name, value in said.items():
        if name not in (*_OWN, *FIELDS):
            yield f"{clipped(name)}: no such annotation{suggestion(name, dict.fromkeys((*_OWN, *FIELDS)))}"
        elif name == "watch" and value not in _TRUTHS:
            yield f"watch: must be true or false, got {clipped(repr(value))}"
        elif name == "scheme" and value not in ("http", "https"):
            yield f"scheme: must be http or https, got {clipped(repr(value))}"
    if "paths" in said:
        paths = _paths(said)
        if not paths or len(paths) > _LIMIT or any(not is_plain_path(path) for path in paths):
            yield f"paths: must be paths like /health,/login, got {clipped(repr(said['paths']))}"
