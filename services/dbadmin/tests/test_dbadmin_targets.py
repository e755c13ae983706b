"""Targets in files and in the database."""

from __future__ import annotations

import datetime as dt
import io
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.connect import connected
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.table import producer_count, read_all
from monitoring_core.targets import TargetRecord
from monitoring_core.targets.files import FileFormat, read_targets, write_targets

if TYPE_CHECKING:
    from monitoring_core.config import Config

FULL = TargetRecord(
    url="https://a.example/x?y=ü",
    regexp='a"b,\nc',
    active=False,
    check_interval_s=30,
    timeout_s=2.5,
    method="HEAD",
    expected_status="200-299,404",
    headers={"X-A": "b, c"},
    follow_redirects=False,
    verify_tls=True,
    labels={"team": "ü"},
)


@pytest.mark.parametrize("file_format", list(FileFormat))
def test_what_is_written_is_read_again(file_format: FileFormat) -> None:
    """A target survives export and import in both formats, to the letter."""
    file = io.StringIO()
    records = [FULL, TargetRecord(url="http://b.example/")]
    assert write_targets(file, file_format, records) == 2
    assert [line.record for line in read_targets(io.BytesIO(file.getvalue().encode()), file_format)] == records


def test_bad_lines_are_told_apart() -> None:
    """Each bad line has its number and its reason; the others are read."""
    text = '{"url": "http://a/"}\n\n[1]\nnonsense\n{"url": "ftp://b/"}\n{"url": "http://c/", "colour": 1}\n'
    lines = list(read_targets(io.BytesIO(text.encode()), FileFormat.JSONL))
    assert [(line.number, line.problems) for line in lines] == [
        (1, ()),
        (3, ("must be a JSON object",)),
        (4, ("is not JSON",)),
        (5, ("url: must begin with http:// or https://, got 'ftp://b/'",)),
        (6, ("colour: no such field",)),
    ]


@pytest.mark.parametrize("header", ["url", "regexp, url", "url,colour\r"])
def test_csv_that_is_read_as_json_is_told(header: str) -> None:
    """As from standard input, which has no name that would say what it is."""
    first, second = read_targets(io.BytesIO(f"{header}\nhttp://a/\n".encode()), FileFormat.JSONL)
    assert first.problems == ("is the header of CSV, which needs a name that ends with .csv, or --format csv",)
    assert second.problems == ("is not JSON",)


@pytest.fixture
def ready(config: Config, config_file: Path) -> Path:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    return config_file


def imported(config_file: Path, name: str, text: str, *options: str) -> tuple[int, str]:
    file = config_file.parent / name
    file.write_text(text)
    run = CliRunner().invoke(main, ["targets", "import", str(file), "--config", str(config_file), *options])
    return run.exit_code, run.output.replace(f"{config_file.parent}/", "")


def test_yaml_is_for_another_command(config_file: Path) -> None:
    """It was taken for JSON Lines, each of which was bad."""
    status, said = imported(config_file, "websites.yaml", "targets: []\n")
    assert (status, "websites.yaml is for dbadmin targets apply: here it is CSV" in said) == (2, True)


@pytest.mark.integration_test
def test_an_import_takes_all_lines_or_none(ready: Path, config: Config) -> None:
    """One bad line, or one URL twice, and nothing is changed; every one of them is reported."""
    text = "url,regexp\nhttp://a/,x\nhttp://b/,(\nhttp://a/,y\n"
    status, said = imported(ready, "w.csv", text)
    assert status == 1
    assert said.splitlines() == [
        "w.csv:3: regexp: is not a regular expression that RE2 takes: missing ): (",
        "w.csv:4: url: is the same as in line 2",
        "3 lines read, 2 bad, nothing changed",
    ]
    assert list(read_all(config.database)) == []


@pytest.mark.integration_test
def test_an_import_adds_updates_and_leaves_alone(ready: Path, config: Config) -> None:
    """By URL without an id, by id with one; a second import of the same changes nothing; a dry run nothing at all."""
    assert imported(ready, "w.csv", "url\nhttp://a/\nhttp://b/\n", "--dry-run")[1] == (
        "2 lines read: 2 added, 0 updated, 0 unchanged (dry run: nothing was written)\n"
    )
    assert (
        imported(ready, "w.csv", "url\nhttp://a/\nhttp://b/\n")[1] == "2 lines read: 2 added, 0 updated, 0 unchanged\n"
    )
    assert (
        imported(ready, "w.csv", "url\nhttp://a/\nhttp://b/\n")[1] == "2 lines read: 0 added, 0 updated, 2 unchanged\n"
    )
    first, second = (record.id or 0 for record in read_all(config.database))
    lines = (
        '{"url": "http://a/", "regexp": "x"}\n'
        f'{{"id": {second}, "url": "http://c/"}}\n'
        f'{{"id": {second + 7}, "url": "http://d/"}}\n'
    )
    assert imported(ready, "w.jsonl", lines)[1] == "3 lines read: 1 added, 2 updated, 0 unchanged\n"
    assert imported(ready, "w.csv", "url\nhttp://e/\n")[1] == "1 line read: 1 added, 0 updated, 0 unchanged\n"
    records = {record.id: (record.url, record.regexp) for record in read_all(config.database)}
    assert records == {
        first: ("http://a/", "x"),
        second: ("http://c/", None),
        second + 7: ("http://d/", None),
        second + 8: ("http://e/", None),
    }


@pytest.mark.integration_test
def test_importing_an_export_changes_nothing(ready: Path, config: Config) -> None:
    """An export is a backup."""
    file = io.StringIO()
    write_targets(file, FileFormat.JSONL, [FULL, TargetRecord(url="http://b.example/")])
    assert imported(ready, "w.jsonl", file.getvalue())[0] == 0
    for name in ("export.csv", "export.jsonl"):
        out = ready.parent / name
        run = CliRunner().invoke(main, ["targets", "export", str(out), "--config", str(ready)])
        assert run.exit_code == 0, run.output
        assert imported(ready, name, out.read_text())[1] == "2 lines read: 0 added, 0 updated, 2 unchanged\n"


@pytest.mark.integration_test
def test_an_export_onto_a_full_disk_leaves_the_one_before(ready: Path, config: Config) -> None:
    """A part of it would be taken for all targets."""
    imported(ready, "w.jsonl", "".join(f'{{"url": "http://w{i}/"}}\n' for i in range(200)))
    out = ready.parent / "export.jsonl"
    out.write_text("the one before")
    run = subprocess.run(
        [Path(sys.executable).with_name("dbadmin"), "targets", "export", str(out), "--config", str(ready)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (1, f"{out} cannot be written: File too large\n")
    assert out.read_text() == "the one before"
    assert [path.name for path in ready.parent.iterdir() if "export" in path.name] == ["export.jsonl"]


@pytest.mark.integration_test
def test_the_number_of_producers_is_the_quotient_rounded_up(ready: Path, config: Config) -> None:
    """Only active targets count."""
    rows = "".join(f"http://w{i}/,{'true' if i else 'false'}\n" for i in range(1002))
    imported(ready, "w.csv", "url,active\n" + rows)
    assert producer_count(config).producers == 2
    run = CliRunner().invoke(main, ["producer-count", "--json", "--config", str(ready)])
    assert run.output == '{"active": 1001, "websites_per_container": 1000, "producers": 2}\n'


@pytest.mark.integration_test
def test_ids_are_used_once(ready: Path, config: Config) -> None:
    """A dry run uses none up, and the id of a target that was deleted is not given to another."""
    for _ in range(3):
        assert imported(ready, "w.csv", "id,url\n,http://a/\n7,http://b/\n", "--dry-run")[0] == 0
    assert imported(ready, "w.csv", "url\nhttp://c/\n")[0] == 0
    assert [record.id for record in read_all(config.database)] == [1]
    assert imported(ready, "w.csv", "id,url\n9,http://d/\n")[0] == 0
    with connected(config.database) as connection:
        connection.execute("DELETE FROM monitoring.availability_monitor_config WHERE amc_id = 9")
    assert imported(ready, "w.csv", "id,url\n5,http://e/\n,http://f/\n")[0] == 0
    assert [record.id for record in read_all(config.database)] == [1, 5, 10]


@pytest.mark.integration_test
def test_ids_go_on_where_rows_that_were_restored_end(ready: Path, config: Config) -> None:
    """A restore of rows alone leaves the sequence of their ids behind."""
    with connected(config.database) as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_id, amc_url) "
            "SELECT n, 'http://restored/' || n FROM generate_series(1, 3) n"
        )
    command = ["targets", "add", "http://a/", "--config", str(ready)]
    run = CliRunner().invoke(main, command)
    assert (run.exit_code, run.output) == (0, "target 4 added\n")
    with connected(config.database) as connection:
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_id, amc_url) VALUES (5, 'http://restored/5')"
        )
    assert imported(ready, "w.csv", "url\nhttp://b/\nhttp://c/\n")[0] == 0
    assert [record.id for record in read_all(config.database)] == [1, 2, 3, 4, 5, 6, 7]
