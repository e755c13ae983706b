"""The objects of a cluster that publish something, a page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from dbadmin.kubernetes_api import KubernetesApi, KubernetesError
from dbadmin.targets.cluster.routes import GROUP
from monitoring_core.errors import MonitoringError, OutageError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = 500
MAX_OBJECTS = 100_000
_REFUSED = {
    401: "Kubernetes does not know who asks: log in again",
    403: "the account may not read {what}: give it the verb {verb} on {what}{where}",
    410: "the list of {what} was too old when its end was asked for: run it again",
}


class _AbsentError(StopError):
    """There is nothing at a path."""


class Cluster:
    """What there is in a cluster, or in some of its namespaces.

    Every method raises OutageError or StopError when that cannot be told as a whole: what is not seen would be let go.
    """

    def __init__(self, api: KubernetesApi, namespaces: Sequence[str]) -> None:
        """Args: namespaces: those to look into; empty for all."""
        self._api = api
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._gateways: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def ingresses(self) -> Iterator[Mapping[str, Any]]:
        """All Ingresses."""
        return self._listed("networking.k8s.io", "ingresses")

    def knows_routes(self) -> bool:
        """Whether the cluster knows of HTTPRoutes, which are not built into Kubernetes."""
        try:
            self._api.get(f"/apis/{GROUP}/v1")
        except KubernetesError as error:
            return error.status != 404
        return True

    def routes(self) -> Iterator[Mapping[str, Any]]:
        """All HTTPRoutes."""
        return self._listed(GROUP, "httproutes")

    def gateway(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """A Gateway, asked for once; None when there is none."""
        if (namespace, name) not in self._gateways:
            path = f"/apis/{GROUP}/v1/namespaces/{quote(namespace, '')}/gateways/{quote(name, '')}"
            try:
                self._gateways[namespace, name] = self._get(path, f"gateways.{GROUP}", "get", namespace)
            except _AbsentError:
                self._gateways[namespace, name] = None
        return self._gateways[namespace, name]

    def _listed(self, group: str, kind: str) -> Iterator[Mapping[str, Any]]:
        count = 0
        for namespace in self._namespaces or (None,):
            within = f"/namespaces/{quote(namespace, '')}" if namespace else ""
            query: dict[str, object] = {"limit": PAGE}
            while True:
                path = f"/apis/{group}/v1{within}/{kind}?{urlencode(query)}"
                page = self._get(path, f"{kind}.{group}", "list", namespace)
                for item in page.get("items") or []:
                    count += 1
                    yield item
                if count > MAX_OBJECTS:
                    raise StopError(f"there are more than {MAX_OBJECTS:,} {kind}: name namespaces")
                if not (more := (page.get("metadata") or {}).get("continue")):
                    break
                query["continue"] = more

    def _get(self, path: str, what: str, verb: str, namespace: str | None) -> Mapping[str, Any]:
        try:
            return self._api.get(path)
        except KubernetesError as error:
            raise _refused(error, what, verb, namespace) from None


def _refused(error: KubernetesError, what: str, verb: str, namespace: str | None) -> MonitoringError:
    where = f" in {namespace}" if namespace else ""
    text = _REFUSED.get(error.status or 0, "{what} cannot be read: {error}")
    kind = _AbsentError if error.status == 404 else StopError if error.status in (401, 403) else OutageError
    return kind(text.format(what=what, verb=verb, where=where, error=error))
