"""What /metrics of each service says: names as Prometheus wants them, the process, the version, and no noise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.exposition import generate_latest

import alert_svc
import alert_svc.events.metrics
import alert_svc.metrics
import alert_svc.notify.metrics
import consumer_svc
import consumer_svc.metrics
import producer_svc
import producer_svc.metrics
import status_svc
import status_svc.metrics
from monitoring_runtime.registry import service_registry
from monitoring_testkit.needs import need

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("producer", "consumer", "alert", "status")
VERSIONS = {
    "producer": producer_svc.__version__,
    "consumer": consumer_svc.__version__,
    "alert": alert_svc.__version__,
    "status": status_svc.__version__,
}


def registry(service: str) -> CollectorRegistry:
    """The registry of a service that has just started."""
    if service == "producer":
        return producer_svc.metrics.Metrics().registry
    if service == "consumer":
        return consumer_svc.metrics.Metrics().registry
    if service == "status":
        return status_svc.metrics.Metrics().registry
    found = alert_svc.metrics.Metrics().registry
    alert_svc.notify.metrics.Metrics(found).queue(["ops"], {}, [])
    alert_svc.events.metrics.Metrics(found)
    return found


def families(service: str) -> dict[str, str]:
    """The type of each family of metrics, by name as it is exposed."""
    return dict(re.findall(r"^# TYPE (\S+) (\w+)$", generate_latest(registry(service)).decode(), re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_tells_its_process_and_its_version(service: str) -> None:
    """Memory, processor time, descriptors and start as every exporter has them; the version is that of the package."""
    text = generate_latest(registry(service)).decode()
    for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds", "max_fds", "start_time_seconds"):
        assert re.search(rf"^process_{name} [\d.e+]*[1-9]", text, re.MULTILINE), name
    pattern = rf'^{service}_build_info{{python="3\.\d+\.\d+\S*",version="{re.escape(VERSIONS[service])}"}} 1\.0$'
    assert re.search(pattern, text, re.MULTILINE), text


@pytest.mark.parametrize("service", SERVICES)
def test_no_series_tells_when_another_was_created(service: str) -> None:
    """`_created` doubles the series of every counter, and nothing reads it."""
    assert "_created" not in generate_latest(registry(service)).decode()


@pytest.mark.parametrize("service", SERVICES)
def test_names_begin_with_the_service_and_tell_type_and_unit(service: str) -> None:
    """A counter ends with _total, nothing else does, and a time is in seconds."""
    found = families(service)
    assert len(found) > 10
    for name, kind in found.items():
        assert name.startswith((f"{service}_", "process_")), name
        assert name.endswith("_total") is (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes)\b", name), name


@pytest.mark.integration_test
@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_finds_nothing_to_complain_of(service: str) -> None:
    """`promtool check metrics` knows the conventions."""
    need("promtool", None if shutil.which("promtool") else "prometheus is not installed")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry(service)), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_the_readme_names_every_metric_and_no_other(service: str) -> None:
    """Who writes a rule reads the table."""
    rows = re.findall(r"^\| (`.+?) \|", (ROOT / f"services/{service}-svc/README.md").read_text(), re.MULTILINE)
    told = {re.sub(r"{.*}", "", name) for row in rows for name in re.findall(r"`([^`]+)`", row)}
    told = {name for name in told if name.startswith(f"{service}_")}
    assert told == {name for name in families(service) if name.startswith(f"{service}_")}


def test_known_events_begin_at_zero() -> None:
    """`rate` sees the first event of a counter only if the counter was there before."""
    consumer, alert, producer = (generate_latest(registry(name)).decode() for name in ("consumer", "alert", "producer"))
    assert 'consumer_dead_letters_total{reason="not_json"} 0.0' in consumer
    assert 'consumer_rows_total{kind="stored"} 0.0' in consumer
    assert 'alert_heartbeats_total{outcome="failed"} 0.0' in alert
    assert 'alert_notifications_given_up_total{channel="ops"} 0.0' in alert
    assert 'producer_checks_total{reason="missed_window",status="unknown"} 0.0' in producer


def test_two_registries_do_not_meet() -> None:
    """Each has its own process and version: a process may hold several, as tests do."""
    texts = [generate_latest(service_registry(name, "1.2.3")).decode() for name in ("one", "two")]
    assert "one_build_info" in texts[0]
    assert "one_build_info" not in texts[1]
