"""The testkit is for tests alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAME = "monitoring-testkit"
PACKAGES = sorted(file.parent for part in ("libs", "services") for file in (ROOT / part).glob("*/pyproject.toml"))
SHIPPED = [package for package in PACKAGES if package.name != NAME]


def named(requirements: list[str]) -> set[str]:
    """The names of requirements as packages are compared (PEP 503)."""
    found = [re.match(r"[\w.-]+", requirement) for requirement in requirements]
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def test_all_packages_are_looked_at() -> None:
    """The five libraries and the five services."""
    assert len(SHIPPED) == 10
    assert named(["Monitoring_TestKit>=0.1", "psycopg[binary]>=3.2"]) == {NAME, "psycopg"}


@pytest.mark.parametrize("package", SHIPPED, ids=lambda package: package.name)
def test_nothing_that_ships_depends_on_the_testkit(package: Path) -> None:
    """Neither always nor with an extra: whoever installs a service gets no pytest and no servers for tests."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    required = [
        *project["dependencies"],
        *(r for extra in project.get("optional-dependencies", {}).values() for r in extra),
    ]
    assert named(required) or (package / "Cargo.toml").exists()
    assert not named(required) & {NAME, "pytest"}


def test_no_image_installs_the_testkit() -> None:
    """Its sources do not even reach the engine that builds them."""
    assert NAME not in (ROOT / ".dockerignore").read_text()
    for file in (ROOT / "infra/docker").rglob("*"):
        assert not file.is_file() or NAME not in file.read_text()
