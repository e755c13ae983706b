"""What a real Kubernetes publishes becomes targets, read by the account of the example and by no other right."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbadmin.kubernetes_api import KubernetesApi, KubernetesError
from dbadmin.targets.cluster import listing
from dbadmin.targets.cluster.listing import Cluster
from dbadmin.targets.cluster.source import Terms, read_cluster
from monitoring_core.errors import StopError
from monitoring_testkit.needs import cannot_run
from monitoring_testkit.waiting import until

from .cluster import NAMESPACE, kubectl, why_no_cluster
from .engine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.declared.declaration import Declaration

pytestmark = pytest.mark.deployment

GATEWAY_API = "sigs.k8s.io/gateway-api@v1.3.0"
KINDS = ("gatewayclasses", "gateways", "httproutes")
K8S = ROOT / "infra/k8s"
SHOP = "monitoring-test-shop"
OBJECTS = f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: {SHOP}
  annotations: {{availability-monitor/check_interval_s: "30"}}
spec:
  tls: [{{hosts: ["*.shop.example"], secretName: tls}}]
  rules:
    - host: www.shop.example
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: &web {{service: {{name: web, port: {{number: 80}}}}}}
          - {{path: "/api(/|$)(.*)", pathType: ImplementationSpecific, backend: *web}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: public, namespace: {SHOP}}}
spec:
  gatewayClassName: none
  listeners:
    - {{name: http, port: 80, protocol: HTTP}}
    - {{name: https, port: 8443, protocol: HTTPS, tls: {{certificateRefs: [{{name: tls}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: api, namespace: {SHOP}}}
spec:
  parentRefs: [{{name: public}}]
  hostnames: [api.shop.example]
  rules: [{{matches: [{{path: {{value: /v1}}}}], backendRefs: [{{name: web, port: 80}}]}}]
"""


@pytest.fixture(scope="module")
def definitions() -> Iterator[Path]:
    """The objects of the Gateway API are known to the cluster, as they are published."""
    if why := why_no_cluster():
        cannot_run(f"no Kubernetes: {why}")
    if not shutil.which("go"):
        cannot_run("the Gateway API's definitions come as a Go module, and go is not installed")
    done = subprocess.run(["go", "mod", "download", "-json", GATEWAY_API], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = Path(json.loads(done.stdout)["Dir"]) / "config/crd/standard"
    files = [str(folder / f"gateway.networking.k8s.io_{kind}.yaml") for kind in KINDS]
    for file in files:
        kubectl("apply", "--server-side", "-f", file)
    for kind in KINDS:
        kubectl("wait", "--for=condition=Established", f"crd/{kind}.gateway.networking.k8s.io", "--timeout=60s")
    yield folder
    for file in files:
        kubectl("delete", "-f", file, "--timeout=60s")


@pytest.fixture(scope="module")
def account(definitions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig of the account of the example, and something that is published."""
    manifest = [
        found
        for found in yaml.safe_load_all((K8S / "components/targets/targets.yaml").read_text())
        if found["kind"] != "CronJob"
    ]
    manifest[0]["metadata"]["namespace"] = NAMESPACE
    text = yaml.safe_dump_all(manifest)
    kubectl("apply", "-f", str(K8S / "base/namespace.yaml"))
    kubectl("create", "namespace", SHOP)
    kubectl("apply", "-f", "-", text=text)
    kubectl("apply", "-f", "-", text=OBJECTS)
    path = tmp_path_factory.mktemp("account") / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig(kubectl("-n", NAMESPACE, "create", "token", "targets").strip())))
    yield path
    kubectl("delete", "-f", "-", "--ignore-not-found", text=text)
    kubectl("delete", "namespace", SHOP, NAMESPACE, "--timeout=120s")


def kubeconfig(token: str) -> dict[str, Any]:
    """The cluster that the tests use, with another account."""
    content: dict[str, Any] = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    (context,) = (one["context"] for one in content["contexts"] if one["name"] == content["current-context"])
    context["user"] = "targets"
    return content | {"users": [{"name": "targets", "user": {"token": token}}]}


@pytest.fixture
def cluster(account: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as that account sees it, a page for each object."""
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(account))
    monkeypatch.setattr(listing, "PAGE", 1)
    return Cluster(KubernetesApi(), ())


def declared(cluster: Cluster, **grace: float) -> Declaration:
    terms = Terms(dt.timedelta(**grace), opt_in=False)
    return read_cluster(cluster, "kubernetes", terms, dt.datetime.now(dt.UTC))


def test_what_is_published_is_read_with_the_rights_of_the_example(cluster: Cluster) -> None:
    """Page by page; a route waits until a Gateway has accepted it, and everything for its grace."""
    found = declared(cluster)
    ours = {one.record.url: one for one in found.targets if one.record.labels == labels(one.key)}
    assert set(ours) == {"https://www.shop.example/", "https://api.shop.example:8443/v1"}
    web, api = ours["https://www.shop.example/"], ours["https://api.shop.example:8443/v1"]
    assert (web.record.check_interval_s, web.addable, api.addable) == (30, True, False)
    assert f"ingress {SHOP}/web: '/api(/|$)(.*)' of www.shop.example is no plain path" in found.remarks
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    condition["lastTransitionTime"] = "2026-11-27T00:00:00Z"
    parent = {"parentRef": {"name": "public"}, "controllerName": "example.org/none", "conditions": [condition]}
    status = json.dumps({"status": {"parents": [parent]}})
    kubectl("-n", SHOP, "patch", "httproute", "api", "--subresource=status", "--type=merge", "--patch", status)
    assert all(one.addable for one in declared(cluster).targets if one.key in (web.key, api.key))
    assert not any(one.addable for one in declared(cluster, days=1).targets if one.key in (web.key, api.key))


def labels(key: str) -> dict[str, str]:
    """Those of a target of this test."""
    return {"namespace": SHOP, "managed-by": "kubernetes", "managed-key": key}


def test_the_account_can_read_nothing_else(cluster: Cluster) -> None:
    """Neither secrets nor pods, nor may it write."""
    for path in ("/api/v1/secrets", f"/api/v1/namespaces/{SHOP}/pods", f"/api/v1/namespaces/{NAMESPACE}/configmaps"):
        with pytest.raises(KubernetesError) as caught:
            KubernetesApi().get(path)
        assert caught.value.status == 403
    for verb in ("create", "update", "delete"):
        account = f"system:serviceaccount:{NAMESPACE}:targets"
        command = ["kubectl", "auth", "can-i", verb, "ingresses", "--as", account, "-n", SHOP]
        assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "no\n"


def test_a_right_that_is_missing_is_named(cluster: Cluster) -> None:
    """Nothing is declared then, so that nothing is let go."""
    kubectl("delete", "clusterrolebinding", "monitoring-targets")

    def refusal() -> str:
        try:
            declared(cluster)
        except StopError as error:
            return str(error)
        return ""

    what = "ingresses.networking.k8s.io"
    until(lambda: refusal() == f"the account may not read {what}: give it the verb list on {what}", 20, refusal)
