"""What holds the structure: who may import whom, without circles, on declared dependencies alone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grimp
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(package.parent.parent for package in ROOT.glob("*/*/src/*/__init__.py"))
# A module with more lines than this says why in a comment at its head.
LONG_MODULE = 300

# Each import is refused by a contract of its own kind: client libraries, adapters, wings, packages.
FORBIDDEN = {
    "services/producer-svc/src/producer_svc/checks/network.py": "psycopg",
    "services/producer-svc/src/producer_svc/checks/http/verdict.py": "monitoring_runtime.postgres",
    "services/producer-svc/src/producer_svc/cli.py": "producer_svc.adapters.kafka",
    "services/consumer-svc/src/consumer_svc/commands/dead_letters.py": "consumer_svc.adapters.topic_writer",
    "services/dbadmin/src/dbadmin/history/partitions.py": "dbadmin.commands.maintain",
    "services/dbadmin/src/dbadmin/targets/plain_lines.py": "consumer_svc.batch",
    "libs/monitoring-core/src/monitoring_core/result.py": "monitoring_runtime.health",
}


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and the contracts in a folder of their own, to break them in."""
    folder = tmp_path_factory.mktemp("copy")
    for source in SOURCES:
        shutil.copytree(source, folder / source.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint_imports(folder: Path) -> tuple[int, str]:
    """The status and the output of import-linter on the packages of a copy."""
    sources = os.pathsep.join(str(folder / source.relative_to(ROOT)) for source in SOURCES)
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": sources},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_each_forbidden_import_is_refused(copy: Path) -> None:
    """Each contract is tried by adding an import that it forbids."""
    for name, module in FORBIDDEN.items():
        file = copy / name
        file.write_text(f"{file.read_text()}\nimport {module}  # noqa\n")
    status, said = lint_imports(copy)
    assert status == 1
    for name, module in FORBIDDEN.items():
        importer = name.partition("/src/")[2].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        assert f"{importer} -> {module}" in said, said


def test_a_new_module_must_be_placed(copy: Path) -> None:
    """The layers are exhaustive: a module that belongs to none of them fails the check."""
    for package in ("producer_svc", "consumer_svc", "dbadmin"):
        (next(copy.glob(f"services/*/src/{package}")) / "nowhere.py").write_text('"""A module in no layer."""\n')
    status, said = lint_imports(copy)
    assert status == 1
    assert all(f"{package}.nowhere" in said for package in ("producer_svc", "consumer_svc", "dbadmin")), said


def test_no_circle_of_imports() -> None:
    """Neither at run time nor for types alone does a module import what imports it."""
    graph = grimp.build_graph(*settings()["tool"]["importlinter"]["root_packages"], cache_dir=None)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


def modules() -> Iterator[Path]:
    return (file for source in SOURCES for file in source.rglob("*.py"))


TALKS_TO_POSTGRESQL = re.compile(r"import psycopg|monitoring_runtime\.postgres|dbadmin\.connect")
ABOUT_ERRORS = re.compile(r"\b(error|errors|exc|exception|detail|diagnosis|refusal|said)\b")


def texts_looked_for_in_errors(file: Path) -> Iterator[str]:
    """Each look for a text in an error."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_for, where = node.left, ast.unparse(node.comparators[0])
            if (
                isinstance(looked_for, ast.Constant)
                and isinstance(looked_for.value, str)
                and ABOUT_ERRORS.search(where)
            ):
                yield f"{file}:{node.lineno}: {ast.unparse(node)}"


def test_errors_of_postgresql_are_told_apart_by_their_sqlstate(tmp_path: Path) -> None:
    """Never by their text, which the server writes in the language of `lc_messages`."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text('try: ...\nexcept Exception as error:\n    if "does not exist" in str(error): ...\n')
    assert len(list(texts_looked_for_in_errors(wrong))) == 1
    found = [file for file in modules() if TALKS_TO_POSTGRESQL.search(file.read_text())]
    assert len(found) > 20
    assert [look for file in found for look in texts_looked_for_in_errors(file)] == []


def test_no_program_asks_kafka_in_a_way_that_crashes() -> None:
    """An administrator's question for a group's offsets ends the process when the coordinator has just started."""
    assert [file for file in modules() if "list_consumer_group_offsets" in file.read_text()] == []


def test_a_long_module_says_why() -> None:
    """A module that has grown long is split, or gives the reason before its first statement."""
    for file in modules():
        lines = file.read_text().splitlines()
        if len(lines) > LONG_MODULE:
            body = ast.parse("\n".join(lines)).body
            head = lines[: body[1].lineno - 1]
            assert any(line.startswith("# Long because ") for line in head), f"{file}: {len(lines)} lines"


@pytest.mark.parametrize("package", [source.parent for source in SOURCES], ids=lambda folder: folder.name)
def test_declared_dependencies_are_compared_with_imports(package: Path) -> None:
    """`hatch run check` runs deptry on every package. Deptry sees no extras: the pool of psycopg is looked at here."""
    folder = package.relative_to(ROOT)
    checks = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]["default"]["scripts"]["check"]
    assert f"deptry {folder}/src --config {folder}/pyproject.toml" in checks
    pooled = any("psycopg_pool" in file.read_text() for file in package.glob("src/**/*.py"))
    assert ("pool]" in (package / "pyproject.toml").read_text()) == pooled
