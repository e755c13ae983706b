"""The targets that a cluster declares: what its Ingresses and HTTPRoutes publish, as their annotations wish it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs

from dbadmin.targets.cluster.annotations import PREFIX, wishes_of
from dbadmin.targets.cluster.ingresses import of_ingress
from dbadmin.targets.cluster.routes import of_route
from monitoring_core.declared.declaration import Declaration, Declared
from monitoring_core.declared.ownership import key_problem, owned
from monitoring_core.result import MAX_URL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbadmin.targets.cluster.address import Address, Published
    from dbadmin.targets.cluster.annotations import Wishes
    from dbadmin.targets.cluster.listing import Cluster

# Where a target is: on pages, in labels of metrics, and for policies.
NAMESPACE_LABEL = "namespace"
# Published for minutes, while a certificate is issued (RFC 8555, section 8.3).
_CHALLENGE = "/.well-known/acme-challenge/"


@attrs.frozen
class Terms:
    """Which objects become targets.

    Attributes:
        grace: how old an object must be before its targets are added.
        opt_in: only those whose annotation `watch` is true; else all but those where it is false.
    """

    grace: dt.timedelta
    opt_in: bool


def read_cluster(cluster: Cluster, owner: str, terms: Terms, now: dt.datetime) -> Declaration:
    """The targets of a cluster. Of two objects with one URL the older has it.

    Raises:
        OutageError, StopError: the cluster cannot be read as a whole.
    """
    reading = _Reading(owner, terms, now)
    # Of each object its metadata alone: a hundred thousand are in memory.
    objects = [("ingress", one["metadata"], of_ingress(one)) for one in cluster.ingresses()]
    if cluster.knows_routes():
        objects += [("httproute", one["metadata"], of_route(one, cluster.gateway)) for one in cluster.routes()]
    else:
        # Their definitions may have been deleted by mistake, and all of them with these.
        reading.hold("httproute/")
    for kind, metadata, published in sorted(objects, key=lambda one: (_made_at(one[1]), one[0], _name(one[1]))):
        reading.take(kind, metadata, published)
    return reading.declaration()


class _Reading:
    def __init__(self, owner: str, terms: Terms, now: dt.datetime) -> None:
        self._owner = owner
        self._terms = terms
        self._now = now
        self._targets: dict[str, Declared] = {}
        self._held: list[str] = []
        self._remarks: list[str] = []
        self._faults: list[str] = []

    def hold(self, beginning: str) -> None:
        """Leave targets as they are whose keys begin so."""
        self._held.append(beginning)

    def take(self, kind: str, metadata: Mapping[str, Any], published: Published) -> None:
        """Take up the targets of an object."""
        name = f"{kind} {_name(metadata)}"
        wishes = wishes_of(metadata.get("annotations") or {})
        beginning = f"{kind}/{_name(metadata)}/"
        if wishes.faults:
            self.hold(beginning)
            self._faults += [f"{name}: {PREFIX}{fault}" for fault in wishes.faults]
            return
        watch = not self._terms.opt_in if wishes.watch is None else wishes.watch
        if not watch or "deletionTimestamp" in metadata:
            return
        if not published.whole:
            self.hold(beginning)
        remarks = published.remarks if wishes.paths else (*published.remarks, *published.path_remarks)
        self._remarks += [f"{name}: {remark}" for remark in remarks]
        addable = published.served and self._now - _made_at(metadata) >= self._terms.grace
        for address in wishes.moved(published.addresses):
            if not address.path.startswith(_CHALLENGE):
                self._add(name, metadata["namespace"], address, wishes, addable)

    def _add(self, name: str, namespace: str, address: Address, wishes: Wishes, addable: bool) -> None:
        key, url = f"{name.replace(' ', '/')}/{address.place}", address.url
        labels = owned((wishes.record.labels or {}) | {NAMESPACE_LABEL: namespace}, self._owner, key)
        record = attrs.evolve(wishes.record, url=url, labels=labels)
        if other := self._targets.get(url):
            if other.place != name:
                self._remarks.append(f"{name}: {url} is that of {other.place} too, which is older")
        elif len(url) > MAX_URL_LENGTH or key_problem(key) or record.problems():
            self._remarks.append(f"{name}: {url[:100]!r} cannot be asked for")
        else:
            self._targets[url] = Declared(key, record, name, addable)

    def declaration(self) -> Declaration:
        return Declaration(
            owner=self._owner,
            targets=tuple(sorted(self._targets.values(), key=lambda declared: declared.key)),
            whole=False,
            held=tuple(self._held),
            remarks=tuple(self._remarks),
            faults=tuple(self._faults),
        )


def _name(metadata: Mapping[str, Any]) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"


def _made_at(metadata: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(metadata["creationTimestamp"])
