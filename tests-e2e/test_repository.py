"""What other tools expect of a repository: licence, supported versions, workflow, hooks, and commands that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(file.parent for folder in ("libs", "services") for file in (ROOT / folder).glob("*/pyproject.toml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Files in which `hatch run` is what somebody or something runs.
COMMANDS = [
    *(file for file in ROOT.glob("*.md")),
    *(file for folder in ("docs", "infra") for file in (ROOT / folder).rglob("*.md")),
    *(file for folder in ("libs", "services") for file in (ROOT / folder).glob("*/*.md")),
    *WORKFLOWS,
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".ci" / "run",
]
_PYTHON = "Programming Language :: Python :: 3."


def project(package: Path) -> dict[str, Any]:
    """The table `project` of a package."""
    loaded: dict[str, Any] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return loaded


def supported(package: Path) -> list[str]:
    """The Python versions that a package's classifiers name."""
    return [line.rpartition(" ")[2] for line in project(package)["classifiers"] if line.startswith(_PYTHON)]


def hatch() -> dict[str, Any]:
    """The environments of hatch.toml."""
    environments: dict[str, Any] = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]
    return environments


def programs() -> set[str]:
    """What `hatch run NAME` may call: scripts of the default environment, and programs that it installs."""
    default = hatch()["default"]
    tools = {re.split(r"[<>=\[]", dependency)[0] for dependency in default["dependencies"]}
    renamed = {"import-linter": "lint-imports"}
    commands = {name for package in PACKAGES for name in project(package).get("scripts", {})}
    return {"python", *default["scripts"], *commands, *(renamed.get(tool, tool) for tool in tools)}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_carries_the_licence(package: Path) -> None:
    """What is installed alone has the licence with it; the copies are the repository's own text."""
    about = project(package)
    assert about["license"] == "Apache-2.0"
    assert about["license-files"] == ["LICENSE"]
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_supports_the_versions_that_the_workflow_tests(package: Path) -> None:
    """No version of Python is promised and not tested, or tested and not told of."""
    tested = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["unit"]["strategy"]["matrix"]
    assert supported(package) == tested["python"]
    assert project(package)["requires-python"] == f">={tested['python'][0]}"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_is_bounded_and_may_do_little(workflow: Path) -> None:
    """Every job ends, none may write to the repository, and actions are pinned to a version."""
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]
    for job in content["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
        assert "permissions" not in job
        for action in [step["uses"] for step in job["steps"] if "uses" in step]:
            assert re.fullmatch(r"[\w./-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", action), action


@pytest.mark.parametrize("file", COMMANDS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_hatch_command_that_is_named_exists(file: Path) -> None:
    """A command in a document, a hook or a workflow is a script of hatch.toml or a program of the environment."""
    for name in re.findall(r"hatch run ([\w:-]+)", file.read_text()):
        environment, colon, script = name.partition(":")
        if colon:
            assert script in hatch()[environment].get("scripts", {}) or script == "which", f"hatch run {name}"
        else:
            assert name in programs(), f"hatch run {name}"


def test_hooks_have_distinct_names_and_pinned_tools() -> None:
    """Two runs of the hooks do the same: what they install is of one exact version."""
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert len({hook["id"] for hook in hooks}) == len(hooks)
    for hook in hooks:
        assert re.search(r"^hatch run |==|@v\d", " ".join([hook["entry"], *hook.get("additional_dependencies", [])])), (
            hook
        )


@pytest.mark.parametrize(
    "image",
    sorted((ROOT / "infra" / "docker").glob("*/requirements*.in")),
    ids=lambda f: f"{f.parent.name}-{f.stem}",
)
def test_an_image_pins_every_dependency(image: Path) -> None:
    """A dependency that a package has gained would be missing in the image: `hatch run release:lock` pins it."""
    pinned = set(re.findall(r"^([a-z0-9-]+)==", image.with_suffix(".txt").read_text(), re.MULTILINE))
    own = {project(package)["name"] for package in PACKAGES}
    for line in image.read_text().split():
        declared = project(ROOT / line.partition("[")[0])
        extras = line.partition("[")[2].rstrip("]").split(",")
        dependencies = [*declared["dependencies"]]
        dependencies += [one for extra in filter(None, extras) for one in declared["optional-dependencies"][extra]]
        names = {re.split(r"[<>=\[]", dependency)[0].lower() for dependency in dependencies}
        assert names - own <= pinned, declared["name"]
