"""`dbadmin report`: what it prints and writes, and what it says when there is nothing to tell."""

from __future__ import annotations

import builtins
import csv
import datetime as dt
import html.parser
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from monitoring_core.config import load_config
from monitoring_testkit.needs import need

pytestmark = pytest.mark.integration_test

Run = Callable[..., Result]

HOSTILE = "https://a.example/<script>alert(1)</script>\"'><img/src=x>{{7*7}}&lt;"
LABELS = {"team": "<b onmouseover='x'>shop</b>", "a": "]]>--></style><style>"}
MONTH = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
PANGO_MISSING = (
    "a report as PDF needs Pango, which is missing: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
    "libharfbuzz-subset0 (cannot load library 'libpango-1.0-0')\n"
)
FORMATS = ("table", "csv", "html", "json", "pdf")


def weasyprint_missing() -> str | None:
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:
        return str(error)
    return None


@pytest.fixture
def file(server: str, tmp_path: Path) -> Path:
    info = conninfo_to_dict(server)
    path = tmp_path / "config.yaml"
    path.write_text(
        "kafka: {bootstrap_servers: 'k:1'}\n"
        f"database: {{host: '{info['host']}', port: {info.get('port') or 5432}, user: postgres, database: postgres}}\n"
    )
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
    list(create_schema(load_config(path, environ={}).database, MONTH.date()))
    return path


@pytest.fixture
def run(file: Path) -> Run:
    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, ["report", *words, "--config", str(file)])

    return invoke


@pytest.fixture
def filled(server: str, run: Run) -> Run:
    """Two targets in May 2024: of one half an hour of a day was down, the other is hostile and was up."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SET search_path TO monitoring")
        for target_id, url, labels in ((1, "https://b.example/", {}), (2, HOSTILE, LABELS)):
            connection.execute(
                "INSERT INTO availability_monitor_config (amc_id, amc_url, amc_active_since, amc_labels, "
                "amc_check_interval_s) VALUES (%s, %s, %s, %s, 60)",
                (target_id, url, MONTH - dt.timedelta(days=1), Jsonb(labels)),
            )
        connection.execute("INSERT INTO availability_location VALUES ('here', %s)", (MONTH,))
        for day in range(31):
            for target_id in (1, 2):
                down = 30 if (day, target_id) == (7, 1) else 0
                span = {"target": target_id, "day": MONTH + dt.timedelta(days=day), "down": down}
                connection.execute(
                    "INSERT INTO availability_daily (target_id, day, location, up, down, unknown) "
                    "VALUES (%(target)s, %(day)s, 'here', 1440 - %(down)s, %(down)s, 0)",
                    span,
                )
                connection.execute(
                    "INSERT INTO availability_hourly (target_id, hour, location, up, down, unknown) "
                    "SELECT %(target)s, hour, 'here', 60 - bad, bad, 0 "
                    "FROM generate_series(%(day)s, %(day)s + interval '23 hours', '1 hour') hour, "
                    "LATERAL (SELECT CASE WHEN hour = %(day)s + interval '5 hours' THEN %(down)s ELSE 0 END AS bad) b",
                    span,
                )
        begin = MONTH + dt.timedelta(days=7, hours=5)
        connection.execute(
            "INSERT INTO availability_incident (target_id, location, began_at, ended_at, reason, checks) "
            "VALUES (1, 'here', %s, %s, 'timeout', 30)",
            (begin, begin + dt.timedelta(minutes=30)),
        )
        connection.execute("UPDATE availability_progress SET rolled_up_until = %s", (MONTH + dt.timedelta(days=40),))
        connection.execute(
            "INSERT INTO maintenance_window (match, begins_at, ends_at) VALUES ('{}', %s, %s)",
            (begin, begin + dt.timedelta(hours=1)),
        )
    return run


def test_a_report_says_how_much_is_down_and_how_much_is_known(filled: Run) -> None:
    """With and without maintenance, the worst first; JSON and CSV have the same figures."""
    document = json.loads(filled("--month", "2024-05", "-o", "json").stdout)
    first, second = document["targets"]
    assert (document["begin"], document["until"]) == ("2024-05-01T00:00:00+00:00", "2024-06-01T00:00:00+00:00")
    assert {one["url"] for one in (first, second)} == {"https://b.example/", HOSTILE}
    down = next(one for one in (first, second) if one["target_id"] == 1)
    assert down["all"] == {
        "due": 44640,
        "up": 44610,
        "down": 30,
        "unknown": 0,
        "absent": 0,
        "availability": 0.999327,
        "coverage": 1.0,
        "downtime_minutes": 30.0,
        "incidents": 1,
        "mttr_minutes": 30.0,
        "longest_minutes": 30.0,
        "budget_left_minutes": 14.64,
    }
    assert down["outside"] | {"budget_left_minutes": 44.58} == down["outside"]
    assert (down["outside"]["due"], down["outside"]["down"], down["outside"]["incidents"]) == (44580, 0, 0)
    assert document["summary"]["all"]["availability"] == 0.999663
    assert [document["summary"][name] for name in ("targets", "met", "missed", "not_known")] == [2, 2, 0, 0]
    rows = list(csv.DictReader(io.StringIO(filled("--month", "2024-05", "-o", "csv").stdout)))
    assert [row["url"] for row in rows] == [one["url"] for one in (first, second)]
    row = next(row for row in rows if row["target_id"] == "1")
    assert (row["downtime_minutes"], row["outside_downtime_minutes"], row["availability"]) == (
        "30.0",
        "0.0",
        "0.999327",
    )


def test_a_table_is_for_a_person(filled: Run) -> None:
    """It says what it is about, and what all together makes."""
    done = filled("--month", "2024-05", "--timezone", "Europe/Berlin", "--objective", "99.99")
    assert done.exit_code == 0, done.output
    assert re.search(r"https://b\.example/ +99\.9326 % +100 % +30 +1 +30 +30 +.25\.55\b", done.stdout)
    assert "all websites" in done.stdout
    assert "from 2024-05-01 00:00 until 2024-06-01 00:00 Europe/Berlin" in done.stderr
    assert "2 met 99.99 % outside of maintenance" in done.stderr


@pytest.mark.parametrize("output", FORMATS)
def test_the_same_rows_give_the_same_bytes(filled: Run, output: str, tmp_path: Path) -> None:
    """Whenever it is run; into a file as onto the standard output."""
    if output == "pdf":
        need("report as PDF", weasyprint_missing())
    one, other = (filled("--month", "2024-05", "-o", output) for _ in range(2))
    assert one.exit_code == 0, one.output
    assert one.stdout_bytes == other.stdout_bytes
    assert len(one.stdout_bytes) > 100
    if output != "table":
        path = tmp_path / "report"
        assert filled("--month", "2024-05", "-o", output, "--to", str(path)).stdout_bytes == b""
        assert path.read_bytes() == one.stdout_bytes
        assert [entry.name for entry in tmp_path.iterdir() if "report" in entry.name] == ["report"]


class Elements(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_names_are_text(filled: Run) -> None:
    """The page has no script, no picture and no link, whatever a website is called; it asks nobody for anything."""
    page = filled("--month", "2024-05", "-o", "html").stdout
    found = Elements(page)
    assert HOSTILE in found.text
    assert "a=]]>--></style><style>, team=<b onmouseover='x'>shop</b>" in found.text
    assert found.tags.isdisjoint({"script", "img", "a", "link", "iframe", "b", "svg", "base", "form"})
    assert found.attributes.isdisjoint({"src", "href", "onmouseover", "style", "background"})
    assert page.count("<style>") == 1
    assert "@media print" in page
    assert "The month is not over" not in page
    assert not re.search(r"url\(|@import", page)


def test_a_pdf_is_made_by_the_real_library(filled: Run) -> None:
    """Pages in the format of a printer, and the fonts of the machine."""
    need("report as PDF", weasyprint_missing())
    content = filled("--month", "2024-05", "-o", "pdf").stdout_bytes
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert len(content) > 5_000
    assert b"/URI" not in content


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ImportError("no"), "a report as PDF needs WeasyPrint: pip install 'dbadmin[pdf]'\n"),
        (
            OSError("cannot load library 'libpango-1.0-0'\nand more"),
            PANGO_MISSING,
        ),
    ],
)
def test_what_a_pdf_lacks_is_said_in_a_sentence(
    filled: Run, monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str
) -> None:
    """The extra, or the library that it loads."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "weasyprint":
            raise problem
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    done = filled("--month", "2024-05", "-o", "pdf")
    assert (done.exit_code, done.stderr, done.stdout) == (1, said, "")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--month", "2024-13"), 2, "'2024-13' is no month like 2026-10"),
        (("--month", "٢٠٢٤-05"), 2, "is no month like 2026-10"),
        (("--month", "2024-05", "--timezone", "Mars"), 2, "'Mars' is no time zone like Europe/Berlin"),
        (("--month", "2024-05", "--timezone", "../etc"), 2, "'../etc' is no time zone like Europe/Berlin"),
        (("--month", "2024-05", "--objective", "101"), 2, "--objective: '101' is no percentage like 99.9"),
        (("--month", "2024-05", "--objective", "nan"), 2, "--objective: 'nan' is no percentage like 99.9"),
        (("--month", "2024-05", "--label", "team"), 2, "--label"),
        (("--month", "2024-05", "--to", "x"), 2, "--to needs -o csv, html, json or pdf"),
        (("--month", "9000-01"), 1, "no report: 9000-01 is in the future\n"),
        (("--month", "2024-07"), 1, "no report: nothing of 2024-07 is rolled up yet"),
        (("--month", "2024-04"), 1, "no report: nothing was due in 2024-04\n"),
        (("--month", "2024-05", "--label", "team=x"), 1, "no report: nothing was due in 2024-05 with team=x\n"),
        (("--month", "2024-05", "--location", "no"), 1, "no report: nothing was due in 2024-05 with location no\n"),
        (
            ("--month", "2024-06", "--label", "team=x"),
            1,
            "no report: nothing was due in 2024-06 with team=x before 2024-06-09 23:00 UTC, and later hours are",
        ),
        (
            ("--month", "2024-06", "--location", "here"),
            1,
            "no report: there is no result of 2024-06 with location here\n",
        ),
        (("--month", "2024-05", "-o", "csv", "--to", "/no/such/x"), 1, "/no/such/x cannot be written: No such file"),
    ],
)
def test_what_is_wrong_is_said(filled: Run, words: tuple[str, ...], status: int, said: str) -> None:
    """In a sentence, and nothing is printed."""
    done = filled(*words)
    assert (done.exit_code, said in done.stderr, done.stdout) == (status, True, ""), done.output


def test_without_maintenance_there_is_no_report(run: Run) -> None:
    """Nothing is rolled up: the report would be of nothing."""
    done = run("--month", "2024-05")
    assert (done.exit_code, done.stderr) == (1, "no report: nothing was ever rolled up, run dbadmin maintain\n")


def test_postgresql_away_is_said(filled: Run) -> None:
    """In a sentence, like every other command."""
    done = filled("--month", "2024-05", "--set", "database.port=1")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be reached" in done.stderr


def test_windows_that_cannot_be_used_are_named_in_the_report(server: str, filled: Run) -> None:
    """And to whoever makes it; the figures are those without them."""
    before = json.loads(filled("--month", "2024-05", "-o", "json").stdout)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO monitoring.maintenance_window (begins_at, ends_at, zone, recurrence) "
            "VALUES ('2024-05-01', '2024-05-02', 'Europe/<b>Berln', 'FREQ=DAILY')"
        )
    why = "'Europe/<b>Berln' is no time zone like Europe/Berlin"
    one = filled("--month", "2024-05", "-o", "json")
    after = json.loads(one.stdout)
    assert before["faulty_windows"] == []
    assert after == before | {"faulty_windows": [{"window_id": 2, "problem": why}]}
    page = filled("--month", "2024-05", "-o", "html").stdout
    assert f"Maintenance window 2 is left out: {why}." in Elements(page).text
    said = f"maintenance window 2 is left out: {why}\n"
    assert [said in filled("--month", "2024-05", "-o", output).stderr for output in ("table", "csv")] == [True, True]


def test_a_month_that_is_not_over_says_until_when(server: str, filled: Run) -> None:
    """By what is rolled up, not by the clock."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("UPDATE monitoring.availability_progress SET rolled_up_until = '2024-05-08 05:45+00'")
    one = filled("--month", "2024-05", "-o", "json")
    assert json.loads(one.stdout)["until"] == "2024-05-08T05:00:00+00:00"
    assert "The month is not over" in filled("--month", "2024-05", "-o", "html").stdout
    assert "The month is not over" not in filled("--month", "2024-05", "-o", "html").stdout.replace(
        "The month is not over", "", 1
    )


def test_a_reader_may_make_a_report(server: str, filled: Run) -> None:
    """It reads what a reader may read, and no table with secrets."""
    from dbadmin.install.privileges import PRIVILEGES
    from monitoring_core.config import Role

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS report_reader")
        connection.execute("CREATE ROLE report_reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA monitoring TO report_reader")
        for relation in PRIVILEGES[Role.READER]:
            connection.execute(f"GRANT SELECT ON monitoring.{relation} TO report_reader")
        try:
            done = filled("--month", "2024-05", "--set", "database.user=report_reader", "-o", "json")
            assert done.exit_code == 0, done.output
            assert done.stdout == filled("--month", "2024-05", "-o", "json").stdout
        finally:
            connection.execute("DROP OWNED BY report_reader")
            connection.execute("DROP ROLE report_reader")
