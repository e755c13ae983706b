"""What an HTTPRoute publishes (gateway.networking.k8s.io/v1): at the listeners of its Gateways, with their schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbadmin.targets.cluster.address import Address, Published, is_plain_path, is_wildcard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    # The Gateway of a namespace and a name; None when there is none.
    Gateways = Callable[[str, str], Mapping[str, Any] | None]

GROUP = "gateway.networking.k8s.io"
_SCHEMES = {"HTTP": "http", "HTTPS": "https"}


def of_route(route: Mapping[str, Any], gateways: Gateways) -> Published:
    """Its hosts, as far as listeners take them, each with its paths. A host with a listener of HTTPS has that alone."""
    reading = _Reading(route, gateways)
    found = [address for listener in reading.listeners() for address in reading.addresses(listener)]
    secure = {address.host for address in found if address.scheme == "https"}
    kept = [address for address in found if address.scheme == "https" or address.host not in secure]
    return Published(
        addresses=tuple(kept),
        remarks=tuple(dict.fromkeys(reading.remarks)),
        path_remarks=tuple(dict.fromkeys(reading.path_remarks)),
        served=_is_accepted(route),
        whole=reading.whole,
    )


class _Reading:
    def __init__(self, route: Mapping[str, Any], gateways: Gateways) -> None:
        self._spec = route.get("spec") or {}
        self._namespace = route["metadata"]["namespace"]
        self._gateways = gateways
        self.remarks: list[str] = []
        self.path_remarks: list[str] = []
        self.whole = True
        self._paths = list(self._asked_paths())

    def listeners(self) -> Iterator[Mapping[str, Any]]:
        """Those that the route asks for."""
        for parent in self._spec.get("parentRefs") or []:
            if (parent.get("group", GROUP), parent.get("kind", "Gateway")) != (GROUP, "Gateway"):
                continue
            namespace, name = parent.get("namespace") or self._namespace, parent["name"]
            gateway = self._gateways(namespace, name)
            if gateway is None:
                self.remarks.append(f"there is no Gateway {namespace}/{name}")
                self.whole = False
                continue
            for listener in (gateway.get("spec") or {}).get("listeners") or []:
                asked = parent.get("sectionName") in (None, listener["name"])
                if asked and parent.get("port") in (None, listener["port"]) and listener["protocol"] in _SCHEMES:
                    yield listener

    def addresses(self, listener: Mapping[str, Any]) -> Iterator[Address]:
        """Where the route is published at a listener."""
        scheme = _SCHEMES[listener["protocol"]]
        for host in self._hosts(listener.get("hostname") or ""):
            for path in self._paths:
                yield Address.of(scheme, host, path, listener["port"])

    def _hosts(self, taken: str) -> Iterator[str]:
        """The hosts that both the route and a listener have, where each may have wildcards."""
        for host in self._spec.get("hostnames") or [taken]:
            if not host:
                self.remarks.append("neither the route nor the listener has a host")
            elif is_wildcard(host) and taken and not is_wildcard(taken) and _matches(host, taken):
                yield taken
            elif is_wildcard(host):
                self.remarks.append(f"{host} stands for many hosts")
            elif not taken or host == taken or _matches(taken, host):
                yield host

    def _asked_paths(self) -> Iterator[str]:
        """The paths of its rules; an empty one for each that a plain GET does not ask for."""
        for rule in self._spec.get("rules") or [{}]:
            for match in rule.get("matches") or [{}]:
                path = match.get("path") or {}
                value = path.get("value") or "/"
                if match.get("headers") or match.get("queryParams") or match.get("method", "GET") != "GET":
                    self.path_remarks.append(f"{value[:100]!r} wants more than a plain GET")
                    yield ""
                elif path.get("type") == "RegularExpression" or not is_plain_path(value):
                    self.path_remarks.append(f"{value[:100]!r} is no plain path")
                    yield ""
                else:
                    yield value


def _matches(wildcard: str, host: str) -> bool:
    """Whether a host ends as a wildcard does, which stands for one label or more."""
    return is_wildcard(wildcard) and host.endswith(wildcard[1:]) and host != wildcard


def _is_accepted(route: Mapping[str, Any]) -> bool:
    """Whether one of its Gateways says that it serves the route."""
    return any(
        condition.get("type") == "Accepted" and condition.get("status") == "True"
        for parent in (route.get("status") or {}).get("parents") or []
        for condition in parent.get("conditions") or []
    )
