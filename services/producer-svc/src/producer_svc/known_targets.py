"""The targets of a range as they were read last, in little memory: a range may hold a million."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.targets import TargetRecord


class KnownTargets:
    """Ids and digests, added in order of id.

    Attributes:
        invalid: ids of targets that cannot be checked.
    """

    def __init__(self) -> None:
        self._ids, self._digests = array("q"), array("q")
        self.invalid: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, target_id: int, digest: int, valid: bool) -> None:
        """Add a target whose id is higher than all others."""
        self._ids.append(target_id)
        self._digests.append(digest)
        if not valid:
            self.invalid.add(target_id)

    def digest(self, target_id: int) -> int | None:
        """The digest that a target was added with; None for one that was not."""
        place = bisect_left(self._ids, target_id)
        found = place < len(self._ids) and self._ids[place] == target_id
        return self._digests[place] if found else None

    def with_others(self, others: KnownTargets) -> KnownTargets:
        """These targets, and those of the others that are not among them."""
        together = KnownTargets()
        for target_id in sorted({*self._ids, *others._ids}):
            here = self.digest(target_id)
            digest, known = (others.digest(target_id), others) if here is None else (here, self)
            together.add(target_id, digest or 0, target_id not in known.invalid)
        return together

    def without(self, others: KnownTargets) -> Iterator[int]:
        """The ids that are not among the others."""
        return (target_id for target_id in self._ids if others.digest(target_id) is None)


def digest(record: TargetRecord) -> int:
    """A number that changes when the record does; records themselves would take as much memory as the targets."""
    # repr, because PostgreSQL accepts any JSON, even lists and objects, which cannot be hashed.
    structures = [
        repr(value) if value else None
        for value in (
            record.headers,
            record.labels,
            record.further_regexps,
            record.further_forbidden_regexps,
            record.expected_headers,
            record.expected_json,
            record.secret_headers,
        )
    ]
    return hash(
        (
            record.url,
            record.regexp,
            record.check_interval_s,
            record.timeout_s,
            record.method,
            record.expected_status,
            record.follow_redirects,
            record.verify_tls,
            record.body,
            record.forbidden_regexp,
            record.connect_to,
            record.address_family,
            record.degraded_above_s,
            record.client_certificate,
            *structures,
        )
    )
