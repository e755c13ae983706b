"""A real Docker engine, the images built by it, and how they are run in the tests."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
IMAGES = ("producer", "consumer", "alert", "status", "dbadmin")
WITH_KUBERNETES = "monitoring_dbadmin_kubernetes"
DEFAULT_BASE = "python:3.13-slim"
STAND_IN = "monitoring-test-base"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "website-availability-monitor"


def blocks(document: Path, heading: str) -> list[str]:
    """The commands of a document below a heading, up to the next heading."""
    text = document.read_text()
    section = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{document} has no heading {heading!r}"
    found = re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert found, f"{heading!r} has no commands"
    return found


def dbadmins_command() -> str:
    """How dbadmin's image is built, as the documents say."""
    (command,) = (line for line in blocks(ROOT / "infra/README.md", "Images")[0].splitlines() if "dbadmin" in line)
    return command


def headings_with_commands(document: Path) -> list[str]:
    """The headings of a document below which there are commands."""
    found, heading, inside = [], "", False
    for line in document.read_text().splitlines():
        if line.startswith("```"):
            if not inside and line == "```sh" and heading not in found:
                found.append(heading)
            inside = not inside
        elif line.startswith("#") and not inside:
            heading = line.lstrip("# ")
    return found


def rendered(overlay: Path) -> list[dict[str, Any]]:
    """The objects of an overlay."""
    done = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@attrs.frozen
class DockerEngine:
    """A Docker engine, used through its command-line client."""

    client: str

    @property
    def missing(self) -> str | None:
        """Why there is none, or None."""
        try:
            done = self._run("version", "--format", "{{.Server.Version}}")
        except OSError as error:
            return f"{self.client} cannot be run: {error}"
        return None if done.returncode == 0 and done.stdout.strip() else f"no engine answers: {done.stderr.strip()}"

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """Run a command of the client; its output."""
        done = self._run(*arguments, text=text)
        assert done.returncode == 0, f"docker {shlex.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def _run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.client, *arguments],
            cwd=ROOT,
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """`docker run --rm` to its end, whatever its status."""
        return self._run("run", "--rm", *arguments, text=text)

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return self._run("image", "inspect", image).returncode == 0

    def pulled(self, image: str) -> bool:
        """Whether the image is there, pulled if need be."""
        return self.has(image) or self._run("pull", "--quiet", image).returncode == 0

    def make_stand_in(self) -> None:
        """Make a base image of Debian packages, for a machine that cannot pull one."""
        archive = _CACHE / "base-image-trixie.tar"
        if not archive.exists():
            _CACHE.mkdir(parents=True, exist_ok=True)
            new = archive.with_suffix(".new.tar")
            packages = "--include=python3,python3-venv,ca-certificates"
            command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, "trixie", str(new)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            new.replace(archive)
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self("import", "--change", path, str(archive), STAND_IN)

    def build(self, command: str, base: str, *options: str) -> None:
        """Run a documented `docker build` with this base image and, where there is one, the authority of the proxy."""
        words = shlex.split(command)
        assert words[:2] == ["docker", "build"], command
        more = [] if base == DEFAULT_BASE else ["--build-arg", f"BASE_IMAGE={base}"]
        if authority := os.environ.get("PIP_CERT"):
            more += ["--secret", f"id=ca,src={authority}"]
        self(*words[1:], *more, *options)

    def build_with_kubernetes(self, base: str) -> None:
        """Build dbadmin's image with the client of Kubernetes, as the documents say."""
        command = dbadmins_command().replace("-t monitoring_dbadmin ", f"-t {WITH_KUBERNETES} ")
        self.build(command, base, "--build-arg", "REQUIREMENTS=requirements-kubernetes.txt")

    def labels(self, image: str) -> Mapping[str, str]:
        """An image's labels."""
        found = yaml.safe_load(self("image", "inspect", "--format", "{{json .Config.Labels}}", image))
        assert isinstance(found, dict)
        return found


def hardened(image: str) -> list[str]:
    """The options of `docker run` that restrict a container as its pod is: read-only root, limits, no privileges."""
    (pod,) = [
        found["spec"]["template"]["spec"]
        for found in rendered(ROOT / "infra/k8s/overlays/minikube")
        if found["kind"] in ("StatefulSet", "Deployment", "Job")
        and found["spec"]["template"]["spec"]["containers"][0]["image"] == f"monitoring_{image}"
    ]
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    limits = container["resources"]["limits"]
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    return [
        *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", user),
        *("--memory", limits["memory"].replace("Mi", "m"), "--cpus", limits["cpu"]),
    ]


def set_of(options: Sequence[str]) -> list[str]:
    """`--env` options."""
    return [word for option in options for word in ("--env", option)]
