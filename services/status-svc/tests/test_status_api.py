"""The API on real rows: what it answers is what its description says."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from consumer_svc.adapters.postgres import PostgresWriter
from dbadmin.tokens import add_token, read_tokens, revoke_token
from monitoring_core.errors import StopError
from monitoring_core.result import Reason, Status
from monitoring_core.testing.builders import make_result
from monitoring_core.tokens import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from monitoring_core.config import Config

    Connection = psycopg.Connection[Any]
    Serve = Callable[..., Any]

pytestmark = pytest.mark.integration_test

PAGES = ("/targets", "/targets/1/results", "/status", "/incidents", "/alerts", "/maintenance", "/reports/availability")


@pytest.fixture
def rows(config: Config, connection: Connection) -> None:
    """Three targets; two checks of each, of which the second is down; two maintenance windows."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for number in range(3):
        connection.execute(
            "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_labels) VALUES (%s, %s)",
            (f"https://user:s3cret@{number}.example/", json.dumps({"team": "shop" if number else "it's {}"})),
        )
    results = []
    for target_id in (1, 2, 3):
        for ago_s, fields in ((60, {}), (5, {"status": Status.DOWN, "reason": Reason.TIMEOUT})):
            at = now - dt.timedelta(seconds=ago_s)
            one = make_result(target_id=target_id, scheduled_at=at, started_at=at, finished_at=at, **fields)
            results.append(one)
    PostgresWriter(config.database).write(results)
    for target_id in (1, 2, 3):
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, location, began_at, reason, checks) "
            "VALUES (%s, 'default', %s, 'timeout', 1)",
            (target_id, now),
        )
    for _ in range(2):
        connection.execute(
            "INSERT INTO monitoring.maintenance_window (match, begins_at, ends_at, zone) "
            "VALUES ('{\"team\": \"shop\"}', now(), now() + interval '1 hour', 'UTC')"
        )


def validate(document: dict[str, Any], path: str, content: object) -> None:
    pattern = "/targets/{target_id}/results" if path.endswith("/results") else path
    given = document["paths"][pattern]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(
        content, document | given, jsonschema.Draft202012Validator, format_checker=jsonschema.FormatChecker()
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_as_described_and_pages_join_without_a_gap(path: str, serve: Serve) -> None:
    served = serve()
    document = served.get("/api/v1/openapi.json").json()
    whole = served.get("/api/v1" + path)
    assert whole.status_code == 200, whole.text
    validate(document, path, whole.json())
    assert "s3cret" not in whole.text
    joined: list[dict[str, Any]] = []
    cursor = None
    while cursor is not None or not joined:
        page = served.get("/api/v1" + path, params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        validate(document, path, page)
        joined += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [stable(item) for item in joined] == [stable(item) for item in whole.json()["items"]]
    assert bool(joined) == (path != "/alerts")


def stable(item: dict[str, Any]) -> dict[str, Any]:
    """What does not change from one moment to the next."""
    return {name: value for name, value in item.items() if name not in ("age_s", "duration_s")}


@pytest.mark.usefixtures("rows")
def test_labels_choose_and_one_target_has_its_own_path(serve: Serve) -> None:
    served = serve()
    found = served.get("/api/v1/targets", params={"label": "team=shop"}).json()["items"]
    assert [item["target_id"] for item in found] == [2, 3]
    one = served.get("/api/v1/targets/1").json()
    assert (one["url"], one["labels"]) == ("https://0.example/", {"team": "it's {}"})
    gone = served.get("/api/v1/targets/99")
    assert (gone.status_code, gone.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.usefixtures("rows")
def test_who_has_it_already_gets_nothing(serve: Serve) -> None:
    served = serve()
    tag = served.get("/api/v1/targets").headers["ETag"]
    again = served.get("/api/v1/targets", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def encoded(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": ["1", "2"]},
        {"nothing": "1"},
        {"cursor": "?"},
        {"cursor": encoded("x")},
        {"cursor": encoded(2**70)},
        {"cursor": encoded(-1)},
        {"cursor": encoded([0, [1, 1]])},
        {"label": "team"},
        {"label": "team=\0"},
        {"target_id": "9223372036854775808"},
    ],
)
def test_wrong_parameters_are_refused(query: dict[str, Any], serve: Serve) -> None:
    answer = serve().get("/api/v1/alerts", params=query)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_a_cursor_with_a_nul_is_refused(serve: Serve) -> None:
    cursor = encoded(["2026-01-01T00:00:00Z", 1, "\0"])
    assert serve().get("/api/v1/incidents", params={"cursor": cursor}).status_code == 400


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("path", "query"), [("/status", {}), ("/targets", {"label": "team=shop"}), ("/targets", {"active": "true"})]
)
def test_a_cursor_of_another_query_is_refused(path: str, query: dict[str, str], serve: Serve) -> None:
    """It would begin somewhere, and whoever reads on would not know what is missing."""
    served = serve()
    cursor = served.get("/api/v1/targets", params={"limit": 1}).json()["next"]
    assert served.get("/api/v1/targets", params={"limit": 2, "cursor": cursor}).status_code == 200
    answer = served.get(f"/api/v1{path}", params=query | {"cursor": cursor})
    assert (answer.status_code, answer.json()["detail"][:29]) == (400, "cursor: is of another query; ")


@pytest.mark.parametrize("path", ["/incidents", "/targets/1/results"])
@pytest.mark.usefixtures("rows")
def test_a_time_that_ends_before_it_begins_is_refused(path: str, serve: Serve) -> None:
    times = {"from": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}
    answer = serve().get(f"/api/v1{path}", params=times)
    assert (answer.status_code, answer.json()["detail"]) == (400, "from: must not be after until.")


@pytest.mark.parametrize(
    ("begin", "until", "found"),
    [("00:30", "01:00", []), ("00:30", "01:01", [1, 2]), ("02:00", "03:00", [1, 2]), ("05:00", "06:00", [2])],
)
def test_incidents_of_a_time_are_those_that_lasted_into_it_too(
    begin: str, until: str, found: list[int], connection: Connection, serve: Serve
) -> None:
    """Who asks at three what is down must not hear that nothing is, because it began at one."""
    for target_id, ended in ((1, "2026-11-01T05:00:00Z"), (2, None)):
        connection.execute(
            "INSERT INTO monitoring.availability_incident (target_id, location, began_at, ended_at, reason, checks) "
            "VALUES (%s, 'default', '2026-11-01T01:00:00Z', %s, 'timeout', 1)",
            (target_id, ended),
        )
    times = {"from": f"2026-11-01T{begin}:00Z", "until": f"2026-11-01T{until}:00Z"}
    answer = serve().get("/api/v1/incidents", params=times)
    assert sorted(item["target_id"] for item in answer.json()["items"]) == found


def transition(connection: Connection, alert: str, state: str) -> None:
    connection.execute(
        "INSERT INTO monitoring.alert_transition (transition_id, alert_id, target_id, policy, kind, severity, state, "
        "before, at, since, locations, evidence, url) "
        "VALUES (%s, %s, 1, 'p', 'down', 'critical', %s, 'ok', now(), now(), '{}', '[]', 'https://a.example/')",
        (f"{alert} {state}", alert, state),
    )


def test_an_alert_that_changes_between_two_pages_is_on_one_of_them(connection: Connection, serve: Serve) -> None:
    """It comes first then, where whoever reads on does not look; what began since is for the next time."""
    for alert in ("first", "second", "third"):
        transition(connection, alert, "firing")
    served = serve()
    page = served.get("/api/v1/alerts", params={"limit": 1, "open": "true"}).json()
    assert [item["alert_id"] for item in page["items"]] == ["third"]
    transition(connection, "first", "resolved")
    transition(connection, "fourth", "firing")
    page = served.get("/api/v1/alerts", params={"open": "true", "cursor": page["next"]}).json()
    assert [item["alert_id"] for item in page["items"]] == ["second", "first"]
    now = served.get("/api/v1/alerts", params={"open": "true"}).json()
    assert [item["alert_id"] for item in now["items"]] == ["fourth", "third", "second"]


def test_pages_of_results_go_back_as_far_as_the_first(config: Config, connection: Connection, serve: Serve) -> None:
    """Those of the last day, unless it is said since when: it goes on while somebody reads."""
    connection.execute("INSERT INTO monitoring.availability_monitor_config (amc_url) VALUES ('https://a.example/')")
    until = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
    for ago in (dt.timedelta(hours=2), dt.timedelta(days=1) - dt.timedelta(seconds=1)):
        at = until - ago
        PostgresWriter(config.database).write([make_result(scheduled_at=at, started_at=at, finished_at=at)])
    served = serve()
    page = served.get("/api/v1/targets/1/results", params={"limit": 1}).json()
    time.sleep(2)
    items = served.get("/api/v1/targets/1/results", params={"cursor": page["next"]}).json()["items"]
    assert len(items) == 1


def test_only_tokens_that_are_valid_and_may_read_are_let_in(
    config: Config, connection: Connection, serve: Serve
) -> None:
    reader = add_token(config.database, "reader", [Scope.READ], None)
    writer = add_token(config.database, "writer", [Scope.WRITE], None)
    late = add_token(config.database, "late", [Scope.READ], 0)
    served = serve(anonymous_read=False, cache=dt.timedelta(0))

    def status(token: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return int(served.get("/api/v1/targets", headers=headers).status_code)

    assert [status(token) for token in (None, reader, writer, late, "mon_other")] == [401, 200, 403, 401, 401]
    assert served.get("/metrics/websites").status_code == 401
    with pytest.raises(StopError, match="already"):
        add_token(config.database, "reader", [Scope.READ], None)
    revoke_token(config.database, "reader")
    assert status(reader) == 401
    assert [token["state"] for token in read_tokens(config.database)] == ["revoked", "valid", "expired"]
    (kept,) = connection.execute("SELECT string_agg(t::text, '') FROM monitoring.status_token t").fetchone() or ("",)
    assert kept
    assert reader not in kept


def test_a_browser_shows_the_token_as_a_password(config: Config, serve: Serve) -> None:
    """The inner pages are for whoever may read, by whatever name; the API takes no such password."""
    token = add_token(config.database, "night", [Scope.READ], None)
    served = serve(anonymous_read=False)

    def status(password: str, path: str = "/inner/") -> int:
        name = base64.b64encode(f"anybody:{password}".encode()).decode()
        return int(served.get(path, headers={"Authorization": f"Basic {name}"}).status_code)

    assert [served.get("/inner/").status_code, status("wrong"), status(token)] == [401, 401, 200]
    assert served.get("/inner/", headers={"Authorization": "Basic ?"}).status_code == 401
    assert [status(token, path) for path in ("/api/v1/targets", "/metrics/websites")] == [401, 401]
    assert served.get("/").status_code == 200


def test_too_many_requests_are_told_to_wait(serve: Serve) -> None:
    served = serve(requests_per_minute=2)
    answers = [served.get("/api/v1/maintenance") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
