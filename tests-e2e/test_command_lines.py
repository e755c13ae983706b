"""Every help of every program: complete, with examples that work, and at once."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

import alert_svc.cli
import consumer_svc.cli
import dbadmin.cli
import local_stack.cli
import producer_svc.cli
import status_svc.cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS: dict[str, click.Group] = {
    "dbadmin": dbadmin.cli.main,
    "producer-svc": producer_svc.cli.main,
    "consumer-svc": consumer_svc.cli.main,
    "alert-svc": alert_svc.cli.main,
    "status-svc": status_svc.cli.main,
    "local-stack": local_stack.cli.main,
}
MODULES = {
    "dbadmin": "dbadmin.cli",
    "producer-svc": "producer_svc.cli",
    "consumer-svc": "consumer_svc.cli",
    "alert-svc": "alert_svc.cli",
    "status-svc": "status_svc.cli",
    "local-stack": "local_stack.cli",
}
# What takes long to import; none of it is needed to tell a version.
HEAVY = {
    "alembic",
    "cattrs",
    "confluent_kafka",
    "cryptography",
    "kubernetes",
    "msgspec",
    "prometheus_client",
    "psycopg",
    "re2",
    "requests",
    "rich",
    "sqlalchemy",
    "stamina",
    "starlette",
    "structlog",
    "uvicorn",
    "yaml",
}


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command and all below it, each with the words that call it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, f"{name} {child}"
            yield from commands(f"{name} {child}", found)


ALL = dict(pair for name, program in PROGRAMS.items() for pair in commands(name, program))
everything = pytest.mark.parametrize("words", ALL)


def helped(words: str, option: str = "-h") -> str:
    program, *arguments = words.split()
    done = CliRunner().invoke(PROGRAMS[program], [*arguments, option], prog_name=program, terminal_width=80)
    assert done.exit_code == 0, done.output
    return done.stdout


@everything
def test_every_help_fits_and_is_whole(words: str) -> None:
    """No line is wider than 80 columns, and none is cut off; `-h` is the same as `--help`."""
    said = helped(words)
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert [line for line in said.splitlines() if line.endswith("...") and not line.startswith("Usage:")] == []
    assert said == helped(words, "--help")


@everything
def test_every_command_has_a_sentence(words: str) -> None:
    """What is listed under its group ends as a sentence does."""
    assert (ALL[words].help or "").strip().partition("\n")[0]
    assert ALL[words].get_short_help_str(1_000).strip()


def examples(said: str) -> list[str]:
    """The examples at the end of a help, each without the words that explain it."""
    lines = said.partition("\n  Examples:\n")[2].splitlines()
    return [re.split(r"   +| \|| >| <", line.strip())[0] for line in lines if line.strip()]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("dbadmin targts list", "'targets'"),
        ("dbadmin targets lst", "'list'"),
        ("producer-svc rnu", "'run'"),
        ("local-stack upp", "'up'"),
        ("dbadmin config shw", "'show'"),
    ],
)
def test_a_misspelt_command_is_told_which_was_meant(words: str, meant: str) -> None:
    """As a misspelt option is; with status 2."""
    program, *arguments = words.split()
    done = CliRunner().invoke(PROGRAMS[program], arguments)
    assert (done.exit_code, f"Did you mean {meant}?" in done.stderr) == (2, True), done.stderr


@everything
def test_every_help_has_examples_that_work(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names a command that there is, with options that it has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "websites.csv").touch()
    found = examples(helped(words))
    assert found, words
    assert any(example.startswith(words.split()[0]) for example in found)
    for example in found:
        program, *arguments = shlex.split(example)
        command: click.Command = PROGRAMS[program]
        names = [program]
        while isinstance(command, click.Group):
            name = arguments.pop(0)
            child = command.get_command(click.Context(command), name)
            assert child is not None, example
            command, names = child, [*names, name]
        # As below the program: click keeps the help option of the first context.
        command.make_context(" ".join(names), arguments, help_option_names=["-h", "--help"])


@pytest.mark.parametrize("program", MODULES)
@pytest.mark.parametrize("option", ["--version", "--no-such-option"])
def test_a_version_needs_nothing_heavy(program: str, option: str) -> None:
    """Time shifts with the load of a machine; what is imported does not."""
    code = (
        f"import sys\nfrom {MODULES[program]} import main\n"
        f"try:\n    main([{option!r}], prog_name={program!r})\nexcept SystemExit:\n    pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, modules = done.stdout.splitlines()
    assert "click" in modules.split()
    assert HEAVY.intersection(modules.split()) == set()
    assert (option == "--version") == (done.stdout.startswith(f"{program}, version "))


@pytest.mark.parametrize(
    ("program", "words", "found"),
    [
        ("dbadmin", "dbadmin st", "status"),
        ("dbadmin", "dbadmin targets s", "set"),
        ("producer-svc", "producer-svc probe --eng", "--engine"),
    ],
)
def test_the_shell_completes_commands_and_options(program: str, words: str, found: str) -> None:
    """By click's own protocol, as the README says how to switch it on."""
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    arguments = words.split()
    environ = os.environ | {variable: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(arguments) - 1)}
    code = f"from {MODULES[program]} import main; main(prog_name={program!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert f"plain,{found}" in done.stdout.splitlines(), done.stdout + done.stderr
