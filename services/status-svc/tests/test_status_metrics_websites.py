"""/metrics/websites on real rows, read as Prometheus' own parser reads it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer_svc.adapters.postgres import PostgresWriter
from monitoring_core.result import Reason, Status
from monitoring_core.testing.builders import make_result
from monitoring_testkit.database import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from monitoring_core.config import Config
    from monitoring_core.result import CheckResult

pytestmark = pytest.mark.integration_test


def now() -> dt.datetime:
    """This second: what was checked minutes ago is stale."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def add(
    connection: psycopg.Connection[Any], url: str, labels: dict[str, str] | None = None, *, active: bool = True
) -> int:
    row = connection.execute(
        "INSERT INTO monitoring.availability_monitor_config (amc_url, amc_labels, amc_active) "
        "VALUES (%s, %s, %s) RETURNING amc_id",
        (url, json.dumps(labels) if labels else None, active),
    ).fetchone()
    assert row
    connection.execute(
        "UPDATE monitoring.availability_monitor_config SET amc_active_since = now() - interval '2 hours'"
    )
    return int(row[0])


def check(target_id: int, ago_s: int = 5, **fields: Any) -> CheckResult:
    at = now() - dt.timedelta(seconds=ago_s)
    return make_result(target_id=target_id, scheduled_at=at, started_at=at, finished_at=at, **fields)


def write(config: Config, *results: CheckResult) -> None:
    PostgresWriter(config.database).write(list(results))
    with connect(config.database) as owner:
        owner.execute(
            "INSERT INTO monitoring.availability_location (location, first_at) VALUES ('default', %s) "
            "ON CONFLICT DO NOTHING",
            (now() - dt.timedelta(days=1),),
        )


def samples(text: str) -> Samples:
    """Values by metric and labels; fails where a series comes twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in series, key
            series[key] = sample.value
    return found


def of(found: Samples, metric: str, **labels: str) -> float:
    return found[metric][tuple(sorted(labels.items()))]


def test_what_is_up_has_the_metrics_of_blackbox_exporter(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    expires = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    target = add(connection, "https://me:secret@a.example/", {"team": "shop", "floor": "2"})
    write(
        config,
        check(
            target,
            http_status=204,
            response_time_s=0.5,
            dns_s=0.01,
            connect_s=0.02,
            tls_s=0.03,
            first_byte_s=0.04,
            transfer_s=0.05,
            http_version="2",
            tls_version="1.3",
            redirects=1,
            body_bytes=7,
            remote_address="192.0.2.1",
            certificate_expires_at=expires + dt.timedelta(days=9),
            chain_expires_at=expires,
        ),
    )
    answer = serve(metric_labels=("team", "missing")).get("/metrics/websites")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "secret" not in answer.text
    found = samples(answer.text)
    place = {"instance": "https://a.example/", "location": "default", "team": "shop"}
    assert of(found, "probe_success", **place) == 1
    assert of(found, "probe_duration_seconds", **place) == 0.5
    assert of(found, "probe_dns_lookup_time_seconds", **place) == 0.01
    phases = [
        of(found, "probe_http_duration_seconds", **place, phase=phase)
        for phase in ("resolve", "connect", "tls", "processing", "transfer")
    ]
    assert phases == [0.01, 0.02, 0.03, 0.04, 0.05]
    assert of(found, "probe_http_status_code", **place) == 204
    assert of(found, "probe_http_ssl", **place) == 1
    assert of(found, "probe_http_version", **place) == 2
    assert of(found, "probe_http_redirects", **place) == 1
    assert of(found, "probe_http_uncompressed_body_length", **place) == 7
    assert of(found, "probe_ip_protocol", **place) == 4
    assert of(found, "probe_failed_due_to_regex", **place) == 0
    assert of(found, "probe_tls_version_info", **place, version="TLS 1.3") == 1
    assert of(found, "probe_ssl_earliest_cert_expiry", **place) == expires.timestamp()
    assert of(found, "status_omitted_places") == 0
    assert "status_website_unknown" not in found


def test_what_nobody_knows_has_no_series(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    """A stale status, a check that was not run, a target that was never checked, one that is not checked any more."""
    stale, missed, _, inactive = (
        add(connection, f"http://{name}.example/", active=name != "inactive")
        for name in ("stale", "missed", "new", "inactive")
    )
    write(
        config,
        check(stale, 3600, http_status=200, response_time_s=0.25, remote_address="192.0.2.1"),
        check(missed, status=Status.UNKNOWN, reason=Reason.MISSED_WINDOW, response_time_s=None, http_status=None),
        check(inactive),
    )
    found = samples(serve().get("/metrics/websites").text)
    assert "probe_success" not in found
    assert "probe_failed_due_to_regex" not in found
    assert "probe_duration_seconds" not in found
    assert "probe_ip_protocol" not in found
    assert {dict(key)["instance"]: dict(key)["reason"] for key in found["status_website_unknown"]} == {
        "http://stale.example/": "stale",
        "http://missed.example/": "missed_window",
        "http://new.example/": "not_checked_yet",
    }
    assert set(found["status_website_unknown"].values()) == {1}


def test_a_certificate_is_told_after_its_end_and_while_checks_fail(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    target = add(connection, "https://a.example/")
    expired = now() - dt.timedelta(days=1)
    connection.execute(
        "INSERT INTO monitoring.availability_state (target_id, location, scheduled_at, status, certificate_expires_at) "
        "VALUES (%s, 'default', %s, 'up', %s)",
        (target, now() - dt.timedelta(minutes=10), expired),
    )
    write(config, check(target, status=Status.DOWN, reason=Reason.CONNECTION_ERROR, http_status=None))
    found = samples(serve().get("/metrics/websites").text)
    place = {"instance": "https://a.example/", "location": "default"}
    assert of(found, "probe_success", **place) == 0
    assert of(found, "probe_ssl_earliest_cert_expiry", **place) == expired.timestamp()
    assert "probe_http_ssl" not in found
    assert "probe_http_status_code" not in found


def test_what_a_body_says_is_told(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    write(config, check(add(connection, "http://a/"), status=Status.DOWN, reason=Reason.BODY_MISMATCH, http_status=200))
    found = samples(serve().get("/metrics/websites").text)
    assert of(found, "probe_failed_due_to_regex", instance="http://a/", location="default") == 1
    assert of(found, "probe_http_ssl", instance="http://a/", location="default") == 0


def test_hostile_names_stay_values_and_series_stay_apart(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    """Two targets that differ in a password only, and labels with everything that ends a line or a text."""
    hostile = 'a"} 1\n# TYPE x counter\nx{y="\\'
    ids = [add(connection, f"http://user{number}:p@a.example/", {"team": hostile}) for number in range(2)]
    write(config, *(check(target) for target in ids))
    found = samples(serve(metric_labels=("team",)).get("/metrics/websites").text)
    names = [dict(key) for key in found["probe_success"]]
    assert [name["instance"] for name in names] == ["http://a.example/", f"http://a.example/#target-{ids[1]}"]
    assert {name["team"] for name in names} == {hostile}
    assert "x" not in found


def test_a_url_that_looks_like_the_name_of_another_series_stays_apart(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    """Where a series is named twice, Prometheus keeps one of the two and says nothing to whoever reads it."""
    urls = ("http://user:p@a.example/", "http://me:p@a.example/", "http://a.example/#target-2")
    write(config, *(check(add(connection, url)) for url in urls))
    found = samples(serve().get("/metrics/websites").text)
    assert len(found["probe_success"]) == 3
    assert ("instance", "http://a.example/#target-2#target-2") in {key[0] for key in found["probe_success"]}


@pytest.mark.parametrize(("address", "version"), [("192.0.2.1", 4), ("2001:db8::1", 6)])
def test_the_version_of_ip_is_that_of_the_address(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any], address: str, version: int
) -> None:
    write(config, check(add(connection, "http://a/"), remote_address=address))
    found = samples(serve().get("/metrics/websites").text)
    assert of(found, "probe_ip_protocol", instance="http://a/", location="default") == version


def test_who_takes_gzip_gets_it(config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]) -> None:
    """Prometheus does; 30,000 places are 60 MB otherwise, at each scrape."""
    write(config, check(add(connection, "http://a/")))
    served = serve()
    plain, packed = (
        served.get("/metrics/websites", headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip")
    )
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert packed.text == plain.text
    assert {answer.headers["Vary"] for answer in (plain, packed)} == {"Accept-Encoding"}


def test_series_are_bounded_and_the_rest_is_counted(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    write(config, *(check(add(connection, f"http://a{number}/")) for number in range(5)))
    served = serve(max_metric_places=2)
    found = samples(served.get("/metrics/websites").text)
    assert len(found["probe_success"]) == 2
    assert of(found, "status_omitted_places") == 3


def test_many_readers_cost_one_statement(
    config: Config, connection: psycopg.Connection[Any], serve: Callable[..., Any]
) -> None:
    write(config, check(add(connection, "http://a/")))
    served = serve()
    before = served.metrics.registry.get_sample_value("status_statements_total")
    assert len({served.get("/metrics/websites").text for _ in range(5)}) == 1
    assert served.metrics.registry.get_sample_value("status_statements_total") == (before or 0) + 1
