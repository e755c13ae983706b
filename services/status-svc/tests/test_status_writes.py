"""What the API writes on real PostgreSQL: who may, what is refused, and what is written down of it."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from click.testing import CliRunner
from writing import Writing, writes

from dbadmin.cli import main
from dbadmin.targets.history import read_history
from dbadmin.targets.table import find
from dbadmin.tokens import add_token
from monitoring_core.config import Role
from monitoring_core.errors import InvalidTargetError, StopError
from monitoring_core.targets import TargetRecord
from monitoring_core.tokens import Scope
from monitoring_testkit import alert_rows
from status_svc import wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg
    from conftest import Served

    from monitoring_core.config import Config

    Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.integration_test

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
SHOP = {"url": "https://user:s3cret@shop.example/", "labels": {"team": "shop"}, "headers": {"X-Key": "s3cret"}}


@pytest.fixture
def incident(connection: Connection) -> dt.datetime:
    """An open incident of target 7; returns when it began."""
    began = NOW - dt.timedelta(hours=1)
    connection.execute(
        "INSERT INTO monitoring.availability_incident (target_id, location, began_at, reason, checks) "
        "VALUES (7, 'berlin', %s, 'timeout', 3)",
        (began,),
    )
    return began


def test_nothing_can_be_written_unless_the_configuration_says_so(
    config: Config, serve: Callable[..., Served], connection: Connection
) -> None:
    token = add_token(config.database, "robot", [Scope.READ, Scope.WRITE], None)
    off = Writing(serve(), token, "")
    assert off("POST", "/targets", SHOP).status_code == 405
    assert off("POST", "/targets", SHOP).headers["Allow"] == "GET, HEAD"
    assert off("DELETE", "/notes/1").status_code == 404
    assert "post" not in json.dumps(off.served.get("/api/v1/openapi.json").json()["paths"])
    assert writes(connection) == []


def test_only_a_token_with_the_scope_write_writes(config: Config, writing: Writing, connection: Connection) -> None:
    """Whoever may read without a token may not write without one, and a browser's password is no token here."""
    reader = add_token(config.database, "reader", [Scope.READ], None)
    anonymous = writing.served.send("POST", "/api/v1/targets", json=SHOP)
    assert anonymous.status_code == 401
    assert attrs.evolve(writing, token=reader)("POST", "/targets", SHOP).status_code == 403
    assert writing("POST", "/targets", SHOP, Authorization="Basic eDp5").status_code == 401
    assert writing("GET", "/targets").status_code == 403
    assert writes(connection) == []


def test_an_account_that_only_reads_is_never_used_to_write(config: Config) -> None:
    """Writes that are on without an account for them stop the service, which says what is missing."""
    account = config.database_as(Role.STATUS)
    assert account
    wrong = attrs.evolve(
        config,
        database=account,
        status=attrs.evolve(config.status, writes=True, port=0),
        roles=attrs.evolve(config.roles, status_writer_user=None),
    )
    with pytest.raises(StopError, match=r"status\.writes: needs roles\.status_writer_user"):
        wiring.run(wrong)


def test_a_target_is_added_changed_and_deleted_and_its_history_says_by_whom(
    config: Config, writing: Writing, connection: Connection
) -> None:
    added = writing("POST", "/targets", SHOP)
    assert (added.status_code, added.headers["Location"]) == (201, "/api/v1/targets/1")
    shown = writing.served.get("/api/v1/targets/1")
    assert (shown.json(), shown.headers["ETag"]) == (added.json(), added.headers["ETag"])
    change = {"labels": {"team": None, "owner": "anna"}, "timeout_s": 5}
    changed = writing("PATCH", "/targets/1", change, If_Match=shown.headers["ETag"])
    assert (changed.status_code, changed.json()["labels"]) == (200, {"owner": "anna"})
    assert changed.headers["ETag"] == writing.tag() != shown.headers["ETag"]
    (record,) = find(config.database, ["1"])
    assert record == TargetRecord.parse(SHOP | {"labels": {"owner": "anna"}, "timeout_s": 5, "id": 1})
    assert writing("DELETE", "/targets/1", If_Match=writing.tag()).status_code == 204
    assert find(config.database, ["1"]) == []
    who = f"{writing.account} for token shop robot"
    assert shown.json()["added_by"] == who
    assert [(one.change, one.changed_by) for one in read_history(config.database, "1")] == [
        ("changed", who),
        ("deleted", who),
    ]
    assert writes(connection) == [
        ("shop robot", writing.account, "addTarget", "/targets/1", 201),
        ("shop robot", writing.account, "changeTarget", "/targets/1", 200),
        ("shop robot", writing.account, "deleteTarget", "/targets/1", 204),
    ]


def test_nobody_can_pass_for_another_account_in_the_history(config: Config, connection: Connection) -> None:
    """The setting says for whom, and the account stays in front of it."""
    connection.execute("SET monitoring.actor = 'postgres'")
    connection.execute("INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('http://x.example/')")
    (by, account) = connection.execute(
        "SELECT amc_added_by, session_user FROM monitoring.availability_monitor_config"
    ).fetchone() or ("", "")
    assert by == f"{account} for postgres"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_target_that_has_changed_since_is_left_alone(method: str, writing: Writing, connection: Connection) -> None:
    """Also when what changed is nothing that an answer shows."""
    writing("POST", "/targets", SHOP)
    tag = writing.tag()
    connection.execute('UPDATE monitoring.availability_monitor_config SET amc_headers = \'{"X-Key": "new"}\'')
    change = {"active": False}
    assert writing(method, "/targets/1", change).status_code == 428
    for stale in (tag, f"W/{writing.tag()}", '"other"', "nonsense"):
        assert writing(method, "/targets/1", change, If_Match=stale).status_code == 412
    weakened = writing(method, "/targets/1", change, If_Match=f'"other", W/{writing.tag()}').json()["detail"]
    assert weakened == "If-Match: a proxy that compresses has weakened this tag; send it without W/."
    assert writing.served.get("/api/v1/targets/1").json()["active"] is True
    assert writing(method, "/targets/1", change, If_Match=f'"other", {writing.tag()}').status_code in (200, 204)
    assert writing(method, "/targets/99", change, If_Match="*").status_code == 404


def test_secrets_are_stored_and_shown_by_no_answer_and_no_record(writing: Writing, connection: Connection) -> None:
    """A change of something else keeps them."""
    answers = [writing("POST", "/targets", SHOP | {"method": "POST", "body": "s3cret"}, Idempotency_Key="1")]
    answers.append(writing("PATCH", "/targets/1", {"active": False}, If_Match="*"))
    answers.append(writing("POST", "/targets", SHOP))
    assert [one.status_code for one in answers] == [201, 200, 409]
    assert not [one.text for one in answers if "s3cret" in one.text]
    for table in ("status_write", "availability_monitor_config_history", "website_target"):
        (text,) = connection.execute(f"SELECT string_agg(t::text, '') FROM monitoring.{table} t").fetchone() or ("",)
        assert text
        assert "s3cret" not in text
        assert b"s3cret".hex() not in text
    kept = connection.execute("SELECT amc_url, amc_headers, amc_body FROM monitoring.availability_monitor_config")
    assert kept.fetchall() == [(SHOP["url"], SHOP["headers"], "s3cret")]


BAD: dict[str, dict[str, Any]] = {
    "no url": {},
    "no website": {"url": "ftp://x.example/"},
    "unknown field": {"url": "https://x.example/", "colour": "red"},
    "wrong type": {"url": "https://x.example/", "check_interval_s": "often"},
    "two faults": {"url": "https://x.example/", "method": "PUT", "regexp": "("},
    "too slow": {"url": "https://x.example/", "check_interval_s": 5, "timeout_s": 6},
    "header of ours": {"url": "https://x.example/", "headers": {"Host": "y"}},
    "label that is no text": {"url": "https://x.example/", "labels": {"a": 1}},
    "too large a number": {"url": "https://x.example/", "check_interval_s": 2**80},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD.keys())
def test_a_target_is_judged_as_dbadmin_judges_it(fields: dict[str, Any], writing: Writing) -> None:
    with pytest.raises(InvalidTargetError) as expected:
        TargetRecord.parse(fields)
    answer = writing("POST", "/targets", fields)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["errors"] == list(expected.value.problems)


def test_a_change_is_judged_with_what_the_target_has_and_a_broken_one_can_be_switched_off(
    writing: Writing, connection: Connection
) -> None:
    writing("POST", "/targets", {"url": "https://x.example/", "check_interval_s": 10})
    slow = writing("PATCH", "/targets/1", {"timeout_s": 20}, If_Match="*")
    assert (slow.status_code, slow.json()["errors"]) == (
        422,
        ["timeout_s: must be shorter than check_interval_s (10), got 20"],
    )
    assert writing("PATCH", "/targets/1", {"id": 2}, If_Match="*").status_code == 422
    connection.execute("UPDATE monitoring.availability_monitor_config SET amc_regexp = '('")
    assert writing("PATCH", "/targets/1", {"labels": {"a": "b"}}, If_Match="*").status_code == 422
    assert writing("PATCH", "/targets/1", {"active": False}, If_Match="*").json()["active"] is False


@pytest.mark.parametrize(("old", "new"), [(1, True), (True, 1), (0, False)])
def test_a_value_of_json_that_python_takes_for_the_same_is_changed(
    old: object, new: object, writing: Writing, connection: Connection
) -> None:
    """True is not 1 in JSON, and a website that answers the one is not as it should be by the other."""
    writing("POST", "/targets", {"url": "https://x.example/", "expected_json": {"$.ok": old}})
    changed = writing("PATCH", "/targets/1", {"expected_json": {"$.ok": new}}, If_Match="*")
    assert (changed.status_code, repr(changed.json()["expected_json"]["$.ok"])) == (200, repr(new))


def test_a_url_belongs_to_one_target(writing: Writing) -> None:
    for number in (1, 2):
        writing("POST", "/targets", {"url": f"https://{number}.example/"})
    taken = writing("POST", "/targets", {"url": "https://1.example/"})
    assert (taken.status_code, taken.json()["detail"]) == (409, "url: belongs to target 1 already.")
    assert writing("PATCH", "/targets/2", {"url": "https://1.example/"}, If_Match="*").status_code == 409


REFUSED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "not JSON": (b"{", {}, 400),
    "not UTF-8": (b'{"url": "\xff"}', {}, 400),
    "no object": (b"[]", {}, 422),
    "another media type": (b"{}", {"Content_Type": "text/plain"}, 415),
    "compressed": (b"{}", {"Content_Encoding": "gzip"}, 415),
    "a name twice": (b'{"url": "https://x.example/", "url": "https://y.example/"}', {}, 422),
    "a name of a label twice": (b'{"url": "https://x.example/", "labels": {"a": "b", "a": "c"}}', {}, 422),
    "NUL": (b'{"url": "https://x.example/", "labels": {"a\\u0000": "b"}}', {}, 422),
    "half a character": (b'{"url": "https://x.example/", "labels": {"a": "\\ud800"}}', {}, 400),
    "deep": (b'{"expected_json":' * 100_000 + b"1" + b"}" * 100_000, {}, 413),
    "deep and small": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {}, 400),
    "deeper than a target may be": (b'{"a":' * 200 + b"1" + b"}" * 200, {}, 422),
    "large": (b" " * 262_145, {}, 413),
    "key that is none": (b'{"url": "https://x.example/"}', {"Idempotency_Key": "a b"}, 400),
}


@pytest.mark.parametrize(("content", "headers", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_content_that_cannot_be_used_is_refused(
    content: bytes, headers: dict[str, str], status: int, writing: Writing, connection: Connection
) -> None:
    answer = writing("POST", "/targets", content, **headers)
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text
    assert writes(connection) == []


def test_what_is_wrong_with_a_content_is_told(writing: Writing) -> None:
    """Who writes a file by hand, or has it made, learns where to look."""
    comma = writing("POST", "/targets", b'{"url": "https://x.example/",}').json()["detail"]
    assert comma == "The content is not JSON: trailing comma in object (byte 29)."
    twice = writing("POST", "/targets", b'{"url": "https://x.example/", "regexp": "a", "regexp": "b"}').json()["detail"]
    assert twice == "'regexp' is given twice in one object."


def test_a_content_may_begin_with_a_byte_order_mark(writing: Writing) -> None:
    """Editors and shells of Windows write one."""
    assert writing("POST", "/targets", b'\xef\xbb\xbf{"url": "https://x.example/"}').status_code == 201


def test_the_same_request_with_its_key_is_done_once(config: Config, writing: Writing, connection: Connection) -> None:
    """Also when it comes many times at once; of another token it is another request."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: writing("POST", "/targets", SHOP, Idempotency_Key="k-1"), range(16)))
    assert {one.status_code for one in answers} == {201}
    assert len({(one.text, one.headers["ETag"], one.headers["Location"]) for one in answers}) == 1
    assert len(writes(connection)) == 1
    other = writing("POST", "/targets", {"url": "https://other.example/"}, Idempotency_Key="k-1")
    assert (other.status_code, other.json()["detail"]) == (422, "Idempotency-Key: was used for another request.")
    second = attrs.evolve(writing, token=add_token(config.database, "second", [Scope.WRITE], None))
    assert second("POST", "/targets", SHOP, Idempotency_Key="k-1").status_code == 409


def test_a_request_that_failed_may_come_again_with_its_key(writing: Writing, connection: Connection) -> None:
    connection.execute("INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES (%s)", (SHOP["url"],))
    assert writing("POST", "/targets", SHOP, Idempotency_Key="k").status_code == 409
    connection.execute("DELETE FROM monitoring.availability_monitor_config")
    assert writing("POST", "/targets", SHOP, Idempotency_Key="k").status_code == 201


def test_a_write_that_an_outage_broke_off_may_come_again_with_its_key(writing: Writing, connection: Connection) -> None:
    for number in (1, 2, 3, 4):  # both connections that write are open then
        writing("POST", "/targets", {"url": f"https://{number}.example/"})
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (writing.account,))
    statuses = [writing("POST", "/targets", SHOP, Idempotency_Key="k").status_code for _ in range(4)]
    assert (statuses[0], statuses[-1], set(statuses)) == (503, 201, {201, 503})
    assert [row[3] for row in writes(connection)].count("/targets/5") == 1
    assert len(writes(connection)) == 5


def test_a_window_is_added_and_ended_once(writing: Writing) -> None:
    until = NOW + dt.timedelta(hours=2)
    added = writing("POST", "/maintenance", {"match": {"team": "shop"}, "ends_at": until.isoformat(), "note": "a\nb"})
    assert added.status_code == 201
    window = added.json()
    assert (window["note"], window["added_by"]) == ("a b", f"{writing.account} for token shop robot")
    assert dt.datetime.fromisoformat(window["ends_at"]) == until
    ended = [writing("POST", f"/maintenance/{window['window_id']}/end").json()["ended_at"] for _ in range(2)]
    assert ended[0] == ended[1] is not None
    assert writing("POST", "/maintenance/99/end").status_code == 404


BAD_WINDOWS: tuple[dict[str, Any], ...] = (
    {"ends_at": "2026-12-01T00:00:00Z"},
    {"match": {}, "ends_at": "2026-12-01T00:00:00"},
    {"match": {}, "ends_at": (NOW - dt.timedelta(hours=1)).isoformat()},
    {"match": {}, "ends_at": "9999-12-31T23:59:59-23:00"},
    {"match": {}, "ends_at": (NOW + dt.timedelta(hours=1)).isoformat(), "zone": "../../etc/passwd"},
    {"match": {}, "ends_at": (NOW + dt.timedelta(hours=1)).isoformat(), "recurrence": "FREQ=HOURLY;BYMONTHDAY=31"},
    {"match": {str(n): "x" for n in range(21)}, "ends_at": (NOW + dt.timedelta(hours=1)).isoformat()},
    {"match": {}, "ends_at": (NOW + dt.timedelta(hours=1)).isoformat(), "window_id": 1},
)


@pytest.mark.parametrize("content", BAD_WINDOWS)
def test_a_window_that_cannot_be_used_is_refused(content: dict[str, Any], writing: Writing) -> None:
    assert writing("POST", "/maintenance", content).status_code == 422


def test_an_alert_is_acknowledged_and_the_first_one_stays_named(
    config: Config, writing: Writing, connection: Connection
) -> None:
    alert_rows.store(connection, alert_rows.transition(7, "firing", "suspected"))
    (alert,) = writing.served.get("/api/v1/alerts").json()["items"]
    path = f"/alerts/{alert['alert_id']}/acknowledgement"
    first = writing("PUT", path, {"note": "I look"})
    assert (first.status_code, first.json()["acknowledged_by"]) == (200, "shop robot")
    second = attrs.evolve(writing, token=add_token(config.database, "second", [Scope.WRITE], None))
    assert second("PUT", path, {}).json() == first.json()
    (alert,) = writing.served.get("/api/v1/alerts").json()["items"]
    assert (alert["acknowledged_by"], alert["note"]) == ("shop robot", "I look")
    assert writing("PUT", "/alerts/000000/acknowledgement", {}).status_code == 404


def test_a_note_is_on_the_open_incident_until_it_is_withdrawn(writing: Writing, incident: dt.datetime) -> None:
    note = {"target_id": 7, "kind": "identified", "text": "It is the <b>disk</b>."}
    added = writing("POST", "/notes", note)
    assert added.status_code == 201, added.text
    assert dt.datetime.fromisoformat(added.json()["began_at"]) == incident
    assert added.json()["public"] is False
    assert writing.served.get("/api/v1/notes", params={"target_id": 7}).json()["items"] == [added.json()]
    assert writing.served.get("/api/v1/notes", params={"target_id": 8}).json()["items"] == []
    assert [writing("DELETE", "/notes/1").status_code for _ in range(2)] == [204, 204]
    assert writing.served.get("/api/v1/notes").json()["items"] == []
    assert writing("DELETE", "/notes/2").status_code == 404


def test_a_public_note_is_on_the_public_pages_in_the_feed_and_in_the_export(
    config: Config, writing: Writing, connection: Connection, tmp_path: Path
) -> None:
    """One that is not public is on the inner pages alone."""
    writing("POST", "/targets", SHOP | {"labels": {"status_page": "public", "name": "Shop"}})
    connection.execute(
        "INSERT INTO monitoring.availability_incident (target_id, location, began_at, reason, checks) "
        "VALUES (1, 'berlin', %s, 'timeout', 3)",
        (NOW,),
    )
    for text, public in (("We look into it", True), ("db-7 is out", False)):
        note = {"target_id": 1, "kind": "investigating", "text": text, "public": public}
        assert writing("POST", "/notes", note).status_code == 201
    for path in ("/incidents.html", "/components/1.html", "/feed.atom"):
        public_page, inner_page = (writing.served.get(f"{begin}{path}").text for begin in ("", "/inner"))
        assert "We look into it" in public_page, path
        assert "We look into it" in inner_page, path
        assert "db-7" not in public_page, path
        assert "db-7 is out" in inner_page, path
    account = config.database_as(Role.STATUS)
    assert account
    wiring.export_once(attrs.evolve(config, database=account), tmp_path / "www")
    for name in ("incidents.html", "components/1.html", "feed.atom"):
        exported = (tmp_path / "www" / name).read_text()
        assert "We look into it" in exported
        assert "db-7" not in exported


def test_a_note_needs_an_incident(writing: Writing, connection: Connection, incident: dt.datetime) -> None:
    """Of one that is over it says when that was."""
    note: dict[str, Any] = {"target_id": 7, "kind": "resolved", "text": "A new disk."}
    assert writing("POST", "/notes", note | {"target_id": 8}).status_code == 409
    before = (incident - dt.timedelta(seconds=1)).isoformat()
    assert writing("POST", "/notes", note | {"began_at": before}).status_code == 409
    connection.execute("UPDATE monitoring.availability_incident SET ended_at = now()")
    assert writing("POST", "/notes", note).status_code == 409
    assert writing("POST", "/notes", note | {"began_at": incident.isoformat()}).status_code == 201
    for wrong in ({"kind": "gone"}, {"text": ""}, {"text": " "}, {"text": "x" * 4_001}, {"target_id": 0}):
        assert writing("POST", "/notes", note | wrong).status_code == 422


def test_writes_count_among_the_requests_of_their_token(config: Config, serve: Callable[..., Served]) -> None:
    token = add_token(config.database, "robot", [Scope.WRITE], None)
    busy = Writing(serve(writes=True, requests_per_minute=3), token, "")
    codes = [busy("POST", "/targets", {"url": f"https://{n}.example/"}).status_code for n in range(4)]
    assert codes == [201, 201, 201, 429]


def test_dbadmin_lists_what_was_written(writing: Writing, incident: dt.datetime, tmp_path: Path) -> None:
    """Each kind of write, with the target that it was about."""
    assert writing("POST", "/targets", SHOP).status_code == 201
    assert writing("POST", "/notes", {"target_id": 7, "kind": "identified", "text": "A disk."}).status_code == 201
    assert (
        writing("POST", "/maintenance", {"match": {}, "ends_at": (NOW + dt.timedelta(hours=1)).isoformat()}).status_code
        == 201
    )
    done = CliRunner().invoke(
        main, ["tokens", "writes", "--since", "1h", "-o", "json", "--config", str(tmp_path / "config.yaml")]
    )
    assert done.exit_code == 0, done.output
    assert [(row["token"], row["operation"], row["target_id"], row["account"]) for row in json.loads(done.stdout)] == [
        ("shop robot", "addWindow", None, writing.account),
        ("shop robot", "addNote", 7, writing.account),
        ("shop robot", "addTarget", 1, writing.account),
    ]
