"""The documented way to a release, run on a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from monitoring_testkit.needs import cannot_run

from .engine import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.deployment


def version(package: Path) -> str:
    """A package's version."""
    if (package / "Cargo.toml").exists():
        return str(tomllib.loads((package / "Cargo.toml").read_text())["package"]["version"])
    command = [sys.executable, "-m", "hatchling", "version"]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, check=True).stdout.strip()


def pins(file: Path) -> list[str]:
    """What a lock file names, without the hashes."""
    return re.findall(r"^\S+==\S+", file.read_text(), re.MULTILINE)


def test_a_release_as_documented(tmp_path: Path) -> None:
    """Version, changelog and image agree; every package is built; the lock holds; the bill of materials is whole."""
    if not shutil.which("hatch"):
        cannot_run("hatch is not on the path")
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".git", "dist", "target", "outbox", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, copy, ignore=ignored)
    environ = os.environ | {"HATCH_DATA_DIR": str(tmp_path / "hatch")}
    for command in "".join(blocks(ROOT / "infra/README.md", "Releases")).splitlines():
        done = subprocess.run(
            ["bash", "-c", command], cwd=copy, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    new = version(copy / "services/producer-svc")
    assert new != version(ROOT / "services/producer-svc")
    assert re.search(
        rf"^## {re.escape(new)} \(\d{{4}}-\d\d-\d\d\)$", (copy / "services/producer-svc/CHANGELOG.md").read_text(), re.M
    )
    assert (copy / "infra/docker/producer/Dockerfile").read_text().count(f"ARG VERSION={new}\n") == 2
    for package in [*(copy / "libs").iterdir(), *(copy / "services").iterdir()]:
        name = f"{package.name.replace('-', '_')}-{version(package)}"
        found = {file.name for file in (package / "dist").iterdir()}
        tag = r"cp311-abi3-manylinux\w+" if (package / "Cargo.toml").exists() else "py3-none-any"
        assert [file for file in found if re.fullmatch(rf"{re.escape(name)}-{tag}\.whl", file)], found
        assert f"{name}.tar.gz" in found
    lock = pins(copy / "infra/docker/producer/requirements.txt")
    assert lock == pins(ROOT / "infra/docker/producer/requirements.txt")
    listed = json.loads((copy / "dist/producer.cdx.json").read_text())["components"]
    installed = {f"{part['name'].lower().replace('_', '-')}=={part['version']}" for part in listed}
    assert installed >= {pin.lower() for pin in lock} | {f"producer-svc=={new}"}
    licenses = (copy / "dist/producer-licenses.md").read_text()
    assert len(licenses.splitlines()) >= len(lock)
    assert "UNKNOWN" not in licenses


@pytest.mark.parametrize("service", ["producer-svc", "consumer-svc", "alert-svc", "dbadmin"])
def test_services_take_this_core_and_not_the_next_incompatible_one(service: str) -> None:
    """The range that a service states is what it is tested with: the oldest core there is, which is also the newest."""
    content = tomllib.loads((ROOT / f"services/{service}/pyproject.toml").read_text())
    wanted = {r.name: r.specifier for r in map(Requirement, content["project"]["dependencies"])}
    for library in ("monitoring-core", "monitoring-runtime"):
        now = version(ROOT / "libs" / library)
        major, minor, _ = now.split(".")
        assert wanted[library].contains(now)
        assert not wanted[library].contains(f"{major}.{int(minor) + 1}.0" if major == "0" else f"{int(major) + 1}.0.0")
