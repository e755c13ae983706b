"""The files of `infra` without a cluster: valid for the newest Kubernetes versions, and saying one thing once."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

import dbadmin.cli
from alert_svc.notify.load import load_alerts
from monitoring_core.config import load_config
from monitoring_core.config.values import Secret

from .engine import IMAGES, ROOT, headings_with_commands, rendered

pytestmark = pytest.mark.deployment

K8S = ROOT / "infra/k8s"
OVERLAYS = ("minikube", "production")
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
KINDS_OF_KEDA = {"ScaledObject", "TriggerAuthentication"}
# Where each heading with commands is run; the KEDA one only as far as a server's check, for want of its operator.
RUN_BY = {
    "infra/README.md": {"Images": "conftest.py", "Releases": "test_releases.py"},
    "infra/compose/README.md": {
        "Start with Compose": "test_compose.py",
        "Work with Compose": "test_compose.py",
        "See it with Compose": "test_compose.py",
        "A password has changed": "test_compose.py",
        "Update with Compose": "test_compose.py",
        "Back up with Compose": "test_compose.py",
        "Restore with Compose": "test_compose.py",
        "Stop with Compose": "test_compose.py",
    },
    "infra/k8s/README.md": {
        "Images into minikube": "test_kubernetes.py",
        "Start": "test_kubernetes.py",
        "Start without kustomize": "test_kubernetes.py",
        "When something is wrong": "test_kubernetes.py",
        "Scale by hand": "test_kubernetes.py",
        "Scale by KEDA": "test_kubernetes.py",
        "A secret has changed": "test_kubernetes.py",
        "Update": "test_kubernetes.py",
    },
}


def newest_versions() -> list[str]:
    """The three newest minor versions of Kubernetes whose schemas there are."""
    names = [folder.name for folder in SCHEMAS.glob("v*-local-strict")]
    versions = sorted(tuple(map(int, name[1:].split("-")[0].split("."))) for name in names)
    return [f"{major}.{minor}" for major, minor, _ in versions[-3:]]


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    """The pod of each workload, by name."""
    found = {}
    for thing in rendered(K8S / "overlays" / overlay):
        if thing["kind"] in ("StatefulSet", "Deployment", "Job"):
            found[thing["metadata"]["name"]] = thing["spec"]["template"]["spec"]
        if thing["kind"] == "CronJob":
            found[thing["metadata"]["name"]] = thing["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("version", newest_versions())
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_are_strictly_valid(overlay: str, version: str) -> None:
    """For the three newest minor versions: no field is unknown, missing or of another type."""
    objects = [found for found in rendered(K8S / "overlays" / overlay) if found["kind"] not in KINDS_OF_KEDA]
    assert {found["kind"] for found in objects} >= {"StatefulSet", "Deployment", "Job", "CronJob", "NetworkPolicy"}
    for found in objects:
        kubernetes_validate.validate(found, version, strict=True)


def test_the_validation_can_fail() -> None:
    """A field that does not exist is refused."""
    (found,) = [found for found in rendered(K8S / "overlays/minikube") if found["kind"] == "StatefulSet"]
    found["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(found, newest_versions()[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_pod_mounts_its_own_secret_and_no_token(overlay: str) -> None:
    """And none gets a secret in a variable."""
    found = pods(overlay)
    assert set(found) == {"producer", "consumer", "alert", "status", "setup", "maintain", "producer-count", "doctor"}
    for name, pod in found.items():
        own = f"monitoring-{name if name in IMAGES else 'dbadmin'}"
        mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        shown = {"producer": {"monitoring-client-certificates"}, "alert": {"monitoring-channels"}}.get(name, set())
        assert (pod["automountServiceAccountToken"], mounted) == (False, {own} | shown)
        assert "secretRef" not in json.dumps(pod["containers"][0].get("envFrom", []))


def test_maintain_runs_every_few_minutes_and_doctor_has_the_accounts_of_setup() -> None:
    """Incidents are as old as the last maintain; doctor connects as whom setup made."""
    found = {thing["metadata"]["name"]: thing for thing in rendered(K8S / "base") if thing["kind"] == "CronJob"}
    assert found["maintain"]["spec"]["schedule"] == "*/5 * * * *"
    assert found["doctor"]["spec"]["suspend"] is True
    own, setup = pods("minikube")["doctor"], pods("minikube")["setup"]
    (container,), (other,) = own["containers"], setup["containers"]
    assert {**container, "args": []} == {**other, "args": []}
    assert container["args"] == ["doctor"]
    assert (own["securityContext"], own["volumes"]) == (setup["securityContext"], setup["volumes"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_configuration_in_the_cluster_is_valid(overlay: str, tmp_path: Path) -> None:
    """The ConfigMap is this repository's file; with the variables, and the Secrets mounted, it passes."""
    objects = rendered(K8S / "overlays" / overlay)
    data = {
        found["metadata"]["name"].rsplit("-", 1)[0]: found["data"] for found in objects if found["kind"] == "ConfigMap"
    }
    assert data["monitoring-config"]["config.yaml"] == (ROOT / "infra/config/config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(data["monitoring-config"]["config.yaml"])
    for key, text in yaml.safe_load((K8S / "secrets/producer.yaml").read_text())["stringData"].items():
        (tmp_path / key).write_text(f"-----BEGIN X-----\n{text}" if "certificate" in key or "key" in key else text)
    settings = {
        name: text.replace("/run/secrets/monitoring/", "")
        for name, text in (data["monitoring-settings"] | data["monitoring-kafka"]).items()
    }
    config = load_config(tmp_path / "config.yaml", environ=settings)
    assert (config.kafka.bootstrap_servers, config.database.host) == (
        "kafka.example.org:9093",
        "postgresql.example.org",
    )
    assert config.kafka.access_key
    for pod in (pods(overlay)["producer"], pods(overlay)["consumer"], pods(overlay)["alert"]):
        for section in (config.monitor, config.consumer):
            assert pod["terminationGracePeriodSeconds"] >= section.shutdown_timeout.total_seconds() + 15
    volume = next(found for found in objects if found["kind"] == "StatefulSet")["spec"]["volumeClaimTemplates"][0]
    assert volume["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert config.monitor.outbox_max_size < 2 << 30


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_producers_find_the_client_certificates_of_targets(overlay: str) -> None:
    """Where the settings say, and they start without any; the document's example has the Secret that is mounted."""
    settings = dict(line.split("=", 1) for line in (K8S / "base/settings.env").read_text().splitlines() if "=" in line)
    pod = pods(overlay)["producer"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    name = mounts[settings["MONITORING__MONITOR__CLIENT_CERTIFICATE_DIRECTORY"]]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == name)
    assert volume["secret"]["optional"] is True
    secret = documented_secret("Client certificates")
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", volume["secret"]["secretName"])


def documented_secret(heading: str) -> Any:
    """The example of a Secret below a heading."""
    section = (K8S / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(example)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_of_channels_are_where_the_example_says(overlay: str, tmp_path: Path) -> None:
    """With the documented Secret, the channel that alerts.yaml shows passes; Compose has the same place."""
    pod = pods(overlay)["alert"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "channels")
    secret = documented_secret("Secrets of channels")
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", volume["secret"]["secretName"])
    assert volume["secret"]["optional"] is True
    compose = yaml.safe_load((ROOT / "infra/compose/compose.yaml").read_text())["services"]["alert"]["volumes"]
    assert f"./secrets/channels:{mounts['channels']}:ro" in compose
    for key in secret["stringData"]:
        (tmp_path / key).write_text(f"whsec_{base64.b64encode(bytes(32)).decode()}")
    text = (ROOT / "infra/config/alerts.yaml").read_text()
    shown = re.sub(r"^# (?=channels:|  - )", "", text, flags=re.MULTILINE)
    (tmp_path / "alerts.yaml").write_text(shown.replace(mounts["channels"], str(tmp_path)))
    (channel,) = load_alerts(tmp_path / "alerts.yaml").notifications.channels
    assert (channel.name, mounts["channels"] in shown) == ("ops", True)


def test_templates_of_secrets_have_what_the_settings_ask_for() -> None:
    """Key by key, for each; status has none of Kafka."""
    for name in IMAGES:
        settings = "".join((K8S / "base" / file).read_text() for file in settings_of(name))
        secret = yaml.safe_load((K8S / f"secrets/{name}.yaml").read_text())
        assert secret["metadata"]["name"] == f"monitoring-{name}"
        for key in secret["stringData"]:
            assert f"{{file: /run/secrets/monitoring/{key}}}" in settings
        assert settings.count("{file: ") == len(secret["stringData"])


def settings_of(name: str) -> list[str]:
    """The files of which the variables of a pod are made."""
    found = pods("minikube")["setup" if name == "dbadmin" else name]["containers"][0]["envFrom"]
    maps = [one["configMapRef"]["name"].rsplit("-", 1)[0] for one in found]
    assert maps == ["monitoring-settings", "monitoring-kafka"][: 1 if name == "status" else 2]
    return [f"{one.removeprefix('monitoring-')}.env" for one in maps]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_status_is_configured_without_kafka(overlay: str, tmp_path: Path) -> None:
    """With the secrets of its own template, and none of Kafka's."""
    objects = rendered(K8S / "overlays" / overlay)
    (settings,) = [
        found["data"]
        for found in objects
        if found["kind"] == "ConfigMap" and found["metadata"]["name"].startswith("monitoring-settings-")
    ]
    for key, text in yaml.safe_load((K8S / "secrets/status.yaml").read_text())["stringData"].items():
        (tmp_path / key).write_text(f"-----BEGIN X-----\n{text}" if "certificate" in key else text)
    environ = {name: text.replace("/run/secrets/monitoring/", f"{tmp_path}/") for name, text in settings.items()}
    config = load_config(ROOT / "infra/config/config.yaml", environ=environ)
    assert isinstance(config.database.user, Secret)
    assert (config.database.user.reveal(), config.kafka.access_key) == ("<user name>", None)
    service = next(found for found in objects if found["kind"] == "Service" and found["metadata"]["name"] == "status")
    ports = {port["name"]: port["containerPort"] for port in pods(overlay)["status"]["containers"][0]["ports"]}
    assert ports == {"http": config.status.port, "metrics": config.metrics.port}
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(config.status.port, "http")]


def test_status_is_scaled_by_cpu_and_leaves_connections_to_others() -> None:
    """In production the autoscaler alone sets the number of replicas, at most as many as a small PostgreSQL bears."""
    objects = rendered(K8S / "overlays/production")
    (scaler,) = [found for found in objects if found["kind"] == "HorizontalPodAutoscaler"]
    (target,) = [found for found in objects if found["kind"] == "Deployment" and found["metadata"]["name"] == "status"]
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "status"}
    assert "replicas" not in target["spec"]
    config = load_config(ROOT / "infra/config/config.yaml", environ={"DATABASE_PASSWORD": "x"})
    assert scaler["spec"]["maxReplicas"] * config.status.pool_size <= 24


def test_the_example_of_an_ingress_leads_to_status(tmp_path: Path) -> None:
    """Strictly valid; its service and port are there."""
    objects = with_component(tmp_path, K8S / "components/status-ingress")
    (ingress,) = [found for found in objects if found["kind"] == "Ingress"]
    kubernetes_validate.validate(ingress, newest_versions()[-1], strict=True)
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = path["backend"]["service"]
    (service,) = [found for found in objects if found["kind"] == "Service" and found["metadata"]["name"] == "status"]
    assert backend == {"name": "status", "port": {"name": service["spec"]["ports"][0]["name"]}}
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_the_example_of_an_export_writes_to_its_volume_alone(tmp_path: Path) -> None:
    """Strictly valid; as the account of status and with its Secret, below the one mount that can be written to."""
    objects = with_component(tmp_path, K8S / "components/status-export")
    (claim,) = [found for found in objects if found["kind"] == "PersistentVolumeClaim"]
    (job,) = [found for found in objects if found["metadata"]["name"] == "status-export"]
    for found in (claim, job):
        kubernetes_validate.validate(found, newest_versions()[-1], strict=True)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    own = pods("minikube")["status"]
    (container,) = pod["containers"]
    assert (container["image"], pod["serviceAccountName"]) == ("monitoring_status", own["serviceAccountName"])
    assert (pod["securityContext"], container["envFrom"]) == (own["securityContext"], own["containers"][0]["envFrom"])
    assert pod["volumes"][:-1] == own["volumes"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    (mount,) = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
    volume = {"name": mount["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    assert pod["volumes"][-1] == volume
    assert container["args"][0] == "export"
    # Beside the link that an export makes, it keeps the files to which that leads.
    assert Path(container["args"][1]).parent == Path(mount["mountPath"])


def test_the_example_of_targets_from_the_cluster_reads_what_is_published_alone(tmp_path: Path) -> None:
    """Strictly valid; its account may list and get, its pod alone has a token, and all else is as in maintain's pod."""
    objects = with_component(tmp_path, K8S / "components/targets")
    mine = {found["kind"]: found for found in objects if found["metadata"]["name"] in ("targets", "monitoring-targets")}
    assert set(mine) == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "CronJob"}
    for found in mine.values():
        kubernetes_validate.validate(found, newest_versions()[-1], strict=True)
    allowed = {
        (group, resource, verb)
        for rule in mine["ClusterRole"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == {
        ("networking.k8s.io", "ingresses", "list"),
        ("gateway.networking.k8s.io", "httproutes", "list"),
        ("gateway.networking.k8s.io", "gateways", "get"),
    }
    (subject,) = mine["ClusterRoleBinding"]["subjects"]
    assert (subject["name"], subject["namespace"]) == ("targets", mine["ServiceAccount"]["metadata"]["namespace"])
    assert mine["ServiceAccount"]["automountServiceAccountToken"] is False
    pod = mine["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["serviceAccountName"]) == (True, "targets")
    own = pods("minikube")["maintain"]
    (container,), (other,) = pod["containers"], own["containers"]
    assert {**container, "args": [], "image": ""} == {**other, "args": [], "image": ""}
    assert (pod["securityContext"], pod["volumes"]) == (own["securityContext"], own["volumes"])
    done = CliRunner().invoke(dbadmin.cli.main, [*container["args"], "--config", str(tmp_path / "none")])
    assert (done.exit_code, "No such file" in done.stderr) == (2, True), done.stderr


def test_keda_asks_for_what_the_configuration_says() -> None:
    """Addresses, websites for each producer, topic, group and schema: as everywhere else."""
    objects = rendered(K8S / "overlays/production")
    triggers = {
        found["metadata"]["name"]: found["spec"]["triggers"][0]["metadata"]
        for found in objects
        if found["kind"] == "ScaledObject"
    }
    environ = {"DATABASE_PASSWORD": "x"}
    config = load_config(ROOT / "infra/config/config.yaml", environ=environ)
    producer, consumer = triggers["producer"], triggers["consumer"]
    assert (producer["host"], producer["port"], producer["dbName"]) == ("postgresql.example.org", "5432", "monitoring")
    assert f"/**/{config.monitor.websites_per_container}/**/" in producer["query"]
    assert f" {config.database.schema}.availability_monitor_config" in producer["query"]
    assert (consumer["topic"], consumer["consumerGroup"]) == (config.kafka.topic_name, config.consumer.group_id)
    assert consumer["bootstrapServers"] == "kafka.example.org:9093"
    alert = triggers["alert"]
    assert (alert["topic"], alert["consumerGroup"]) == (consumer["topic"], f"{consumer['consumerGroup']}-alerts")
    assert alert["bootstrapServers"] == consumer["bootstrapServers"]


def test_keda_alone_sets_the_number_of_replicas() -> None:
    """Each workload that it scales has none in its manifest, and finds its certificates in its own Secret.

    This holds for all but status, which an autoscaler of Kubernetes' own scales.
    """
    objects = rendered(K8S / "overlays/production")
    scaled = {found["metadata"]["name"]: found for found in objects if found["kind"] == "ScaledObject"}
    given = {
        found["metadata"]["name"]: found["spec"].get("replicas")
        for found in objects
        if found["kind"] in ("Deployment", "StatefulSet") and found["metadata"]["name"] != "status"
    }
    assert given == dict.fromkeys(scaled)
    logins = {found["metadata"]["name"]: found for found in objects if found["kind"] == "TriggerAuthentication"}
    for name, found in scaled.items():
        login = logins[found["spec"]["triggers"][0]["authenticationRef"]["name"]]
        assert {one["name"] for one in login["spec"]["secretTargetRef"]} == {f"monitoring-{name}"}


OBSERVABILITY = ROOT / "infra/observability"
OBSERVED = ("producer", "consumer", "alert", "status")


def with_component(folder: Path, component: Path) -> list[dict[str, Any]]:
    """The objects of an overlay with a component."""
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # Names with a hash are found in the same namespace alone.
        "namespace": "monitoring",
        "resources": [os.path.relpath(K8S / "overlays/minikube", folder.resolve())],
        "components": [os.path.relpath(component, folder.resolve())],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return rendered(folder)


def test_prometheus_finds_the_pods_of_every_service(tmp_path: Path) -> None:
    """The PodMonitor's labels are those of the pods, its port is one that they have, and the job is the service."""
    objects = with_component(tmp_path, OBSERVABILITY)
    (monitor,) = [found for found in objects if found["kind"] == "PodMonitor"]
    (named,) = monitor["spec"]["selector"]["matchExpressions"]
    assert (named["key"], named["operator"], tuple(named["values"])) == ("app.kubernetes.io/name", "In", OBSERVED)
    assert monitor["spec"]["jobLabel"] == named["key"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    seen = set()
    for found in objects:
        if found["kind"] in ("StatefulSet", "Deployment"):
            template = found["spec"]["template"]
            assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
            seen.add(template["metadata"]["labels"][named["key"]])
            assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    assert seen == set(OBSERVED)


def test_the_cluster_has_the_rules_and_the_dashboards_of_the_repository(tmp_path: Path) -> None:
    """Word for word, in the objects that the operator and Grafana's sidecar look for."""
    objects = with_component(tmp_path, OBSERVABILITY)
    (rule,) = [found for found in objects if found["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load((OBSERVABILITY / "rules/monitor.yaml").read_text())
    websites = yaml.safe_load((OBSERVABILITY / "kubernetes/rules-websites.yaml").read_text())
    assert websites["spec"] == yaml.safe_load((OBSERVABILITY / "rules/websites.yaml").read_text())
    (boards,) = [found for found in objects if found["metadata"]["name"] == "monitoring-dashboards"]
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = sorted((OBSERVABILITY / "dashboards").glob("*.json"))
    assert boards["data"] == {file.name: file.read_text() for file in files}
    # kubectl keeps what was applied in an annotation, which may have 256 KiB.
    assert len(json.dumps(boards)) < 256 << 10


def test_compose_observes_what_runs_there() -> None:
    """Pinned images, bounded and without privileges; files that there are; services and a port that there are."""
    compose = yaml.safe_load((ROOT / "infra/compose/compose.yaml").read_text())
    observers = {
        name: service for name, service in compose["services"].items() if service.get("profiles") == ["observability"]
    }
    assert set(observers) == {"prometheus", "alertmanager", "grafana"}
    for service in observers.values():
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
        assert (service["cap_drop"], service["mem_limit"]) == (["ALL"], "512m")
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / "infra/compose" / source).exists(), volume
    *scraped, websites = yaml.safe_load((OBSERVABILITY / "compose/prometheus.yml").read_text())["scrape_configs"]
    assert tuple(job["job_name"] for job in scraped) == OBSERVED
    assert websites["static_configs"] == [{"targets": ["status:8080"]}]
    assert websites["authorization"]["credentials_file"].rpartition("/")[2] in observers["prometheus"]["secrets"]
    port = yaml.safe_load((ROOT / "infra/config/config.yaml").read_text())["metrics"]["port"]
    for job in scraped:
        (source,) = job["dns_sd_configs"]
        assert (source["names"], source["port"]) == ([job["job_name"]], port)
        assert job["job_name"] in compose["services"]


def test_one_status_is_asked_for_the_websites() -> None:
    """As in Compose, so by the operator of Prometheus; instance stays the website."""
    found = yaml.safe_load((OBSERVABILITY / "kubernetes/scrape-websites.yaml").read_text())["spec"]
    websites = yaml.safe_load((OBSERVABILITY / "compose/prometheus.yml").read_text())["scrape_configs"][-1]
    shared = (found["jobName"], found["metricsPath"], found["honorLabels"])
    assert shared == (websites["job_name"], websites["metrics_path"], websites["honor_labels"])
    assert found["staticConfigs"] == [{"targets": ["status.monitoring.svc:8080"]}]


def test_grafana_connects_as_a_reader() -> None:
    """Each value that its data sources name is given; the account may read views and no more."""
    compose = yaml.safe_load((ROOT / "infra/compose/compose.yaml").read_text())
    text = (OBSERVABILITY / "grafana/datasources.yaml").read_text()
    given = compose["services"]["grafana"]["environment"]
    assert set(re.findall(r"\$([A-Z][A-Z_]+)", text)) <= set(given)
    assert given["POSTGRESQL_READER"] == compose["x-settings"]["MONITORING__ROLES__READER_USER"]
    assert "reader_password" in compose["services"]["setup"]["secrets"]
    types = {source["type"] for source in yaml.safe_load(text)["datasources"]}
    for file in (OBSERVABILITY / "dashboards").glob("*.json"):
        variables = json.loads(file.read_text())["templating"]["list"]
        assert {found["query"] for found in variables if found["type"] == "datasource"} <= types


@pytest.mark.parametrize("image", IMAGES)
def test_dockerfiles_are_clean(image: str) -> None:
    """hadolint reports nothing."""
    command = [str(Path(sys.executable).with_name("hadolint")), str(ROOT / f"infra/docker/{image}/Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_documented_command_is_run_by_a_test() -> None:
    """Each heading with commands names the test that runs them, and that test speaks of it."""
    for document, run_by in RUN_BY.items():
        assert headings_with_commands(ROOT / document) == sorted(
            run_by, key=headings_with_commands(ROOT / document).index
        )
        for heading, test in run_by.items():
            assert f'"{heading}"' in Path(__file__).with_name(test).read_text(), heading
