"""The rules of Prometheus: right by promtool, each alert shown to fire and not to fire, with a way to what mends it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring_testkit.needs import need

from .test_service_metrics import SERVICES, families

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "infra/observability/rules"
FILES = sorted(RULES.glob("*.yaml"))
# Metrics of websites that rules may use, as blackbox_exporter calls them.
PROBE = {"probe_success", "probe_duration_seconds", "probe_ssl_earliest_cert_expiry"}
# And what status-svc adds to them.
ADDED = {"status_website_unknown", "status_omitted_places"}

USED = r"\b(?:[a-z_]+:)?(?:producer|consumer|alert|status|probe|process)_[a-z0-9_:]+|\bup\b"


def rules(file: Path) -> list[dict[str, Any]]:
    """The rules of a file, those that record and those that alert."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


ALERTS = [(file.stem, rule) for file in FILES for rule in rules(file) if "alert" in rule]
NAMES = [rule["alert"] for _, rule in ALERTS]


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings; a heading that comes again is numbered."""
    found: dict[str, int] = {}
    anchors = set()
    for title in re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE):
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        number = found.get(anchor, 0)
        found[anchor] = number + 1
        anchors.add(f"{anchor}-{number}" if number else anchor)
    return anchors


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    need("promtool", None if shutil.which("promtool") else "prometheus is not installed")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.integration_test
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_promtool_takes_the_rules(file: Path) -> None:
    """Syntax, functions, and templates of annotations."""
    done = promtool("check", "rules", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration_test
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_alert_fires_when_it_should_and_not_else(file: Path) -> None:
    """The unit tests beside the rules."""
    done = promtool("test", "rules", RULES / "tests" / file.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration_test
def test_a_unit_test_of_a_rule_can_fail(tmp_path: Path) -> None:
    """A threshold that is changed is noticed."""
    (tmp_path / "tests").mkdir()
    text = (RULES / "websites.yaml").read_text()
    (tmp_path / "websites.yaml").write_text(text.replace("avg < 0.5", "avg < 0.1"))
    shutil.copy(RULES / "tests/websites.yaml", tmp_path / "tests")
    done = promtool("test", "rules", tmp_path / "tests/websites.yaml")
    assert done.returncode
    assert "WebsiteDown fires" in done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_alert_has_a_test_of_both_kinds(file: Path) -> None:
    """In some it fires and in others it does not, each with series of its own."""
    tests = yaml.safe_load((RULES / "tests" / file.name).read_text())["tests"]
    kinds: dict[str, list[bool]] = {}
    for test in tests:
        for case in test["alert_rule_test"]:
            kinds.setdefault(case["alertname"], []).append(bool(case["exp_alerts"]))
            assert case["exp_alerts"] or test["input_series"], test["name"]
    assert {name: sorted(set(found)) for name, found in kinds.items()} == {
        rule["alert"]: [False, True] for rule in rules(file) if "alert" in rule
    }


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=NAMES)
def test_an_alert_says_what_is_wrong_and_where_it_is_mended(file: str, rule: dict[str, Any]) -> None:
    """A severity, one line, a sentence or more, and a heading of the runbook that there is."""
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in ("warning", "critical")
    texts = rule["annotations"]
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert texts["summary"]
    assert not texts["summary"].endswith(".")
    assert texts["description"].endswith(".")
    document, _, anchor = texts["runbook_url"].partition("#")
    assert document == "docs/runbook.md"
    assert anchor in anchors(ROOT / document), anchor


def test_names_of_alerts_are_used_once() -> None:
    """Routes and silences go by name."""
    assert len(NAMES) == len(set(NAMES)) > 25


def test_rules_use_metrics_that_there_are() -> None:
    """Of the services, of websites, or recorded by another rule; a counter only in rate or increase."""
    exposed = {"up": "gauge"}
    for service in SERVICES:
        for name, kind in families(service).items():
            exposed |= {f"{name}_bucket": "counter"} if kind == "histogram" else {name: kind}
    for file in FILES:
        recorded = {rule["record"] for rule in rules(file) if "record" in rule}
        for rule in rules(file):
            names = set(re.findall(USED, rule["expr"]))
            assert names, rule
            assert names <= {*exposed, *PROBE, *ADDED, *recorded}, rule
            for name in names:
                if exposed.get(name) == "counter":
                    assert re.search(rf"(rate|increase)\({name}\b", rule["expr"]), rule
                    assert rule["expr"].count(name) == len(re.findall(rf"(?:rate|increase)\({name}\b", rule["expr"]))


def test_recorded_names_say_level_metric_and_operation() -> None:
    """As Prometheus recommends it: level:metric:operations."""
    for file in FILES:
        for rule in rules(file):
            if "record" in rule:
                assert re.fullmatch(r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", rule["record"])
