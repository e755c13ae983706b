"""Importing many targets: the fast way takes nothing that the careful one refuses, in bounded memory and output."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import itertools
import json
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from dbadmin.cli import main
from dbadmin.commands.progress import import_progress
from dbadmin.connect import connected
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets import table
from dbadmin.targets.importing import Import, ImportCounts
from dbadmin.targets.plain_lines import PlainLines, plain_json
from dbadmin.targets.staging import Rows, staging
from monitoring_core.errors import InvalidTargetError
from monitoring_core.targets import TargetRecord
from monitoring_core.targets.files import FIELDS, FileFormat, read_targets, write_targets
from monitoring_core.targets.lines import BLOCK_BYTES, MAX_LINE, Lines
from monitoring_core.testing.strategies import records
from monitoring_runtime.postgres import connect

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring_core.config import Config

# Values on both sides of every bound of the expression, and values that it must refuse.
VALUES: dict[str, list[str]] = {
    "url": [
        "http://a/",
        "https://a.b-c.example:8080/x?y=1&z=%20#f",
        "http://a:0/",
        "http://a:99999/",
        "http://",
        "ftp://a/",
        "http://a?b",
        "http://-a/",
        "http://[::1]/",
        "http://a b/",
        "http://a\\b/",
        "http://u:p@a/",
        "http://a/@b:c",
        "http://a/ü",
        "HTTP://a/",
        "http://a:80:90/",
        "http://a/,b",
        '"http://a/,b"',
        '"http://a/"',
        "http://.",
        "",
    ],
    "regexp": ["", "OK", "(", "a.b", "a|b", '"a, b"', '""', '"a"', "[", "\\d", "ü", "a#b", "<p>'x'</p>", "*", '"("'],
    "id": ["", "1", "0", "-1", "01", "999999999999999999", "9999999999999999999", "1.0", "x"],
    "active": ["", "true", "false", "TRUE", "1", "yes", "f"],
    "check_interval_s": [
        "",
        "0",
        "1",
        "9",
        "10",
        "29",
        "30",
        "60",
        "99",
        "100",
        "79999",
        "86400",
        "86401",
        "1.5",
        "060",
    ],
    "timeout_s": [
        "",
        "0",
        "1",
        "9",
        "9.999",
        "10",
        "20",
        "29",
        "29.999",
        "30",
        "99.5",
        "100",
        "299",
        "300",
        "301",
        "nan",
    ],
    "method": ["", "GET", "HEAD", "POST", "get", "PUT"],
    "expected_status": ["", "200", "099", "600", "200-299", "299-200", "200-399", '"200,301"'],
    "headers": ["", '"{""X"": ""1""}"', "{}"],
    "follow_redirects": ["", "true", "no"],
    "verify_tls": ["", "false", "0"],
    "labels": [
        "",
        '"{""team"": ""a""}"',
        '"{""a"":""b"",""c"": ""d""}"',
        "{}",
        '"{""a"": 1}"',
        '"{""a"": ""\\u0000""}"',
        '"[]"',
    ],
    "body": ["", "x"],
    "forbidden_regexp": ["", "x"],
    "connect_to": ["", "a:1"],
    "address_family": ["", "ipv4", "ipv6", "ipv5"],
    "further_regexps": ["", '"[""a"", ""b""]"', "[]"],
    "further_forbidden_regexps": ["", '"[""a""]"', "x"],
    "expected_headers": ["", '"{""X"": ""a""}"', "[]"],
    "degraded_above_s": ["", "1", "x"],
    "client_certificate": ["", "a.pem", "/a"],
    "secret_headers": ["", '"[""X""]"', "{}"],
    "expected_json": ["", '"{""$.a"": 1}"', "x"],
}
# Each has an expression of its own, which is costly to compile.
ORDERS = [random.Random(seed).sample(FIELDS, len(FIELDS)) for seed in range(32)]
plain_lines = functools.cache(PlainLines)
SIGNS = 'a/:.0159,"\\ ('


def line_of_a_file(entropy: bytes) -> tuple[tuple[str, ...], bytes]:
    """The columns of a file and one line of it, in which often several values are good."""
    order = ORDERS[entropy[0] % len(ORDERS)]
    columns = ("url", *(name for name in order if name != "url"))[: entropy[1] % len(order) + 1]
    chunks = (entropy[at : at + 8] for at in range(2, len(entropy), 8))
    values = [value(name, *chunk) for name, chunk in zip(columns, chunks, strict=False)]
    return columns, (",".join(values) + "\n").encode()


def value(name: str, kind: int, number: int, *signs: int) -> str:
    """One of the values above, or a text of up to six signs that matter."""
    if kind % 4:
        return VALUES[name][number % len(VALUES[name])]
    return "".join(SIGNS[sign % len(SIGNS)] for sign in signs[: number % (len(signs) + 1)])


# All choices of a case at once: Hypothesis takes longer for dozens of small ones than the test takes for its work.
lines_of_files = st.binary(min_size=2 + 8 * len(FIELDS), max_size=2 + 8 * len(FIELDS)).map(line_of_a_file)


def slow(columns: tuple[str, ...], content: bytes) -> list[TargetRecord | None]:
    header = ",".join(columns).encode() + b"\n"
    return [line.record for line in read_targets(io.BytesIO(header + content), FileFormat.CSV)]


@settings(max_examples=2000, deadline=None)
@given(lines_of_files)
def test_a_plain_line_of_csv_is_one_good_record(case: tuple[tuple[str, ...], bytes]) -> None:
    """What the expression accepts, the careful reader accepts too, as exactly one record."""
    columns, line = case
    plain = plain_lines(columns)
    assert (line in plain) == plain.all([line])
    if line in plain:
        (record,) = slow(columns, line)
        assert record is not None


def test_every_pair_of_values_is_judged_no_milder_than_by_the_careful_reader() -> None:
    """All pairs of the values above. Of each column some value other than the empty one is accepted."""
    accepted = set[tuple[str, str]]()
    for first, second in itertools.combinations(FIELDS, 2):
        columns = tuple(dict.fromkeys(("url", first, second)))
        plain = PlainLines(columns)
        for values in itertools.product(
            *(VALUES[name] if name in (first, second) else ["http://a/"] for name in columns)
        ):
            line = (",".join(values) + "\n").encode()
            if line in plain:
                (record,) = slow(columns, line)
                assert record is not None, line
                accepted.update(zip(columns, values, strict=True))
    for name, value in {
        "url": '"http://a/,b"',
        "regexp": '"a, b"',
        "id": "1",
        "active": "false",
        "check_interval_s": "79999",
        "timeout_s": "29.999",
        "method": "POST",
        "expected_status": "200-399",
        "verify_tls": "false",
        "follow_redirects": "true",
        "labels": '"{""a"":""b"",""c"": ""d""}"',
        "headers": "",
        "body": "",
        "forbidden_regexp": "",
        "connect_to": "",
        "address_family": "ipv6",
        "further_regexps": "",
        "further_forbidden_regexps": "",
        "expected_headers": "",
        "expected_json": "",
        "degraded_above_s": "",
        "secret_headers": "",
        "client_certificate": "",
    }.items():
        assert (name, value) in accepted


@pytest.mark.parametrize(("length", "is_plain"), [(899, True), (900, True), (901, False), (1100, False), (5000, False)])
@pytest.mark.parametrize("columns", [("url",), ("url", "regexp")])
def test_a_long_line_is_judged_by_the_careful_reader(columns: tuple[str, ...], length: int, is_plain: bool) -> None:
    """The expression bounds no field: a line of 900 bytes cannot hold one that is too long, a longer one may."""
    begin = b"http://a/" if len(columns) == 1 else b"http://a/,"
    line = begin + b"x" * (length - len(begin) - 1) + b"\n"
    assert len(line) == length
    plain = plain_lines(columns)
    assert (line in plain) is is_plain
    assert plain.all([line]) is is_plain
    assert not is_plain or slow(columns, line)[0] is not None


ODD = ["http://a/", "http://a/é", "x", "", "OK", "(", "\0", "a\\b", 0, 1, 60, 1.5, True, None, {}, {"a": "b"}]
NAMES = [*FIELDS, "colour"]


def changes_of_a_record(entropy: bytes) -> dict[str, Any]:
    """Odd values for some fields."""
    return {
        NAMES[name % len(NAMES)]: ODD[odd % len(ODD)] for name, odd in zip(entropy[::2], entropy[1::2], strict=False)
    }


@settings(max_examples=350, deadline=None)
@given(
    st.tuples(*[st.binary(max_size=6).map(changes_of_a_record)] * 3),
    records(),
    st.booleans(),
)
def test_a_plain_line_of_json_is_the_same_record(
    all_changes: tuple[dict[str, Any], ...], record: TargetRecord, ascii_only: bool
) -> None:
    """Each attribute has the value that the careful reader finds, and its type."""
    for changes in all_changes:
        fields = {k: v for k, v in attrs.asdict(record).items() if v is not None} | changes
        line = json.dumps(fields, ensure_ascii=ascii_only).encode()
        if (plain := plain_json(line)) is not None:
            careful = TargetRecord.parse(json.loads(line))
            assert [repr(getattr(plain, name)) for name in FIELDS] == [
                repr(value) for value in attrs.astuple(careful)
            ] or all(getattr(plain, name) == getattr(careful, name) for name in FIELDS)


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "ftp://a/"},
        {"regexp": "("},
        {"regexp": "\0"},
        {"labels": {"a": "\0"}},
        {"labels": {"a": "\ud800"}},
        {"check_interval_s": 60, "timeout_s": 60},
        {"check_interval_s": 60, "timeout_s": 61},
        {"method": "PUT"},
        {"expected_status": "x"},
        {"headers": {"a b": "c"}},
        {"method": "GET", "body": "x"},
        {"colour": 1},
    ],
    ids=str,
)
def test_a_line_of_json_that_the_careful_reader_refuses_is_not_plain(fields: dict[str, Any]) -> None:
    """Each line is refused for a different reason."""
    line = json.dumps({"url": "http://a/"} | fields).encode()
    with pytest.raises(InvalidTargetError):
        TargetRecord.parse(json.loads(line))
    assert plain_json(line) is None


@pytest.mark.parametrize("field", ["expected_json", "url", "colour"])
def test_a_line_of_json_that_is_nested_deeply_is_not_plain(field: str) -> None:
    """Whatever field it is in."""
    assert plain_json(f'{{"url": "http://a/", "{field}": {"[" * 5_000}{"]" * 5_000}}}'.encode()) is None


def test_a_usual_line_of_json_is_plain() -> None:
    """The quick test accepts it."""
    assert plain_json(
        b'{"url": "https://a/", "regexp": "OK", "check_interval_s": 60, "timeout_s": 5, "labels": {"a": "b"}}'
    )


@pytest.fixture
def ready(config: Config) -> Config:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    return config


def run_import(
    config: Config, content: bytes, file_format: FileFormat, dry_run: bool = False, deactivate_missing: bool = False
) -> tuple[ImportCounts, list[str]]:
    said: list[str] = []

    def report(number: int, problem: str) -> None:
        said.append(f"{number}: {problem}")

    importing = Import(report, dry_run=dry_run, deactivate_missing=deactivate_missing)
    return importing.run(config.database, staging(Lines(io.BytesIO(content)), file_format)), said


@pytest.mark.integration_test
def test_the_table_holds_what_the_careful_reader_reads(ready: Config) -> None:
    """Plain lines, others and both in turn, two kinds of line ends, a byte order mark: all to the letter."""
    lines = list[str]()
    for values in itertools.product(*(VALUES[name] for name in ("regexp", "check_interval_s", "timeout_s", "labels"))):
        line = f"http://w{len(lines)}/,{','.join(values)}{chr(13) if len(lines) % 3 else ''}\n"
        if slow(("url", "regexp", "check_interval_s", "timeout_s", "labels"), line.encode())[0]:
            lines.append(line)
    lines.append('http://quoted/,"a\n\\.\nb,""c""",,,\n')
    content = "\ufeffurl,regexp,check_interval_s,timeout_s,labels\n" + "".join(lines)
    expected = [line.record for line in read_targets(io.BytesIO(content.encode()), FileFormat.CSV)]
    assert len(expected) > 3_000
    counts, said = run_import(ready, content.encode(), FileFormat.CSV)
    assert said == []
    assert counts.added == len(expected)
    assert [attrs.evolve(record, id=None) for record in table.read_all(ready.database)] == expected
    file = io.StringIO()
    write_targets(file, FileFormat.JSONL, table.read_all(ready.database))
    counts, said = run_import(ready, file.getvalue().encode(), FileFormat.JSONL)
    assert (said, counts.unchanged) == ([], len(expected))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", []),
        (b"url\n", []),
        (b"\n\nurl\n\n\nhttp://a/\n\n", []),
        (
            b"interval,url,url\nx,http://a/,b\n",
            [f"1: interval: no such field; there are {', '.join(FIELDS)}" + 2 * "; url: stands in the header twice"],
        ),
        (b"regexp\nOK\n", ["1: url: is not in the header"]),
        (b"url;regexp\nhttp://a/;OK\n", ["1: has semicolons between the fields: must be commas"]),
        (b"regexp\turl\nOK\thttp://a/\n", ["1: has tabs between the fields: must be commas"]),
        ("url,regexp\nhttp://a/,OK\n".encode("utf-16"), ["1: is not UTF-8 text"]),
        (b"http://me:hunter2@a/\nhttp://b/\n", ["1: must be the header, which names the fields, like url,regexp"]),
        (b"http://a/;OK\n", ["1: must be the header, which names the fields, like url,regexp"]),
        (b"url,check_interval_s\nhttp://a/,1.5\n", ["2: check_interval_s: must be a whole number, got '1.5'"]),
        (b"url,timeout_s\nhttp://a/,NaN\n", ["2: timeout_s: must be a number, got 'NaN'"]),
        (b"url,regexp\nhttp://a/\n", ["2: has not as many fields as the header"]),
        (
            b"url,regexp\nhttp://a/,\xff\nhttp://b/,(\n",
            ["2: is not UTF-8 text", "3: regexp: is not a regular expression that RE2 takes: missing ): ("],
        ),
        (b'url\n"http://a/"x\nhttp://b/\n', ["2: is not CSV: ',' expected after '\"'"]),
        (b"url,headers\nhttp://a/,{\n", ["2: headers: must be a JSON object"]),
        (
            b"url\nhttp://a/\n" + b"x" * (MAX_LINE + 500_000) + b"\nhttp://b/\n",
            ["3: is not CSV: is longer than 256 KiB, and nothing after it was read"],
        ),
        (
            b"url\nhttp://a/\n" + b"x" * (MAX_LINE + 10_000) + b"\nnonsense\n",
            ["3: is not CSV: is longer than 256 KiB, and nothing after it was read"],
        ),
    ],
    ids=itertools.count(),
)
def test_what_is_wrong_with_a_file_of_csv_is_said_with_its_line(content: bytes, said: list[str]) -> None:
    """Every line is either good or reported, and no fault hides the lines after it."""
    found = [part for part in staging(Lines(io.BytesIO(content)), FileFormat.CSV) if not isinstance(part, Rows)]
    assert [f"{line.number}: {'; '.join(line.problems)}" for line in found] == said


def test_of_a_line_without_an_end_no_more_is_read_than_makes_it_too_long() -> None:
    """A device or a pipe may go on for ever."""
    sizes: list[int] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            sizes.append(size or 0)
            assert sum(sizes) < 10 * MAX_LINE
            return b"x" * sizes[-1]

    (line,) = Lines(Endless())
    assert MAX_LINE < len(line) == sum(sizes) <= MAX_LINE + 3 + BLOCK_BYTES


@settings(max_examples=500, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"http://a/", b'"', b",", b"\n", b"\r", b"\xff", b"(", b"x"])).map(b"".join)
    | st.lists(st.sampled_from([b'{"url":"http://a/"}', b'{"url":"http://\\u0061/"}', b"{}", b" "])).map(b"\n".join)
)
def test_a_file_of_anything_is_read_to_its_end(content: bytes) -> None:
    """Nothing is raised, and the quick reader finds the same lines good as the careful one."""
    for file_format, header in ((FileFormat.CSV, b"url,regexp\n"), (FileFormat.JSONL, b"")):
        fast = list(staging(Lines(io.BytesIO(header + content)), file_format))
        rows = b"".join(part.content for part in fast if isinstance(part, Rows))
        careful = list(read_targets(io.BytesIO(header + content), file_format))
        staged = [(int(row[0]), row[1]) for row in csv.reader(io.StringIO(rows.decode(), newline="")) if row]
        assert staged == [(line.number, line.record.url) for line in careful if line.record]
        bad = [(part.number, part.problems) for part in fast if not isinstance(part, Rows)]
        assert bad == [(line.number, line.problems) for line in careful if not line.record]


@pytest.mark.integration_test
def test_of_many_bad_lines_the_first_are_shown_and_all_are_counted(ready: Config) -> None:
    """A file with a million bad lines does not fill the terminal."""
    content = b"url\n" + b"nonsense\n" * 150 + b"http://a/\n" * 250
    counts, said = run_import(ready, content, FileFormat.CSV)
    assert (len(said), said[0], counts.bad, counts.read) == (
        100,
        "2: url: must begin with http:// or https://, got 'nonsense'",
        150 + 249,
        400,
    )
    assert said[-1].startswith("101: ")
    assert list(table.read_all(ready.database)) == []


@pytest.mark.integration_test
def test_what_is_missing_is_deactivated_when_asked_and_comes_back(ready: Config) -> None:
    """The file is the complete list of targets. A dry run reports the same changes and makes none."""
    run_import(ready, b"url\nhttp://a/\nhttp://b/\nhttp://c/\n", FileFormat.CSV)
    new = b"id,url\n,http://b/\n3,http://moved/\n,http://d/\n"
    for dry_run in (True, False):
        counts, said = run_import(ready, new, FileFormat.CSV, dry_run=dry_run, deactivate_missing=True)
        assert said == []
        assert (counts.added, counts.updated, counts.unchanged, counts.deactivated) == (1, 1, 1, 1)
    state = [(record.url, record.active) for record in table.read_all(ready.database)]
    assert state == [("http://a/", False), ("http://b/", True), ("http://moved/", True), ("http://d/", True)]
    counts, _ = run_import(ready, b"url\nhttp://a/\n", FileFormat.CSV, deactivate_missing=True)
    assert (counts.updated, counts.deactivated) == (1, 3)
    assert [r.active for r in table.read_all(ready.database)] == [True, False, False, False]


@pytest.mark.integration_test
def test_an_empty_file_deactivates_nothing(ready: Config, config_file: Path, tmp_path: Path) -> None:
    """A list that came out empty by mistake does not end all monitoring."""
    run_import(ready, b"url\nhttp://a/\n", FileFormat.CSV)
    (tmp_path / "w.csv").write_text("url\n")
    done = CliRunner().invoke(
        main, ["targets", "import", str(tmp_path / "w.csv"), "--deactivate-missing", "--config", str(config_file)]
    )
    assert done.exit_code == 1
    assert done.output == "the file has no targets, and --deactivate-missing would deactivate all of them\n"
    assert [r.active for r in table.read_all(ready.database)] == [True]


@pytest.mark.integration_test
def test_two_lines_never_change_one_target(ready: Config) -> None:
    """If one names it by its id and another by its present URL, the file is refused: neither may win by chance."""
    run_import(ready, b"url\nhttp://a/\nhttp://b/\n", FileFormat.CSV)
    _, said = run_import(ready, b"id,url\n1,http://new/\n,http://a/\n2,http://a/\n", FileFormat.CSV)
    assert said == ["4: url: is the same as in line 3"]
    _, said = run_import(ready, b"id,url\n1,http://new/\n,http://a/\n", FileFormat.CSV)
    assert said == ["3: url: belongs to target 1, to which line 2 gives another"]
    _, said = run_import(ready, b"id,url\n2,http://a/\n", FileFormat.CSV)
    assert said == ["2: url: belongs to target 1 already"]


@pytest.mark.integration_test
def test_others_change_targets_while_a_file_is_read(ready: Config) -> None:
    """A long import blocks no other session before its last step."""
    run_import(ready, b"url\nhttp://a/\n", FileFormat.CSV)
    reached, go_on = threading.Event(), threading.Event()

    class SlowFile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(size)
            if not content:
                reached.set()
                assert go_on.wait(60)
            return content

    rows = staging(Lines(SlowFile(b"url\n" + b"".join(b"http://%d/\n" % i for i in range(20_000)))), FileFormat.CSV)
    worker = threading.Thread(target=lambda: done.append(Import(lambda *_: None).run(ready.database, rows)))
    done: list[ImportCounts] = []
    worker.start()
    try:
        assert reached.wait(60)
        with connect(ready.database, "test", statement_timeout_s=5) as other:
            other.execute("UPDATE monitoring.availability_monitor_config SET amc_regexp = 'x'")
    finally:
        go_on.set()
        worker.join(60)
    assert done[0].added == 20_000


@pytest.mark.integration_test
def test_a_dry_run_takes_no_lock_and_counts_right(ready: Config) -> None:
    """It runs even while another session has locked the table against changes."""
    run_import(ready, b"url\nhttp://a/\n", FileFormat.CSV)
    with connected(ready.database) as other:
        other.execute("LOCK TABLE monitoring.availability_monitor_config IN SHARE ROW EXCLUSIVE MODE")
        counts, _ = run_import(ready, b"url,regexp\nhttp://a/,x\nhttp://b/,\n", FileFormat.CSV, dry_run=True)
    assert (counts.added, counts.updated, counts.unchanged) == (1, 1, 0)


def test_memory_stays_bounded_whatever_the_length() -> None:
    """Reading 20,000 lines of 1,000 bytes takes no more memory than reading 2,000."""
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", _PEAK, str(count)], text=True)) for count in (2_000, 20_000)
    ]
    assert peaks[1] - peaks[0] < 8_000, peaks


_PEAK = """
import itertools, re, sys
from dbadmin.targets.staging import staging
from monitoring_core.targets.files import FileFormat
from monitoring_core.targets.lines import Lines

class File:
    def __init__(self, count):
        path = b"x" * 980
        lines = (b"https://w%d/%b,(a%d)\\n" % (i, path, i % 9) for i in range(count))
        self.lines = itertools.chain([b"url,regexp\\n"], lines)
    def read(self, size):
        return b"".join(itertools.islice(self.lines, size // 1000))

count = int(sys.argv[1])
assert sum(part.count for part in staging(Lines(File(count)), FileFormat.CSV)) == count
# Not ru_maxrss, which is never less than what the parent had when it started this process.
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def test_the_progress_shows_lines_rate_and_what_is_left(tmp_path: Path) -> None:
    """With the size of the file known, also per cent, bytes and the remaining time."""
    (tmp_path / "w.csv").write_bytes(b"x" * 1000)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with (tmp_path / "w.csv").open("rb") as file, import_progress(file, console) as progress:
        progress.read(500)
        progress.lines(1234)
        progress._progress.refresh()
        shown = screen.getvalue()
    assert "1,234 lines" in shown
    assert " 50%" in shown
    assert "0.5/1.0 kB" in shown
