"""Every query of every dashboard and rule returns data: of real services, a real PostgreSQL and a real Prometheus."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import attrs
import psycopg
import pytest
import yaml

from local_stack.stack import DATABASE, Stack, running_stack
from local_stack.websites import sample_websites
from monitoring_testkit.needs import need
from monitoring_testkit.servers.prometheus import Prometheus, missing, prometheus
from monitoring_testkit.servers.receiver import Receiver, receiver
from monitoring_testkit.waiting import until

from .dashboards import FILES, POSTGRESQL, Query, promql, queries, sql, variables
from .test_rules import FILES as RULES
from .test_rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.end_to_end

READER = "grafana"
# Prometheus reads the services once a second; a window holds several of its samples.
WINDOW_S = 8
HOURLY = dt.timedelta(hours=2)
DAY = dt.timedelta(days=1)
POLICIES = """policies: [{{name: website-down, kind: down, failures: {{at_least: 2}}}}]
channels: [{{name: ops, type: webhook, url: '{url}', secret: {{file: key}}}}]
"""


@attrs.frozen
class World:
    """Services that check websites, read by a Prometheus; the database as a dashboard sees it.

    Attributes:
        urls: a website over HTTPS that is up, and one that is down.
        began_s, ended_s: the time in which all was there, seconds since the epoch.
    """

    prometheus: Prometheus
    reader: psycopg.Connection[Any]
    urls: tuple[str, ...]
    began_s: float
    ended_s: float


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    need("Prometheus", missing())
    with (
        tempfile.TemporaryDirectory() as folder,
        sample_websites() as websites,
        receiver() as hook,
        running_stack(Path(folder), interval_s=1, timeout_s=0.8) as stack,
    ):
        wanted = {"fine", "untrusted, not verified", "server error", "refused"}
        chosen = [website for website in websites if website.name in wanted]
        stack.import_targets([{"url": website.url, **website.fields} for website in chosen])
        _give_reader(stack)
        page = stack.start_status()
        _read(page)
        # A rate needs what was before: no message is taken until Prometheus has read alert-svc.
        hook.status = 503
        jobs = _start(stack, hook) | {"websites": urljoin(page, "/metrics/websites")}
        with prometheus(jobs, RULES) as server:
            began = time.time()
            until(lambda: bool(hook.requests), what=lambda: stack.services["alert-svc 1"].child.last_lines())
            read = "alert_notification_age_seconds_count == 0"
            until(lambda: bool(server.query(read, time.time())), what=read)
            hook.status = 200
            _work(stack, server, page)
            with psycopg.connect(
                host=stack.postgres.host, port=stack.postgres.port, user=READER, dbname=DATABASE, autocommit=True
            ) as reader:
                urls = {website.name: website.url for website in chosen}
                up_and_down = (urls["untrusted, not verified"], urls["server error"])
                yield World(server, reader, up_and_down, began, time.time())


def _give_reader(stack: Stack) -> None:
    """Make the account that a dashboard should have, which reads the views and no more."""
    config = yaml.safe_load(stack.config_file.read_text())
    stack.config_file.write_text(yaml.safe_dump(config | {"roles": {"reader_user": READER}}))
    stack.dbadmin("create-roles")


def _start(stack: Stack, hook: Receiver) -> dict[str, str]:
    """Start one service of each other kind; returns where the metrics of all are, by the name that their job has."""
    policies = stack.directory / "alerts.yaml"
    policies.write_text(POLICIES.format(url=hook.url))
    (stack.directory / "key").write_text("whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    services = {
        "producer": stack.start("producer-svc 1", "--id", "auto"),
        "consumer": stack.start("consumer-svc 1"),
        "alert": stack.start("alert-svc 1", "--policies", str(policies)),
        "status": stack.services["status-svc"],
    }
    return {name: f"http://127.0.0.1:{service.port}/metrics" for name, service in services.items()}


def _read(page: str) -> None:
    """Ask status-svc for a page; a route has series once it was asked for."""
    with urllib.request.urlopen(page, timeout=60) as answer:
        answer.read()


def _work(stack: Stack, server: Prometheus, page: str) -> None:
    """Wait until Prometheus has seen the first message sent and rates of everything, and history is made."""
    sent = "count(alert_notification_age_seconds_count > 0)"
    until(lambda: bool(server.query(sent, time.time())), what=sent)
    _read(page)
    time.sleep(WINDOW_S / 2)
    stack.dbadmin("maintain")
    stack.check_running()


def numbers(series: list[dict[str, Any]]) -> list[float]:
    """The values that are numbers."""
    points = [point for one in series for point in one.get("values", [one.get("value")])]
    return [float(value) for _, value in points if not math.isnan(float(value))]


def rows(world: World, text: str) -> list[tuple[Any, ...]]:
    """What a query returns for the website that is up, or else for the one that is down."""
    now = dt.datetime.now(dt.UTC)
    known = world.reader.execute("SELECT DISTINCT location FROM monitoring.website_status").fetchall()
    locations = [location for (location,) in known]
    found: list[tuple[Any, ...]] = []
    for url in world.urls:
        chosen = {"website": [url], "location": locations}
        found = found or world.reader.execute(sql(text, now - HOURLY, now + DAY, chosen)).fetchall()
    return found


QUERIES = [query for file in FILES for query in queries(file)]


@pytest.mark.parametrize(
    "query", [query for query in QUERIES if query.source == "prometheus"], ids=lambda query: query.where
)
def test_a_query_of_prometheus_returns_data(world: World, query: Query) -> None:
    """Numbers, at least at one moment of the time in which the services worked."""
    expression = promql(query.text, WINDOW_S)
    if query.instant:
        found = world.prometheus.query(expression, world.ended_s)
    else:
        found = world.prometheus.query_range(expression, world.began_s, world.ended_s, 1)
    assert numbers(found), expression


@pytest.mark.parametrize(
    "query", [query for query in QUERIES if query.source == POSTGRESQL], ids=lambda query: query.where
)
def test_a_query_of_postgresql_returns_data(world: World, query: Query) -> None:
    """As the role reader: rows with values; over a time, with columns as Grafana wants them."""
    found = rows(world, query.text)
    assert found, query.text
    assert any(value is not None for row in found for value in row)
    if query.format == "time_series":
        assert all(isinstance(row[0], dt.datetime) for row in found)
        assert any(isinstance(value, float | int) or hasattr(value, "as_tuple") for row in found for value in row[1:])
    elif len(found[0]) == 1:
        assert found[0][0] is not None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_variables_have_values_to_choose(world: World, file: Path) -> None:
    """From the database, or values of a label of a metric."""
    for name, variable in variables(file).items():
        if variable["type"] != "query":
            continue
        text = variable["query"]
        if variable["datasource"]["type"] == POSTGRESQL:
            assert rows(world, text), name
            continue
        metric, label = text.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        assert world.prometheus.get(f"label/{label}/values", **{"match[]": promql(metric, WINDOW_S)}), name


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_rules_are_evaluated_and_record_values(world: World, file: Path) -> None:
    """A real Prometheus takes them, finds no fault while it evaluates them, and has values of what they record."""
    groups = [group for group in world.prometheus.get("rules")["groups"] if Path(group["file"]).name == file.name]
    assert groups
    for group in groups:
        for rule in group["rules"]:
            assert (rule["health"], rule.get("lastError")) == ("ok", None), rule
    for rule in rules(file):
        if "record" in rule:
            found = world.prometheus.query_range(rule["record"], world.began_s, world.ended_s, 1)
            assert numbers(found), rule


def test_nothing_is_wrong_with_a_monitor_that_works(world: World) -> None:
    """No alert of the monitor's fires while all its parts work and websites are down."""
    found = world.prometheus.get("alerts")["alerts"]
    assert [alert["labels"] for alert in found if alert["state"] == "firing"] == []
