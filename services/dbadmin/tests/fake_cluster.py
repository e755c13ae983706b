"""An API server of Kubernetes, over HTTP: lists by pages, Gateways by name, in the shapes that 1.34 answers with."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERSIONS = {
    "ingresses": ("networking.k8s.io/v1", "Ingress"),
    "httproutes": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    "gateways": ("gateway.networking.k8s.io/v1", "Gateway"),
}


def metadata(name: str, age: dt.timedelta, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """As an object has it; the name is that of the namespace, a slash and its own."""
    namespace, _, own = name.partition("/")
    made = (dt.datetime.now(dt.UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = [
        {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": made, "fieldsV1": {"f:spec": {}}}
    ]
    found = {"name": own, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "421", "generation": 1}
    found |= {"creationTimestamp": made, "managedFields": fields}
    return found | ({"annotations": annotations} if annotations else {})


def ingress(
    name: str,
    rules: list[dict[str, Any]],
    tls: list[dict[str, Any]] | None = None,
    age: dt.timedelta = dt.timedelta(hours=1),
    **annotations: str,
) -> dict[str, Any]:
    """An Ingress; annotations are named without their prefix."""
    spec: dict[str, Any] = {"ingressClassName": "nginx", "rules": rules}
    return {
        "metadata": metadata(name, age, prefixed(annotations)),
        "spec": spec | ({"tls": tls} if tls else {}),
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }


def rule(host: str | None, *paths: str, kind: str = "Prefix") -> dict[str, Any]:
    """A rule of an Ingress."""
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    http = {"http": {"paths": [{"path": path, "pathType": kind, "backend": backend} for path in paths]}}
    return ({"host": host} if host else {}) | (http if paths else {})


def route(
    name: str,
    parents: list[dict[str, Any]],
    hosts: list[str],
    *paths: str,
    age: dt.timedelta = dt.timedelta(hours=1),
    accepted: str = "True",
    **annotations: str,
) -> dict[str, Any]:
    """An HTTPRoute."""
    full = [{"group": "gateway.networking.k8s.io", "kind": "Gateway"} | parent for parent in parents]
    matches = [{"path": {"type": "PathPrefix", "value": path}} for path in paths or ("/",)]
    condition = {"type": "Accepted", "status": accepted, "reason": "Accepted", "observedGeneration": 1}
    return {
        "metadata": metadata(name, age, prefixed(annotations)),
        "spec": {
            "parentRefs": full,
            "rules": [{"matches": matches, "backendRefs": [{"name": "web", "port": 80, "weight": 1}]}],
        }
        | ({"hostnames": hosts} if hosts else {}),
        "status": {
            "parents": [
                {"parentRef": one, "controllerName": "example.org/gateway", "conditions": [condition]} for one in full
            ]
        },
    }


def gateway(name: str, *listeners: dict[str, Any]) -> dict[str, Any]:
    """A Gateway."""
    return {
        "metadata": metadata(name, dt.timedelta(days=1)),
        "spec": {"gatewayClassName": "example", "listeners": list(listeners)},
    }


def listener(name: str, port: int, protocol: str, hostname: str | None = None) -> dict[str, Any]:
    """A listener of a Gateway."""
    more = {"tls": {"mode": "Terminate", "certificateRefs": [{"name": "tls"}]}} if protocol == "HTTPS" else {}
    host = {"hostname": hostname} if hostname else {}
    return (
        {"name": name, "port": port, "protocol": protocol, "allowedRoutes": {"namespaces": {"from": "All"}}}
        | more
        | host
    )


def prefixed(annotations: dict[str, str]) -> dict[str, str]:
    """The annotations with their prefix, among others."""
    mine = {f"availability-monitor/{name}": value for name, value in annotations.items()}
    return mine | {"kubernetes.io/description": "a shop"}


@attrs.define
class FakeCluster:
    """What there is in the cluster; a kind that it has no list of is one that it does not know.

    Attributes:
        objects: by their kinds.
        refusals: the status and the reason that a kind is answered with.
        asked: the paths that were asked for.
    """

    objects: dict[str, list[dict[str, Any]]] = attrs.field(
        factory=lambda: {"ingresses": [], "httproutes": [], "gateways": []}
    )
    refusals: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """The status and the content of an answer."""
        self.asked.append(path)
        parts = urlsplit(path).path.split("/")[1:]
        if parts == ["apis", "gateway.networking.k8s.io", "v1"]:
            known = "httproutes" in self.objects
            return (200, {"kind": "APIResourceList"}) if known else (404, status(404, "NotFound", "not found"))
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        namespace = parts[4] if parts[3:4] == ["namespaces"] else None
        kind, *name = parts[5:] if namespace else parts[3:]
        version, singular = _VERSIONS[kind]
        if "/".join(parts[1:3]) != version or kind not in self.objects:
            return 404, status(404, "NotFound", "the server could not find the requested resource")
        if kind in self.refusals:
            code, reason = self.refusals[kind]
            return code, status(code, reason, reason)
        found = [one for one in self.objects[kind] if namespace in (None, one["metadata"]["namespace"])]
        if name:
            named = [one for one in found if one["metadata"]["name"] == name[0]]
            if not named:
                return 404, status(404, "NotFound", f"{kind} {name[0]!r} not found")
            return 200, {"apiVersion": version, "kind": singular} | named[0]
        return 200, {"apiVersion": version, "kind": f"{singular}List"} | page(found, query)

    @contextlib.contextmanager
    def running(self, kubeconfig: Path) -> Iterator[None]:
        """Answers, to whoever comes with the context `here` of a kubeconfig."""
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers["Authorization"] == "Bearer the-token"
                code, body = cluster.answer(self.path) if known else (401, status(401, "Unauthorized", "Unauthorized"))
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "u", "user": {"token": "the-token"}}],
        }
        kubeconfig.write_text(json.dumps(content))
        yield
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """An error as the API words it."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return body | {"message": message, "reason": reason, "code": code}


def page(found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """A part of a list, and where it goes on."""
    begin = int(base64.urlsafe_b64decode(query["continue"])) if "continue" in query else 0
    end = begin + int(query["limit"])
    more: dict[str, Any] = {}
    if end < len(found):
        token = base64.urlsafe_b64encode(str(end).encode()).decode()
        more = {"continue": token, "remainingItemCount": len(found) - end}
    return {"metadata": {"resourceVersion": "500"} | more, "items": found[begin:end]}
