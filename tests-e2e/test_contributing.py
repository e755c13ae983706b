"""CONTRIBUTING.md names every file to touch: each is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = [
    "A result column",
    "A setting",
    "A dbadmin command",
    "A reason",
    "A kind of check",
    "An engine",
    "A metric",
    "A migration",
    "A service",
    "A bad configuration",
]
# What stands for a name of one's own, in the parts of a path.
_PLACEHOLDER = re.compile(r"\b(?:NAME|NNNN|SUBJECT)")
_PATH = re.compile(r"\.?[A-Za-z][\w.-]*(?:/[\w.-]+)+|\.?[A-Za-z][\w-]*\.(?:md|toml|yaml|json|py)|\.\w+")


def paths(text: str) -> list[str]:
    """Every code span that is a path in the repository, or the name of a file."""
    return sorted({span for span in re.findall(r"`([^`\n]+)`", text) if _PATH.fullmatch(span)})


SECTIONS = re.split(r"^##+ ", TEXT, flags=re.MULTILINE)
PATHS = sorted({(path, section) for section in SECTIONS for path in paths(section)})


def fixed(path: str) -> Path:
    """The part of a path before its first placeholder."""
    parts = []
    for part in path.split("/"):
        if _PLACEHOLDER.search(part):
            break
        parts.append(part)
    return ROOT.joinpath(*parts)


def test_the_recipes_are_all_there() -> None:
    """A newcomer finds each of the usual changes by its name."""
    assert re.findall(r"^### (.+)$", TEXT, re.MULTILINE) == RECIPES


def folders(section: str) -> set[Path]:
    """The folders that a section names in full, and those of the files that it names in full."""
    named = [fixed(path) for path in paths(section) if "/" in path]
    return {place if place.is_dir() else place.parent for place in named}


@pytest.mark.parametrize(("path", "section"), PATHS, ids=[path for path, _ in PATHS])
def test_every_path_that_is_named_exists(path: str, section: str) -> None:
    """A file that has moved is named by its new place; of `NAME` and `NNNN_SUBJECT`, the folder exists.

    A name without a folder is a file at the root, in each service, or beside a path that its section names in full.
    """
    assert len(PATHS) > 60
    in_package = [*ROOT.glob(f"services/*/src/*/{path}")] if "/" not in path else []
    beside = "/" not in path and any((folder / path).exists() for folder in folders(section))
    assert fixed(path).exists() or in_package or beside


def test_every_recipe_names_files_in_steps() -> None:
    """Each step names a file and what to do in it."""
    for recipe in RECIPES:
        section = TEXT.partition(f"### {recipe}\n")[2].partition("\n### ")[0]
        steps = re.findall(r"^\d+\. (.+)$", section, re.MULTILINE)
        assert len(steps) >= 3, recipe
        assert any(_PATH.fullmatch(span) for span in re.findall(r"`([^`\n]+)`", section)), recipe
