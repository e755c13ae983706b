"""Targets one by one: added, switched, and checked before they are saved."""

from __future__ import annotations

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dbadmin.cli import main
from dbadmin.install.schema import create_schema
from dbadmin.install.setup import create_database
from dbadmin.targets.table import read_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitoring_core.config import Config

pytestmark = pytest.mark.integration_test


@pytest.fixture
def ready(config: Config, config_file: Path) -> Path:
    create_database(config.database)
    list(create_schema(config.database, dt.date(2026, 3, 1)))
    return config_file


def run(config_file: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["targets", *arguments, "--config", str(config_file)])
    return done.exit_code, done.output


def test_a_target_is_added_with_all_that_it_may_say(ready: Path, config: Config) -> None:
    """Once: the second time nothing is changed."""
    options = ["--regexp", "OK", "--interval", "30s", "--timeout", "500ms", "--method", "POST", "--body", "x"]
    options += ["--expected-status", "200,301", "--header", "X-A: b:c", "--label", "team=a=b", "--no-verify-tls"]
    assert run(ready, "add", "https://a/", *options, "--inactive") == (0, "target 1 added\n")
    assert run(ready, "add", "https://a/") == (1, "url: belongs to target 1 already\n")
    options = ["--regexp", "a", "--regexp", "b", "--forbidden-regexp", "c", "--forbidden-regexp", "d"]
    options += ["--degraded-above", "1500ms", "--header", "X-A: b", "--secret-header", "X-A", "--secret-header", "x-c"]
    options += ["--client-certificate", "shop.pem"]
    paths = ["--expected-json", "$.a", "ok", "--expected-json", "$.b", "[1, 2.5]"]
    status, said = run(ready, "add", "https://b/", *options, "--expected-header", "X: ^a:b$", *paths)
    assert (status, said) == (0, "target 3 added\n")  # the one that was refused took a number too
    record, several = read_all(config.database)
    assert (several.regexp, several.further_regexps) == ("a", ["b"])
    assert (several.forbidden_regexp, several.further_forbidden_regexps) == ("c", ["d"])
    assert several.expected_headers == {"X": "^a:b$"}
    assert (several.degraded_above_s, several.secret_headers) == (1.5, ["X-A", "x-c"])
    assert several.client_certificate == "shop.pem"
    assert several.expected_json == {"$.a": "ok", "$.b": [1, 2.5]}
    assert (record.regexp, record.check_interval_s, record.timeout_s, record.active) == ("OK", 30, 0.5, False)
    assert (record.headers, record.labels, record.verify_tls) == ({"X-A": "b:c"}, {"team": "a=b"}, False)


@pytest.mark.parametrize("name", ["csv", "CSV", "jsonl"])
def test_a_format_is_named_as_its_files_end(ready: Path, name: str) -> None:
    """In small letters, like everything else on the command line; capitals work too."""
    run(ready, "add", "https://a/")
    status, said = run(ready, "export", "--format", name)
    assert (status, "https://a/" in said) == (0, True)


def test_a_list_that_is_no_terminal_s_holds_every_url_whole(ready: Path) -> None:
    """What is piped into another program is not cut to the width of a terminal."""
    url = f"https://a.example/{'x' * 300}"
    run(ready, "add", url)
    done = CliRunner().invoke(main, ["targets", "list", "--config", str(ready)])
    assert url in done.output


def test_a_target_that_cannot_be_checked_is_not_added(ready: Path, config: Config) -> None:
    """All that is wrong is said; status 2."""
    status, said = run(ready, "add", "ftp://a/", "--regexp", "(")
    assert status == 2
    assert "regexp: is not a regular expression that RE2 takes: missing ): (" in said
    assert "url: must begin with http:// or https://, got 'ftp://a/'" in said
    assert list(read_all(config.database)) == []


def test_targets_are_switched_by_id_or_url_all_or_none(ready: Path, config: Config) -> None:
    """If one of them does not exist, nothing is changed."""
    run(ready, "add", "http://a/")
    run(ready, "add", "http://b/")
    assert run(ready, "deactivate", "1", "http://b/", "9") == (1, "there is no target 9: nothing changed\n")
    assert [record.active for record in read_all(config.database)] == [True, True]
    assert run(ready, "deactivate", "1", "http://b/") == (0, "2 targets deactivated\n")
    assert run(ready, "activate", "1") == (0, "1 target activated\n")
    assert [record.active for record in read_all(config.database)] == [True, False]


@pytest.fixture
def website() -> Iterator[str]:
    """Answers with the header X-Secret that it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = f"secret {self.headers.get('X-Secret')}".encode()
            self.send_response(404 if self.path == "/gone" else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_targets_are_checked_before_they_are_saved(ready: Path, config: Config, website: str, tmp_path: Path) -> None:
    """Those of a file, by the engine, with their headers; nothing is stored, status 1 when one is not up."""
    lines = [
        {"url": f"{website}/", "headers": {"X-Secret": "hunter2"}, "regexp": "secret hunter2"},
        {"url": f"{website}/gone"},
    ]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, said = run(ready, "test", str(tmp_path / "w.jsonl"), "--json")
    found = [json.loads(line) for line in said.splitlines()]
    assert status == 1
    assert [(result["status"], result.get("reason")) for result in found] == [("up", None), ("down", "status_mismatch")]
    assert list(read_all(config.database)) == []
    status, said = run(ready, "test", f"{website}/")
    assert status == 0
    assert f"{website}/  up" in said
    assert "1 checked, 0 not up" in said


def test_saved_targets_are_checked_by_id(ready: Path, website: str) -> None:
    """They are checked with the values in the table."""
    run(ready, "add", f"{website}/gone", "--expected-status", "404")
    assert run(ready, "test", "1")[0] == 0
    assert run(ready, "test", "7") == (1, "7: there is no such target\n")


def test_targets_are_checked_with_the_defaults_of_the_configuration(ready: Path, website: str) -> None:
    """As the producers check them; a response time above which one is degraded may be beyond the default timeout."""
    ready.write_text(ready.read_text() + "monitor: {expected_status: '404', timeout: 5s}\n")
    run(ready, "add", f"{website}/gone", "--degraded-above", "7s")
    assert run(ready, "test", "1")[0] == 0
    status, said = run(ready, "test", f"{website}/")
    assert (status, "status 200, expected 404" in said) == (1, True), said


def test_without_the_producer_it_says_what_to_install(
    ready: Path, website: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The producer is another package, which need not be installed."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(ready, "test", website) == (
        1,
        "producer-svc is not installed here, and makes the checks: pip install producer-svc\n",
    )
