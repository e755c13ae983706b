"""The Kubernetes that KUBECONFIG names, and a filled-in copy of `infra` that is deployed by the documented commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from monitoring_testkit.waiting import until

from .engine import IMAGES, ROOT, DockerEngine, blocks
from .servers import secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .servers import Authority, SecureKafka, SecurePostgres

NAMESPACE = "monitoring"
LOAD_VARIABLE = "KUBE_LOAD_IMAGES"
HOST_VARIABLE = "KUBE_HOST_ADDRESS"
# Loads images into a cluster that is not minikube's; the command reads the archive of `docker save`.
_SHIM = """#!/bin/sh
[ "$1 $2" = "image load" ] && shift 2 && "${DOCKER:-docker}" save "$@" | $KUBE_LOAD_IMAGES
"""


def host_address() -> str:
    """The address at which pods reach this machine."""
    return os.environ.get(HOST_VARIABLE) or "10.244.0.1"


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl; its output."""
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def why_no_cluster() -> str | None:
    """Why there is no cluster to deploy to, or None."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    if not (shutil.which("minikube") or os.environ.get(LOAD_VARIABLE)):
        return f"no minikube, and {LOAD_VARIABLE} does not say how images are loaded into the cluster"
    done = subprocess.run(
        ["kubectl", "get", "nodes", "--request-timeout=10s"], capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else None


@attrs.define
class Deployment:
    """A filled-in copy of `infra`, and what it becomes in the cluster."""

    directory: Path
    engine: DockerEngine
    authority: Authority
    kafka: SecureKafka
    postgres: SecurePostgres
    volumes: int = 0

    def fill_in(self, settings: Mapping[str, str]) -> None:
        """Copy `infra` and write the addresses and the secrets, as its README says."""
        shutil.copytree(ROOT / "infra", self.directory / "infra", dirs_exist_ok=True)
        addresses = {
            "MONITORING__KAFKA__BOOTSTRAP_SERVERS": self.kafka.secure_servers,
            "MONITORING__DATABASE__HOST": self.postgres.host,
            "MONITORING__DATABASE__PORT": str(self.postgres.port),
        }
        lines = "".join(f"{name}={value}\n" for name, value in (addresses | dict(settings)).items())
        for overlay in ("minikube", "production"):
            (self.directory / f"infra/k8s/overlays/{overlay}/addresses/addresses.env").write_text(lines)
        self.write_secrets()

    def write_secrets(self) -> None:
        """Fill the templates of the secrets in."""
        for name in IMAGES:
            template = self.directory / f"infra/k8s/secrets/{name}.yaml"
            content = yaml.safe_load(template.read_text())
            known = secrets(self.authority, self.postgres, name)
            assert content["stringData"].keys() == known.keys()
            template.write_text(yaml.safe_dump(content | {"stringData": known}))

    def documented(self, heading: str, more: str = "") -> str:
        """Run the commands below a heading of the README, each with `more` at its end; their output."""
        return self.run("".join(blocks(ROOT / "infra/k8s/README.md", heading)).replace("\n", f"{more}\n"))

    def run(self, script: str) -> str:
        """Run commands in the copy; their output."""
        tools = self.directory / "bin"
        tools.mkdir(exist_ok=True)
        if not shutil.which("minikube"):
            (tools / "minikube").write_text(_SHIM)
            (tools / "minikube").chmod(0o755)
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=self.directory,
            env=os.environ | {"PATH": f"{os.environ['PATH']}:{tools}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.state()}"
        return done.stdout

    def make_volumes(self, count: int) -> None:
        """Make volumes on this machine for the outboxes, where the cluster does not make them itself."""
        classes = json.loads(kubectl("get", "storageclass", "-o", "json"))["items"]
        if any("storageclass.kubernetes.io/is-default-class" in c["metadata"].get("annotations", {}) for c in classes):
            return
        (node,) = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
        hostname = node["metadata"]["labels"]["kubernetes.io/hostname"]
        on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [hostname]}
        for _ in range(count):
            self.volumes += 1
            path = self.directory / f"volume-{self.volumes}"
            path.mkdir()
            spec = {
                "capacity": {"storage": "2Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(path)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
            }
            volume = {"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec}
            volume["metadata"] = {"name": f"monitoring-test-{self.volumes}", "labels": {"monitoring-test": "yes"}}
            kubectl("create", "-f", "-", text=json.dumps(volume))

    def remove(self) -> None:
        """Delete all that was made in the cluster."""
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
        kubectl("delete", "persistentvolume", "-l", "monitoring-test=yes", "--timeout=60s")

    def metric(self, pod: str, name: str) -> float:
        """The value of a metric without labels, read through the API server."""
        text = kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9464/proxy/metrics")
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The pods of a part: `producer` or `consumer`."""
        selector = f"app.kubernetes.io/name={name}"
        found: list[dict[str, Any]] = json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "json"))[
            "items"
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def until_ready(self, name: str, count: int) -> list[str]:
        """Wait until a part has `count` pods, all of them ready; their names."""

        def ready() -> bool:
            pods = self.pods(name)
            return len(pods) == count and all(
                {"type": "Ready", "status": "True"}.items() <= condition.items()
                for pod in pods
                for condition in pod.get("status", {}).get("conditions", [])
                if condition["type"] == "Ready"
            )

        until(ready, 180, self.state)
        return [str(pod["metadata"]["name"]) for pod in self.pods(name)]

    def state(self) -> str:
        """The state of the cluster, for the message of a failure."""
        ask = f"kubectl -n {NAMESPACE} get pods,jobs,pvc -o wide; kubectl -n {NAMESPACE} get events | tail -25; "
        ask += f"kubectl -n {NAMESPACE} logs -l app.kubernetes.io/part-of=monitoring --prefix --tail=8 | tail -60"
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr
