"""Deployed to a real Kubernetes by the documented commands, against Kafka and PostgreSQL that take TLS alone.

The tests go on from each other, in this order; each compares every slot so far with the rows.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import pytest
import yaml

from monitoring_testkit.needs import cannot_run
from monitoring_testkit.waiting import until
from monitoring_testkit.websites import fine_website

from .cluster import NAMESPACE, Deployment, host_address, kubectl, why_no_cluster
from .engine import IMAGES, WITH_KUBERNETES, DockerEngine, rendered
from .servers import Authority, SecureKafka, SecurePostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.deployment

INTERVAL_S = 5
EACH = 10
SHOP = "monitoring-test-shop"
KEDA = "github.com/kedacore/keda/v2@v2.21.0"
SETTINGS = {
    "MONITORING__MONITOR__CHECK_INTERVAL": f"{INTERVAL_S}s",
    "MONITORING__MONITOR__TIMEOUT": "3s",
    "MONITORING__MONITOR__REFRESH_INTERVAL": "2s",
    "MONITORING__MONITOR__LEASE_DURATION": "5s",
    "MONITORING__MONITOR__WEBSITES_PER_CONTAINER": str(EACH),
    "MONITORING__KAFKA__PARTITIONS": "4",
}


@attrs.define
class Watched(Deployment):
    """A deployment and the targets that it watches.

    Attributes:
        targets: until when each is watched, milliseconds since the epoch; None while it still is.
    """

    website: str = ""
    targets: dict[int, int | None] = attrs.field(factory=dict)

    def watch(self, count: int) -> list[int]:
        """Add targets."""
        first = len(self.targets)
        added = self.postgres.add_targets([f"{self.website}/{i}" for i in range(first, first + count)])
        self.targets |= dict.fromkeys(added)
        return added

    def retire(self, targets: list[int]) -> None:
        """Stop watching these targets."""
        self.targets |= dict.fromkeys(targets, time.time_ns() // 1_000_000)
        self.postgres.retire(targets)

    def go_on(self, rows: int = 20) -> None:
        """Wait until there are this many more rows, and every target has one."""
        wanted = len(self.postgres.rows()) + rows
        until(lambda: len(self.postgres.rows()) >= wanted, 120, self.state)
        until(lambda: {row.target_id for row in self.postgres.rows()} >= self.targets.keys(), 120, self.state)

    def compare(self) -> None:
        """Every slot until now has its row, none has two, and no website is blamed."""
        now = time.time_ns() // 1_000_000
        ends = {target: end or now for target, end in self.targets.items()}
        until(lambda: self.postgres.compare(ends, INTERVAL_S).missing == 0, 120, lambda: self._missing(ends))
        comparison = self.postgres.compare(ends, INTERVAL_S)
        assert (comparison.missing, comparison.duplicates) == (0, 0)
        rows = self.postgres.rows()
        assert {(row.status, row.reason) for row in rows} <= {("up", None), ("unknown", "missed_window")}
        missed = sum(row.reason == "missed_window" for row in rows)
        print(f"{comparison.due} slots due, {comparison.rows} rows, missing 0, double 0, missed_window {missed}")
        assert missed < len(rows) / 2

    def _missing(self, ends: dict[int, int]) -> str:
        return f"{self.postgres.compare(ends, INTERVAL_S)}\n{self.state()}"

    def use_images(self, tag: str) -> None:
        """Name other images in the overlay."""
        file = self.directory / "infra/k8s/overlays/minikube/kustomization.yaml"
        content = yaml.safe_load(file.read_text())
        content["images"] = [{"name": f"monitoring_{name}", "newTag": tag} for name in IMAGES]
        file.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def prepared(
    images: DockerEngine, secured_servers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """Servers, a filled-in copy of `infra`, and the images in the cluster."""
    if why := why_no_cluster():
        cannot_run(f"no Kubernetes: {why}")
    host = host_address()
    authority = Authority(host)
    kafka = SecureKafka(tmp_path_factory.mktemp("kafka"), host, authority)
    postgres = SecurePostgres(host, authority)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(fine_website("0.0.0.0"))
        kafka.start()
        stack.callback(kafka.stop)
        postgres.start()
        stack.callback(postgres.stop)
        directory = tmp_path_factory.mktemp("deployment")
        made = Watched(directory, images, authority, kafka, postgres, website=f"http://{host}:{port}")
        made.fill_in(SETTINGS)
        made.remove()
        made.documented("Images into minikube")
        stack.callback(made.remove)
        yield made


@pytest.fixture(scope="module")
def deployed(prepared: Watched) -> Watched:
    """Started by kustomize: set up, everything ready, and the first websites watched."""
    prepared.remove()
    prepared.make_volumes(5)
    prepared.documented("Start")
    prepared.watch(EACH)
    prepared.go_on()
    return prepared


def test_the_way_without_kustomize_works(prepared: Watched) -> None:
    """From nothing to ready producers and consumers with plain `kubectl create`."""
    prepared.make_volumes(1)
    prepared.documented("Start without kustomize")
    assert prepared.until_ready("producer", 1) == ["producer-1"]
    prepared.until_ready("consumer", 1)
    prepared.until_ready("status", 2)


def test_the_main_job_from_target_to_row(deployed: Watched) -> None:
    """The set-up has completed, the pods are ready, and every slot becomes a row; as nobody's root, read-only."""
    assert json.loads(kubectl("-n", NAMESPACE, "get", "job", "setup", "-o", "json"))["status"]["succeeded"] == 1
    deployed.compare()
    levels = json.loads(kubectl("get", "namespace", NAMESPACE, "-o", "json"))["metadata"]["labels"]
    assert levels["pod-security.kubernetes.io/enforce"] == "restricted"
    deployed.until_ready("status", 1)
    page = kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/services/status:http/proxy/")
    assert "<h1" in page
    refused = ["kubectl", "-n", NAMESPACE, "run", "root", "--image=monitoring_dbadmin", "--dry-run=server"]
    done = subprocess.run(refused, capture_output=True, text=True, check=False)
    assert "violates PodSecurity" in done.stderr


def test_doctor_connects_as_each_account(deployed: Watched) -> None:
    """By the documented commands, whatever it finds."""
    said = deployed.documented("When something is wrong")
    for role in ("producer", "consumer", "alert", "status"):
        assert f"pass  PostgreSQL as {role}: " in said, said
    assert re.search(r"^\d+ pass, ", said, re.MULTILINE), said


def test_scaling_leaves_nothing_missing_and_nothing_double(deployed: Watched) -> None:
    """From 1 to 5 producers and 1 to 4 consumers and back, as the number of websites asks; pod N works ID N."""
    added = deployed.watch(4 * EACH)
    said = deployed.documented("Scale by hand")
    counted = re.search(r"^\{.*\}$", said, re.MULTILINE)
    assert counted, said
    assert json.loads(counted[0])["producers"] == 5
    names = deployed.until_ready("producer", 5)
    assert names == [f"producer-{i}" for i in range(1, 6)]
    assert [deployed.metric(name, "producer_id") for name in names] == [1, 2, 3, 4, 5]
    assert len(deployed.until_ready("consumer", 4)) == 4
    deployed.go_on(100)
    deployed.retire(added)
    until(lambda: all(deployed.metric(name, "producer_targets") == 0 for name in names[1:]), 60, deployed.state)
    kubectl("-n", NAMESPACE, "scale", "statefulset/producer", "--replicas=1")
    kubectl("-n", NAMESPACE, "scale", "deployment/consumer", "--replicas=1")
    deployed.until_ready("producer", 1)
    deployed.until_ready("consumer", 1)
    deployed.go_on()
    deployed.compare()


def test_a_deleted_pod_comes_back_and_goes_on(deployed: Watched) -> None:
    """This holds for a pod that is stopped and for one that is killed."""
    for options in ([], ["--grace-period=0", "--force"]):
        for name in ("producer", "consumer"):
            (pod,) = deployed.pods(name)
            kubectl("-n", NAMESPACE, "delete", "pod", pod["metadata"]["name"], *options)
            until(partial(_is_gone, deployed, name, pod["metadata"]["uid"]), 90)
            deployed.until_ready(name, 1)
        deployed.go_on()
    deployed.compare()


def test_a_rolling_update_brings_new_images(deployed: Watched) -> None:
    """Set-up runs again, then every pod is of the new image."""
    for name in IMAGES:
        deployed.engine(
            "build", "--tag", f"monitoring_{name}:next", "--label", "next=yes", "-", text=f"FROM monitoring_{name}\n"
        )
    deployed.run(f"minikube image load {' '.join(f'monitoring_{name}:next' for name in IMAGES)}")
    deployed.use_images("next")
    deployed.documented("Update")
    kubectl("-n", NAMESPACE, "wait", "--for=condition=complete", "job/setup", "--timeout=5m")
    for thing in ("statefulset/producer", "deployment/consumer"):
        kubectl("-n", NAMESPACE, "rollout", "status", thing, "--timeout=5m")
    deployed.until_ready("producer", 1)
    deployed.until_ready("consumer", 1)
    images = {pod["spec"]["containers"][0]["image"] for name in ("producer", "consumer") for pod in deployed.pods(name)}
    assert images == {"monitoring_producer:next", "monitoring_consumer:next"}
    deployed.go_on()
    deployed.compare()


def test_a_drained_node_gives_its_pods_up_in_order(deployed: Watched) -> None:
    """The budgets allow it; when the node may be used again, they go on."""
    (node,) = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    name = node["metadata"]["name"]
    before = _uids(deployed, "producer") | _uids(deployed, "consumer")
    try:
        selector = "--pod-selector=app.kubernetes.io/part-of=monitoring"
        kubectl("drain", name, selector, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s")
        assert before.isdisjoint(_uids(deployed, "producer") | _uids(deployed, "consumer"))
    finally:
        kubectl("uncordon", name)
    deployed.until_ready("producer", 1)
    deployed.until_ready("consumer", 1)
    deployed.go_on()
    deployed.compare()


def test_a_changed_secret_is_taken_up_as_documented(deployed: Watched) -> None:
    """New passwords of all accounts in PostgreSQL and new certificates for Kafka."""
    deployed.postgres.change_password("another one")
    deployed.postgres.role_passwords = {
        name: f"another {name}'s" for name in ("producer", "consumer", "alert", "status")
    }
    deployed.write_secrets()
    deployed.documented("A secret has changed")
    deployed.until_ready("producer", 1)
    deployed.until_ready("consumer", 1)
    deployed.go_on()
    deployed.compare()


def test_keda_takes_the_objects_and_its_query_counts_right(deployed: Watched) -> None:
    """A server with KEDA's definitions accepts them; what PostgreSQL answers makes the autoscaler's number right."""
    if not shutil.which("go"):
        cannot_run("KEDA's definitions come as a Go module, and go is not installed")
    done = subprocess.run(["go", "mod", "download", "-json", KEDA], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    definitions = Path(json.loads(done.stdout)["Dir"]) / "config/crd/bases"
    kubectl("apply", "--server-side", "-f", str(definitions))
    try:
        until(lambda: all(_established(name) for name in ("scaledobjects", "triggerauthentications")), 60)
        kubectl("-n", NAMESPACE, "delete", "job/setup", "--ignore-not-found")
        said = deployed.documented("Scale by KEDA", " --dry-run=server")
        for accepted in (
            "scaledobject.keda.sh/producer created",
            "triggerauthentication.keda.sh/monitoring-kafka created",
        ):
            assert accepted in said
    finally:
        kubectl("delete", "-f", str(definitions))
    overlay = deployed.directory / "infra/k8s/overlays/production"
    (query,) = [
        found["spec"]["triggers"][0]["metadata"]["query"]
        for found in rendered(overlay)
        if found["kind"] == "ScaledObject" and found["metadata"]["name"] == "producer"
    ]
    assert f"/**/{EACH}/**/" in query
    with deployed.postgres.connect() as connection:
        for active, needed in ((1, 1), (EACH, 1), (EACH + 1, 2), (10 * EACH, 10), (10 * EACH + 1, 11), (40 * EACH, 40)):
            with connection.transaction(force_rollback=True):
                connection.execute("UPDATE monitoring.availability_monitor_config SET amc_active = false")
                connection.execute(
                    "INSERT INTO monitoring.availability_monitor_config (amc_url) "
                    "SELECT 'https://example.org/' || n FROM generate_series(1, %s) AS n",
                    (active,),
                )
                (number,) = connection.execute(query.replace("%", "%%")).fetchone() or (None,)
            assert needed <= float(number) <= max(needed, 1.1 * needed - 1)
            # The autoscaler leaves alone what is within a tenth; one producer too few must not be.
            assert needed == 1 or float(number) / (needed - 1) > 1.1


def test_a_pod_watches_what_the_cluster_publishes(deployed: Watched, base_image: str) -> None:
    """The example of a CronJob, with the token that its pod gets: what is new waits, what is gone is let go."""
    deployed.engine.build_with_kubernetes(base_image)
    deployed.run(f"minikube image load {WITH_KUBERNETES}")
    overlay = deployed.directory / "infra/k8s/overlays/minikube/kustomization.yaml"
    content = yaml.safe_load(overlay.read_text())
    overlay.write_text(yaml.safe_dump(content | {"components": [*content["components"], "../../components/targets"]}))
    deployed.documented("Update")
    kubectl("-n", NAMESPACE, "wait", "--for=condition=complete", "job/setup", "--timeout=5m")
    # So that no other Job comes between.
    kubectl("-n", NAMESPACE, "patch", "cronjob", "targets", "--patch", '{"spec": {"suspend": true}}')
    kubectl("create", "namespace", SHOP)
    try:
        for name in ("a", "b"):
            rule = f"--rule={name}.shop.example/=web:80"
            kubectl("-n", SHOP, "create", "ingress", name, rule)
        assert _applied(deployed, "as-it-stands") == "kubernetes: 0 added, 0 changed, 0 unchanged, 2 waiting\n"
        assert _published(deployed) == {}
        _applied(deployed, "without-grace", "--grace", "0s")
        assert _published(deployed) == {"http://a.shop.example/": True, "http://b.shop.example/": True}
        kubectl("-n", SHOP, "delete", "ingress", "b")
        _applied(deployed, "after-one-is-gone")
        assert _published(deployed) == {"http://a.shop.example/": True, "http://b.shop.example/": False}
    finally:
        kubectl("delete", "namespace", SHOP, "--timeout=120s")
        kubectl("delete", "clusterrole,clusterrolebinding", "monitoring-targets")


def _applied(deployed: Watched, name: str, *more: str) -> str:
    """Run a Job of the CronJob `targets` to its end, with further arguments; what it said."""
    made = kubectl("-n", NAMESPACE, "create", "job", name, "--from=cronjob/targets", "--dry-run=client", "-o", "json")
    job = json.loads(made)
    pod = job["spec"]["template"]["spec"]
    pod["containers"][0]["args"] += more
    _show_authority(pod)
    kubectl("create", "-f", "-", text=json.dumps(job))

    def ended() -> set[str]:
        status = json.loads(kubectl("-n", NAMESPACE, "get", "job", name, "-o", "json"))["status"]
        return {one["type"] for one in status.get("conditions") or ()} & {"Complete", "Failed"}

    until(lambda: bool(ended()), 120, deployed.state)
    said = kubectl("-n", NAMESPACE, "logs", f"job/{name}")
    assert ended() == {"Complete"}, said
    return said


def _show_authority(pod: dict[str, Any]) -> None:
    """Mount the API server's certificates with the token, in a cluster that does not tell them to its pods.

    It tells none when kube-controller-manager has no --root-ca-file.
    """
    told = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", "kube-root-ca.crt", "-o", "json"))
    if told["data"]["ca.crt"]:
        return
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    asked = ("openssl", "s_client", "-showcerts", "-connect", urlsplit(server).netloc)
    shown = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True)
    chain = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", shown.stdout, re.DOTALL)
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "authority", "namespace": NAMESPACE},
        "data": {"ca.crt": "".join(chain)},
    }
    kubectl("apply", "-f", "-", text=json.dumps(authority))
    of_namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "authority"}},
        {"downwardAPI": {"items": [of_namespace]}},
    ]
    pod["volumes"].append({"name": "access", "projected": {"sources": sources}})
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    pod["containers"][0]["volumeMounts"].append({"name": "access", "mountPath": place, "readOnly": True})


def _published(deployed: Watched) -> dict[str, bool]:
    """The targets that come from the cluster, and whether they are watched."""
    with deployed.postgres.connect() as connection:
        rows = connection.execute(
            "SELECT amc_url, amc_active FROM monitoring.availability_monitor_config WHERE amc_labels @> %s::jsonb",
            (json.dumps({"managed-by": "kubernetes", "namespace": SHOP}),),
        )
        return {str(url): bool(active) for url, active in rows}


def _established(name: str) -> bool:
    """Whether the server serves one of KEDA's definitions."""
    status = json.loads(kubectl("get", "crd", f"{name}.keda.sh", "-o", "json")).get("status", {})
    return {"Established": "True"}.items() <= {c["type"]: c["status"] for c in status.get("conditions") or []}.items()


def _is_gone(deployed: Watched, name: str, uid: str) -> bool:
    return uid not in _uids(deployed, name)


def _uids(deployed: Watched, name: str) -> set[str]:
    return {str(pod["metadata"]["uid"]) for pod in deployed.pods(name)}
