"""Declared targets, judged one after another: those of files and of requests alike."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from monitoring_core.config.faults import suggestion
from monitoring_core.config.values.shown import shown
from monitoring_core.declared.ownership import OWNER_LABELS, key_problem
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import TargetRecord, without_credentials
from monitoring_core.targets.files import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

# So many faults are told: nobody reads more at once.
MAX_REPORTED = 100
_ANY_URL = "http://a/"
_KNOWN = ("key", *(name for name in FIELDS if name != "id"))


class Items:
    """Judges targets, and remembers the keys and URLs of all of them, which none may have twice."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._urls: dict[str, str] = {}

    def judge(self, item: object, path: str, place: str) -> tuple[TargetRecord | None, list[tuple[str, str]]]:
        """The target, or else what is wrong with it: the path of each fault, and a sentence without secrets.

        Args:
            path: that of the item, like `targets[3]`.
            place: where a person finds it.
        """
        if not isinstance(item, dict):
            got = shown(_without_credentials(item))
            return None, [(path, f"must be a target like {{key: home, url: https://example.org/}}, got {got}")]
        faults = [
            *islice(_faults_of_names(item), MAX_REPORTED),
            *_faults_of_labels(item.get("labels")),
            *self._faults_of_others(item, place),
        ]
        values = {name: item[name] for name in FIELDS if name in item and name != "id"}
        record = None
        try:
            record = TargetRecord.parse({"url": _ANY_URL} | values)
        except InvalidTargetError as error:
            faults += map(_parted, error.problems)
        return None if faults else record, [(f"{path}.{field}", message) for field, message in faults]

    def _faults_of_others(self, item: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
        """What another target has already."""
        for name, taken in (("key", self._keys), ("url", self._urls)):
            value = item.get(name)
            if not isinstance(value, str):
                continue
            if value in taken:
                yield name, f"{without_credentials(value)[:100]} is that of {taken[value]} too"
            else:
                taken[value] = place


def _faults_of_names(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in item:
        if name == "id":
            yield "id", "is given by PostgreSQL; a declared target has a key"
        elif name not in _KNOWN:
            yield name, f"no such field{suggestion(name, dict.fromkeys(_KNOWN))}"
    for name in ("key", "url"):
        if name not in item:
            yield name, "is required"
    if "key" in item and (problem := key_problem(item["key"])):
        yield "key", f"{problem}, got {shown(_without_credentials(item['key']))}"


def _faults_of_labels(labels: object) -> Iterator[tuple[str, str]]:
    for name in OWNER_LABELS:
        if isinstance(labels, dict) and name in labels:
            yield f"labels.{name}", "is set by apply, from owner and key"


def _parted(problem: str) -> tuple[str, str]:
    """The field and the sentence."""
    field, _, message = problem.partition(": ")
    return field, message


def _without_credentials(value: object) -> object:
    return without_credentials(value) if isinstance(value, str) else value
