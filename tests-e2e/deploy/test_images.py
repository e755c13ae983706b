"""The images: what is in them, and that they do the main job as their pods run them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
from typing import TYPE_CHECKING

import attrs
import pytest

from local_stack.processes import free_port
from monitoring_testkit.waiting import until
from monitoring_testkit.websites import fine_website

from .engine import IMAGES, ROOT, WITH_KUBERNETES, DockerEngine, dbadmins_command, hardened, set_of
from .servers import Authority, SecureKafka, SecurePostgres, secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.deployment

PACKAGES = {
    "producer": "producer-svc",
    "consumer": "consumer-svc",
    "alert": "alert-svc",
    "status": "status-svc",
    "dbadmin": "dbadmin",
}
ARGUMENTS = {"producer": ("run", "--id", "1"), "consumer": ("run",), "alert": ("run",), "status": ("run",)}
INTERVAL_S = 2
OUTBOX = "monitoring-test-outbox"
SETTINGS = [
    f"MONITORING__MONITOR__CHECK_INTERVAL={INTERVAL_S}s",
    "MONITORING__MONITOR__TIMEOUT=1s",
    "MONITORING__MONITOR__REFRESH_INTERVAL=1s",
    "MONITORING__MONITOR__LEASE_DURATION=3s",
    "MONITORING__MONITOR__WEBSITES_PER_CONTAINER=10",
    "MONITORING__KAFKA__PARTITIONS=4",
]


@attrs.define
class Containers:
    """Containers of the images against secured servers of this machine."""

    engine: DockerEngine
    directory: Path
    kafka: SecureKafka
    postgres: SecurePostgres
    website: str
    names: list[str] = attrs.field(factory=list)

    def options(self, image: str, secrets_of: str | None = None) -> list[str]:
        """The options of `docker run` for all that the pod of this image has."""
        config = ROOT / "infra/config/config.yaml"
        database = [
            f"MONITORING__DATABASE__HOST={self.postgres.host}",
            f"MONITORING__DATABASE__PORT={self.postgres.port}",
        ]
        kafka = f"MONITORING__KAFKA__BOOTSTRAP_SERVERS={self.kafka.secure_servers}"
        return [
            *hardened(image),
            *("--network", "host", "--env-file", str(ROOT / "infra/k8s/base/settings.env")),
            # As its pod, status-svc gets nothing of Kafka.
            *(() if image == "status" else ("--env-file", str(ROOT / "infra/k8s/base/kafka.env"))),
            *("--volume", f"{config}:/etc/monitoring/config.yaml:ro"),
            *("--volume", f"{config.with_name('alerts.yaml')}:/etc/monitoring/alerts.yaml:ro"),
            *("--volume", f"{self.directory / (secrets_of or image)}:/run/secrets/monitoring:ro"),
            *set_of([*SETTINGS, *database, kafka]),
        ]

    def write_secrets(self, name: str, content: Mapping[str, str]) -> None:
        """Write a service's secrets as files that its user may read."""
        folder = self.directory / name
        folder.mkdir(mode=0o755, exist_ok=True)
        for key, text in content.items():
            (folder / key).write_text(text)
            (folder / key).chmod(0o444)

    def dbadmin(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run dbadmin to its end, with the accounts that `setup` makes."""
        roles = []
        for role in ("producer", "consumer", "alert", "status"):
            secret = self.directory / role / "database_password"
            roles += ["--volume", f"{secret}:/run/secrets/roles/{role}_password:ro"]
            roles += set_of(
                [
                    f"MONITORING__ROLES__{role.upper()}_USER=monitoring_{role}",
                    f"MONITORING__ROLES__{role.upper()}_PASSWORD={{file: /run/secrets/roles/{role}_password}}",
                ]
            )
        options = ["--interactive", *self.options("dbadmin"), *roles]
        return self.engine.run(*options, "monitoring_dbadmin", *arguments, text=text)

    def start(self, name: str, image: str, *arguments: str) -> int:
        """Start a service; its port."""
        port = free_port()
        options = [*self.options(image), *set_of([f"MONITORING__METRICS__PORT={port}"]), "--health-interval", "1s"]
        if image == "producer":
            options += ["--volume", f"{OUTBOX}:/var/lib/monitoring"]
        self.engine("run", "--detach", "--name", name, *options, f"monitoring_{image}", *arguments)
        self.names.append(name)
        return port

    def state(self, name: str) -> str:
        """Status, health and exit status of a container."""
        form = "{{.State.Status}} {{.State.Health.Status}} {{.State.ExitCode}}"
        return self.engine("inspect", "--format", form, name)

    def until_healthy(self, name: str) -> None:
        """Wait until its HEALTHCHECK says that it is alive."""
        until(lambda: self.state(name).startswith("running healthy"), 120, lambda: self.logs(name))

    def stop(self, name: str) -> None:
        """Stop in order, and remove."""
        self.engine("stop", "--time", "45", name)
        assert self.state(name).endswith(" 0"), self.logs(name)
        self.remove(name)

    def logs(self, name: str) -> str:
        """The state and the output of a container."""
        done = subprocess.run(
            [self.engine.client, "logs", "--tail", "20", name], capture_output=True, text=True, check=False
        )
        return self.state(name) + done.stdout + done.stderr

    def remove(self, name: str) -> None:
        """End at once."""
        self.engine("rm", "--force", name)
        self.names.remove(name)

    def remove_all(self) -> None:
        """End all at once."""
        for name in list(self.names):
            self.remove(name)


@pytest.fixture(scope="module")
def containers(
    images: DockerEngine, secured_servers: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containers]:
    directory = tmp_path_factory.mktemp("containers")
    authority = Authority("127.0.0.1")
    kafka = SecureKafka(tmp_path_factory.mktemp("kafka"), "127.0.0.1", authority)
    postgres = SecurePostgres("127.0.0.1", authority)
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(fine_website("0.0.0.0"))
        kafka.start()
        stack.callback(kafka.stop)
        postgres.start()
        stack.callback(postgres.stop)
        made = Containers(images, directory, kafka, postgres, f"http://127.0.0.1:{port}")
        for name in IMAGES:
            made.write_secrets(name, secrets(authority, postgres, name))
        # Else the results of an earlier run would be sent.
        images("volume", "rm", "--force", OUTBOX)
        stack.callback(images, "volume", "rm", "--force", OUTBOX)
        stack.callback(made.remove_all)
        done = made.dbadmin("setup", "--wait", "60s")
        assert done.returncode == 0, done.stderr
        yield made


def test_every_slot_becomes_one_row_and_a_stop_loses_none(containers: Containers) -> None:
    """From target to row over TLS with client certificates, read-only, within the limits; then stopped and started."""
    lines = "".join(f'{{"url": "{containers.website}/{i}", "regexp": "OK"}}\n' for i in range(15))
    imported = containers.dbadmin("targets", "import", "-", text=lines)
    assert imported.returncode == 0, imported.stderr
    count = containers.dbadmin("producer-count")
    assert count.stdout.strip() == "2", count.stderr
    containers.start("monitoring-test-consumer", "consumer", "run")
    producers = {f"monitoring-test-producer-{i}": ("producer", "run", "--id", str(i)) for i in (1, 2)}
    for name, command in producers.items():
        containers.start(name, *command)
    for name in ("monitoring-test-consumer", *producers):
        containers.until_healthy(name)
    until(lambda: len(containers.postgres.rows()) >= 60, 180)
    for name, command in producers.items():
        containers.stop(name)
        containers.start(name, *command)
    containers.stop("monitoring-test-consumer")
    containers.start("monitoring-test-consumer", "consumer", "run")
    more = len(containers.postgres.rows()) + 60
    until(lambda: len(containers.postgres.rows()) >= more, 180)
    ends = dict.fromkeys(range(1, 16), time.time_ns() // 1_000_000)
    until(lambda: containers.postgres.compare(ends, INTERVAL_S).missing == 0, 180)
    comparison = containers.postgres.compare(ends, INTERVAL_S)
    assert (comparison.missing, comparison.duplicates, comparison.due >= 90) == (0, 0, True)
    assert {(row.status, row.reason) for row in containers.postgres.rows()} <= {
        ("up", None),
        ("unknown", "missed_window"),
    }
    for name in ("monitoring-test-consumer", *producers):
        containers.stop(name)


def test_status_shows_pages_as_its_own_account(containers: Containers) -> None:
    """Healthy with a root file system that is read-only, within its limits, as an account that reads views alone."""
    port = free_port()
    options = [*containers.options("status"), *set_of([f"MONITORING__METRICS__PORT={free_port()}"])]
    options += set_of(["MONITORING__STATUS__HOST=127.0.0.1", f"MONITORING__STATUS__PORT={port}"])
    name = "monitoring-test-status"
    containers.engine(
        "run", "--detach", "--name", name, *options, "--health-interval", "1s", "monitoring_status", "run"
    )
    containers.names.append(name)
    containers.until_healthy(name)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert b"<h1" in answer.read()
    containers.stop(name)


@pytest.mark.parametrize(
    ("key", "content", "expected"),
    [
        (
            "kafka_access_key",
            None,
            "env MONITORING__KAFKA__ACCESS_KEY: the file /run/secrets/monitoring/kafka_access_key ",
        ),
        (
            "database_password",
            None,
            "env MONITORING__DATABASE__PASSWORD: the file /run/secrets/monitoring/database_password ",
        ),
        ("kafka_ca_certificate", "not PEM", "env MONITORING__KAFKA__CA_CERTIFICATE: must be PEM text"),
    ],
)
@pytest.mark.parametrize("image", IMAGES)
def test_a_wrong_or_missing_secret_is_one_plain_line_and_status_2(
    containers: Containers, image: str, key: str, content: str | None, expected: str
) -> None:
    """Before anything is connected, whichever service it is; status-svc has no secrets of Kafka."""
    if (image, key.partition("_")[0]) == ("status", "kafka"):
        assert key not in {file.name for file in (containers.directory / image).iterdir()}
        return
    name = f"bad-{image}-{key}"
    folder = containers.directory / image
    containers.write_secrets(name, {file.name: file.read_text() for file in folder.iterdir()})
    bad = containers.directory / name / key
    bad.unlink()
    if content:
        bad.write_text(content)
        bad.chmod(0o444)
    arguments = ARGUMENTS.get(image, ("setup",))
    done = containers.engine.run(*containers.options(image, name), f"monitoring_{image}", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert expected in done.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_its_service_and_little_else(images: DockerEngine, base_image: str, image: str) -> None:
    """At most 60 MB over its base, no compiler, no package manager of Python's, no cache, nobody's root."""
    name = f"monitoring_{image}"
    sizes = [int(images("image", "inspect", "--format", "{{.Size}}", found)) for found in (name, base_image)]
    print(f"{name}: {(sizes[0] - sizes[1]) / 1e6:.1f} MB over {base_image} ({sizes[1] / 1e6:.1f} MB)")
    assert sizes[0] - sizes[1] <= 60_000_000
    assert images("image", "inspect", "--format", "{{.Config.User}}", name) == "10001:10001"
    added = added_files(images, name, base_image)
    assert not [path for path in added if re.search(r"(^|/)(pip|gcc|cc1?|make|apt|dpkg|\.cache|src)(/|$)|\.whl$", path)]
    services = {
        path.split("/")[5] for path in added if re.match(r"opt/venv/lib/[^/]+/site-packages/(.*_svc|dbadmin)/", path)
    }
    assert len(services) == 1


def test_a_producer_has_both_engines(images: DockerEngine) -> None:
    """The one that is set needs nothing more."""
    program = "from producer_svc.checks.http import native_engine, requests_engine"
    done = images.run("--read-only", "--entrypoint", "/opt/venv/bin/python", "monitoring_producer", "-c", program)
    assert done.returncode == 0, done.stderr


def test_people_can_log_in_with_the_image(images: DockerEngine) -> None:
    """It has the extra that a login needs."""
    program = "from status_svc.adapters import openid; from status_svc import login"
    done = images.run("--read-only", "--entrypoint", "/opt/venv/bin/python", "monitoring_status", "-c", program)
    assert done.returncode == 0, done.stderr


def test_dbadmin_can_have_the_client_of_kubernetes(images: DockerEngine, base_image: str) -> None:
    """It then asks the cluster whose account it has, and says that there is none; else it says what to install."""
    images.build_with_kubernetes(base_image)
    config = ("--volume", f"{ROOT / 'infra/config/config.yaml'}:/etc/monitoring/config.yaml:ro")
    known = set_of(["DATABASE_PASSWORD=x"])
    for image, said in (
        (
            WITH_KUBERNETES,
            "there is no cluster to ask: neither a current context (KUBECONFIG) nor the account of a pod",
        ),
        ("monitoring_dbadmin", "needs the client of Kubernetes: pip install 'dbadmin[kubernetes]'"),
    ):
        done = images.run("--read-only", *config, *known, image, "targets", "plan", "--from", "kubernetes")
        assert (done.returncode, done.stderr) == (1, f"ingresses.networking.k8s.io cannot be read: {said}\n")
    images("image", "rm", WITH_KUBERNETES)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_the_version_of_its_package(images: DockerEngine, image: str) -> None:
    """Its label and its output of --version name that version."""
    package = PACKAGES[image]
    command = [sys.executable, "-m", "hatchling", "version"]
    version = subprocess.run(
        command, cwd=ROOT / "services" / package, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert images.labels(f"monitoring_{image}")["org.opencontainers.image.version"] == version
    assert (
        images.run("--read-only", f"monitoring_{image}", "--version").stdout.strip() == f"{package}, version {version}"
    )


def test_an_image_of_another_version_than_its_package_is_not_built(images: DockerEngine, base_image: str) -> None:
    """The label is always that of the installed package."""
    command = dbadmins_command()
    with pytest.raises(AssertionError, match=r"VERSION is 9\.9\.9, the package "):
        images.build(command, base_image, "--build-arg", "VERSION=9.9.9")


def test_the_same_sources_make_the_same_files(images: DockerEngine, base_image: str) -> None:
    """Built anew without any cache: every file the same, and of the same date."""
    command = dbadmins_command()
    before = added_files(images, "monitoring_dbadmin", base_image)
    images.build(command.replace("-t monitoring_dbadmin", "-t monitoring-test-again"), base_image, "--no-cache")
    again = added_files(images, "monitoring-test-again", base_image)
    images("image", "rm", "monitoring-test-again")
    assert again == before
    assert len(again) > 500


@pytest.mark.parametrize("image", IMAGES)
def test_a_container_ends_at_sigterm_even_before_it_works(containers: Containers, image: str) -> None:
    """As process 1, for which the kernel ignores what nobody handles: also while it waits for servers that are away."""
    arguments = ARGUMENTS.get(image, ("setup", "--wait", "5m"))
    away = set_of(["MONITORING__DATABASE__HOST=127.0.0.1", f"MONITORING__DATABASE__PORT={free_port()}"])
    port = set_of([f"MONITORING__METRICS__PORT={free_port()}"])
    options = [*containers.options(image), *away, *port]
    command = [
        containers.engine.client,
        "run",
        "--rm",
        "--name",
        "monitoring-test-ends",
        *options,
        f"monitoring_{image}",
    ]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: "monitoring-test-ends" in containers.engine("ps", "--format", "{{.Names}}"), 180)
        time.sleep(2.5 if image == "dbadmin" else 0)  # it says nothing that could be waited for
        if image != "dbadmin":
            assert process.stderr
            process.stderr.readline()
        began = time.monotonic()
        containers.engine("kill", "--signal", "TERM", "monitoring-test-ends")
        status = process.wait(40)
    assert time.monotonic() - began < 25
    assert status == (128 + signal.SIGTERM if image == "dbadmin" else 0)


def added_files(engine: DockerEngine, image: str, base: str) -> dict[str, tuple[str, int]]:
    """Content hash and date of every file that an image has and its base has not."""
    known = files(engine, base).keys()
    return {path: found for path, found in files(engine, image).items() if path not in known}


def files(engine: DockerEngine, image: str) -> dict[str, tuple[str, int]]:
    """Content hash and date of every file of an image."""
    container = engine("create", image, "none")
    exported = subprocess.run([engine.client, "export", container], capture_output=True, check=True).stdout
    engine("rm", "--volumes", container)
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        return {member.name: (_hash(archive, member), int(member.mtime)) for member in archive if not member.isdir()}


def _hash(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member) if member.isfile() else None
    return hashlib.sha256(file.read() if file else member.linkname.encode()).hexdigest()
