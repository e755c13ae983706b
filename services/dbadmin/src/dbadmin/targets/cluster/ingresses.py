"""What an Ingress publishes (networking.k8s.io/v1): https where its section `tls` has the host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbadmin.targets.cluster.address import Address, Published, is_plain_path, is_wildcard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Some controllers want a prefix of this type with a star at its end.
_STAR = re.compile(r"\.?\*\Z")


def of_ingress(ingress: Mapping[str, Any]) -> Published:
    """The hosts of its rules, each with its paths."""
    spec = ingress.get("spec") or {}
    addresses: list[Address] = []
    remarks, path_remarks = [], []
    for rule in spec.get("rules") or []:
        host = rule.get("host") or ""
        if not host or is_wildcard(host):
            remarks.append(f"{host} stands for many hosts" if host else "a rule without a host has no URL")
            continue
        scheme = "https" if any(_covers(tls, host) for tls in spec.get("tls") or []) else "http"
        for path in _paths(rule):
            plain = is_plain_path(path)
            addresses.append(Address(scheme, host, path if plain else ""))
            path_remarks += [] if plain else [f"{path[:100]!r} of {host} is no plain path"]
    return Published(tuple(addresses), tuple(dict.fromkeys(remarks)), tuple(dict.fromkeys(path_remarks)))


def _paths(rule: Mapping[str, Any]) -> Iterator[str]:
    paths = (rule.get("http") or {}).get("paths") or []
    if not paths:
        yield "/"
    for one in paths:
        path = one.get("path") or "/"
        yield _STAR.sub("", path) or "/" if one.get("pathType") == "ImplementationSpecific" else path


def _covers(tls: Mapping[str, Any], host: str) -> bool:
    """Whether a part of `tls` is for a host: without hosts for all, and a wildcard for one label."""
    hosts = tls.get("hosts") or []
    return not hosts or host in hosts or f"*.{host.partition('.')[2]}" in hosts
