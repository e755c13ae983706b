"""The documents say what is so: generated pages are up to date, and what the runbook quotes is in the sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from alert_svc.cli import main as alert_svc
from consumer_svc.cli import main as consumer_svc
from dbadmin.cli import main as dbadmin
from monitoring_runtime import retry
from producer_svc.cli import main as producer_svc
from status_svc.cli import main as status_svc

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def generated(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, DOCS / "generate", "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_configuration_reference_is_what_the_example_and_the_classes_say() -> None:
    """A setting that is added, or whose bounds change, changes the page."""
    done = generated("configuration")
    assert done.returncode == 0, done.stderr


def test_a_reference_that_says_something_else_is_told(tmp_path: Path) -> None:
    """The check can fail, and says how to mend the page."""
    page = (DOCS / "configuration.md").read_text()
    (tmp_path / "configuration.md").write_text(page.replace("1s to 1d", "1s to 2d"))
    done = generated("configuration", "--docs", tmp_path)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("configuration.md is out of date: hatch run docs configuration")


RECORDS = sorted((DOCS / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_has_a_number_a_date_a_status_and_a_place_in_the_index(record: Path) -> None:
    """A reader of a record knows when it was decided and whether it still holds."""
    title, _, dated, *_ = record.read_text().splitlines()
    number = int(record.name[:4])
    assert title.startswith(f"# {number}. ")
    match = re.fullmatch(r"Date: (20\d\d-\d\d-\d\d)\. Status: (accepted|no decision|superseded by \d+)\b.*\.", dated)
    assert match, dated
    row = f"| [{title.removeprefix('# ')}]({record.name}) | {match[1]} | {match[2]} |"
    assert row in (DOCS / "adr" / "README.md").read_text().splitlines()


def test_decisions_are_numbered_without_a_gap() -> None:
    """A number that is missing would make one wonder what it was."""
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_the_record_on_retries_tells_the_policies_that_there_are() -> None:
    """ADR 5 names each policy of the one module with its delays, and no other."""
    policies = {name: value for name, value in vars(retry).items() if isinstance(value, retry.RetryPolicy)}
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) s \| ([\d.]+) s \|", RECORDS[4].read_text(), re.MULTILINE)
    assert {name: (float(first), float(longest)) for name, first, longest in rows} == {
        name: (policy.initial_s, policy.maximum_s) for name, policy in policies.items()
    }


def test_the_glossary_explains_no_word_twice() -> None:
    """One word for one thing, each in one sentence."""
    entries = re.findall(r"^- \*\*([\w -]+)\*\*: (.+)$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    terms = [term for term, _ in entries]
    assert len(terms) > 50
    assert sorted(terms) == sorted(set(terms))
    for term, sentence in entries:
        assert sentence.endswith("."), term
        assert ". " not in sentence, term


PROGRAMS: dict[str, click.Command] = {
    "dbadmin": dbadmin,
    "producer-svc": producer_svc,
    "consumer-svc": consumer_svc,
    "alert-svc": alert_svc,
    "status-svc": status_svc,
}
# What other programs know, and libraries say.
FOREIGN = {
    "SSL_CERT_FILE",
    "curl -I",
    "ExpiredTokenError",
    "InvalidClaimError: aud",
    "invalid_client",
    "mismatching_state",
}


def strings() -> list[str]:
    """Every string in the sources that is not a docstring; of an f-string, the parts between its values."""
    found = []
    for file in [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]:
        tree = ast.parse(file.read_text())
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        found += [value for value in constants if isinstance(value, str) and value not in docstrings]
    return found


def is_command(words: list[str]) -> bool:
    """Whether the words, up to the first argument or option, name a command of one of the programs."""
    command = PROGRAMS[words[0]]
    for word in words[1:]:
        if not isinstance(command, click.Group):
            return True
        found = command.get_command(click.Context(command), word)
        if found is None:
            return False
        command = found
    return True


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_readme_shows_every_command(name: str) -> None:
    """Whoever reads it knows what the program can do."""
    program = PROGRAMS[name]
    assert isinstance(program, click.Group)
    blocks = re.findall(
        r"^```\w*\n(.+?)^```$", (ROOT / "services" / name / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    shown = {line.split()[1] for block in blocks for line in block.splitlines() if line.startswith(f"{name} ")}
    assert set(program.list_commands(click.Context(program))) - shown == set()


def test_what_the_runbook_quotes_is_there() -> None:
    """A tired operator searches for the very words: log lines, metrics, settings and commands that there are."""
    settings = yaml.safe_load((ROOT / "infra/config/config.yaml").read_text())
    reference = (DOCS / "configuration.md").read_text()
    said = "\n".join(strings())
    unknown = []
    for quote in re.findall(r"`([^`\n]+)`", (DOCS / "runbook.md").read_text()):
        section, _, key = quote.partition(".")
        if quote.startswith("SELECT "):
            continue
        if quote.split()[0] in PROGRAMS:
            known = is_command(quote.split())
        elif section in settings and key.isidentifier():
            known = f"| `{key}` |" in reference.partition(f"## {section}\n")[2].partition("\n## ")[0]
        else:
            parts = re.split(r"…| / |=1$", quote.removesuffix("_total"))
            known = quote in FOREIGN or all(part in said for part in parts)
        if not known:
            unknown.append(quote)
    assert unknown == []


def test_the_runbook_explains_every_warning_and_error_of_the_services() -> None:
    """Every complaint of a service can be looked up."""
    runbook = (DOCS / "runbook.md").read_text()
    calls = (
        node
        for file in ROOT.glob("services/*/src/**/*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("log.warning", "log.error")
    )
    events = [ast.literal_eval(call.args[0]) for call in calls]
    assert len(events) > 20
    assert [event for event in events if f"`{event}" not in runbook] == []


PAGES = [
    *ROOT.glob("*.md"),
    *(file for folder in ("docs", "infra") for file in (ROOT / folder).rglob("*.md")),
    *(file for folder in ("libs", "services") for file in (ROOT / folder).glob("*/*.md")),
    *(ROOT / "tests-e2e").glob("*/*.md"),
]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may end with, as hosts make it of the heading's words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Within the repository: to a file or folder that there is, and to a heading that it has."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_pictures_are_small() -> None:
    """A README is read on slow lines, too; no picture lies there that none shows."""
    pictures = sorted((ROOT / "docs/pictures").glob("*.png"))
    assert pictures
    readme = (ROOT / "README.md").read_text()
    for picture in pictures:
        assert picture.stat().st_size < 60_000, picture
        assert f"({picture.relative_to(ROOT)})" in readme, picture
