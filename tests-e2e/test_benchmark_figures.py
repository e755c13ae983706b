"""What benchmarks make of counters: costs, ratios and distances, without a server."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from monitoring_core.errors import StopError
from monitoring_core.result import CheckResult, Status

BENCHMARKS = Path(__file__).with_name("benchmarks")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmarks, which are programs and no package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_the_website_counts_checks_by_nginx_s_page(benchmark: Any) -> None:
    page = "Active connections: 2 \nserver accepts handled requests\n 7 7 1234 \nReading: 0 Writing: 1 Waiting: 1 \n"
    network = benchmark("network")
    assert network.parse_counter(page) == 1234
    with pytest.raises(StopError, match="stub_status"):
        network.parse_counter("<html>404</html>")


@pytest.mark.parametrize(
    ("absent", "user", "said"),
    [
        ((), 0, None),
        ((), 1000, "as root"),
        (("nginx", "dnsmasq"), 0, "apt-get install nginx-light dnsmasq-base"),
        (("nginx",), 0, "nginx not found: apt-get install nginx-light"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    benchmark: Any, absent: tuple[str, ...], user: int, said: str | None
) -> None:
    found = benchmark("network").missing(lambda name: None if name in absent else f"/usr/bin/{name}", user)
    assert found is None if said is None else said in found


def test_the_cheaper_pattern_of_telegraf_counts(benchmark: Any) -> None:
    measure = benchmark("measure")
    costs = {"floor": 50.0, "producer-svc, native": 100.0, "Telegraf, bursts": 200.0, "Telegraf, spread": 400.0}
    assert measure.ratios(costs, "Telegraf")["producer-svc, native"] == 0.5
    assert measure.ratios(costs, "floor")["Telegraf, spread"] == 8.0
    assert measure.ratios({"floor": 50.0}, "Telegraf") == {"floor": None}


def test_a_table_shows_cost_load_and_ratios(benchmark: Any) -> None:
    measure = benchmark("measure")
    rows = measure.table(
        {"Telegraf, spread": measure.Measured(1_000, 990, 0.5, 10.0), "floor": measure.Measured(1_000, None, 0.1, 10.0)}
    )
    assert rows[0].split() == ["Telegraf,", "spread", "100", "500", "5.0", "99", "1.00", "5.00"]
    assert rows[1].split() == ["floor", "100", "100", "1.0", "0.20", "1.00"]


def test_a_round_in_the_middle_counts(benchmark: Any) -> None:
    measure = benchmark("measure")
    rounds = [measure.Measured(100, None, cpu_s, 1.0) for cpu_s in (0.3, 0.1, 0.2)]
    assert measure.middle(rounds).cpu_s == 0.2


def test_the_processor_time_of_a_process_grows_with_its_work(benchmark: Any) -> None:
    measure = benchmark("measure")
    before = measure.cpu_s(os.getpid())
    sum(range(100_000))
    assert measure.cpu_s(os.getpid()) > before


def test_measured_times_are_compared_with_the_request_that_came_during_the_check(benchmark: Any) -> None:
    """A check without a time or a request is told apart, and not counted as exact."""
    whole = benchmark("whole")
    stamps = whole.parse_stamps("/1 1000.000 1000.020\n/1 1001.000 1001.030\n")
    checks = [(1, 999.999, 0.021), (1, 1000.999, 0.032), (1, 1002.0, 0.02), (2, 1000.0, 0.02), (1, 999.999, None)]
    found = whole.errors_ms([result(*check) for check in checks], stamps)
    assert (found["checks"], found["without"]) == (2, 3)
    assert found["p99"] == pytest.approx(2.0, abs=0.01)


def result(target_id: int, began: float, first_byte_s: float | None) -> CheckResult:
    """A result of a check that began then."""
    moment = dt.datetime.fromtimestamp(began, dt.UTC)
    return CheckResult(
        target_id=target_id,
        scheduled_at=moment,
        started_at=moment,
        producer_id=1,
        location="bench",
        status=Status.UP,
        first_byte_s=first_byte_s,
    )


def test_peers_are_configured_for_every_url_once(benchmark: Any, tmp_path: Path) -> None:
    peers = benchmark("peers")
    urls = [f"http://w{n}.bench.test/" for n in range(50)]
    job = peers.Job(urls, 1, tmp_path / "ca", "127.0.0.1:9092", "topic", tmp_path)
    telegraf = tomllib.loads(peers.telegraf_conf(job, jitter=True))
    asked = [url for plugin in telegraf["inputs"]["http_response"] for url in plugin["urls"]]
    assert sorted(asked) == sorted(urls)
    assert telegraf["agent"]["collection_jitter"] == "1s"
    peers.gatus("gatus", job)
    assert [each["url"] for each in json.loads((tmp_path / "gatus.yaml").read_text())["endpoints"]] == urls
    peers.cloudprober("cloudprober", job)
    assert "port: 80 " in (tmp_path / "cloudprober.cfg").read_text()


def test_a_question_for_an_address_is_as_the_rfc_has_it(benchmark: Any) -> None:
    floor = benchmark("floor")
    asked = floor.question("w1.bench.test")
    assert asked[12:] == b"\x02w1\x05bench\x04test\x00\x00\x01\x00\x01"
    assert floor.address(b"...\x0a\x00\x00\x01") == "10.0.0.1"
