"""The dashboards keep the rules of linters for mixins: a person sees what it is, in which unit, of which process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .dashboards import FILES, POSTGRESQL, ROOT, dashboard, panels, queries, variables
from .test_rules import PROBE, USED
from .test_service_metrics import SERVICES, families

PANELS = [(file, panel) for file in FILES for panel in panels(file)]
IDS = [f"{file.stem}-{panel['title']}" for file, panel in PANELS]
QUERIES = [query for file in FILES for query in queries(file)]


def generated(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "infra/observability/generate", "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_files_are_what_the_generator_makes() -> None:
    """`hatch run dashboards` has been run after the last change."""
    done = generated()
    assert done.returncode == 0, done.stderr


def test_a_file_that_was_edited_is_told(tmp_path: Path) -> None:
    """The check can fail, and says how to mend the file."""
    (tmp_path / "dashboards").mkdir()
    for file in FILES:
        (tmp_path / "dashboards" / file.name).write_text(file.read_text().replace("Lag", "Delay"))
    done = generated("--folder", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"{tmp_path}/dashboards/monitor.json is out of date: hatch run dashboards"


def test_there_is_a_dashboard_of_each_subject() -> None:
    """No file is there that nothing makes."""
    assert [file.stem for file in FILES] == ["monitor", "website", "websites-postgresql", "websites-prometheus"]
    assert len(QUERIES) > 80


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_says_what_it_is_and_is_not_edited_by_hand(file: Path) -> None:
    """A title, a description, links to the documents and to the others, a uid that stays; read-only, in UTC."""
    found = dashboard(file)
    assert found["title"]
    assert found["description"].endswith(".")
    assert re.fullmatch(r"wam-[a-z-]+", found["uid"])
    assert (found["editable"], found["timezone"]) == (False, "utc")
    urls = [link["url"] for link in found["links"] if link["type"] == "link"]
    assert urls
    for url in urls:
        assert (ROOT / "docs" / url.removeprefix("${docs}/")).exists(), url
    ids = [panel["id"] for panel in found["panels"]]
    assert len(ids) == len(set(ids))
    assert "id" not in found


@pytest.mark.parametrize(("file", "panel"), PANELS, ids=IDS)
def test_a_panel_has_title_description_unit_and_source(file: Path, panel: dict[str, Any]) -> None:
    """And the source is a variable: an installation names its own."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        variable = variables(file)[source["uid"].strip("${}")]
        assert (variable["type"], variable["query"]) == ("datasource", source["type"])


@pytest.mark.parametrize(("file", "panel"), PANELS, ids=IDS)
def test_a_runbook_s_heading_that_a_panel_names_is_there(file: Path, panel: dict[str, Any]) -> None:
    """`Runbook: A service does not start.`, or a section and its heading."""
    headings = set(re.findall(r"^##+ (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))
    for named in re.findall(r"[Rr]unbook: (.+?)\.", panel["description"]):
        parts = [named] if named in headings else named.split(", ")
        assert set(parts) <= headings, named


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_two_panels_lie_on_each_other(file: Path) -> None:
    """Within the 24 columns that Grafana has."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(file)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


PROMQL = [query for query in QUERIES if query.source == "prometheus"]


@pytest.mark.parametrize("query", PROMQL, ids=lambda query: query.where)
def test_every_metric_is_asked_of_what_was_chosen(query: Any) -> None:
    """Each selector has the variables of job or location, and of instance."""
    selectors = re.findall(r"(\w+)?{([^{}]*)}", query.text)
    assert selectors
    for name, matchers in selectors:
        first = "location" if name.startswith("probe_") else "job"
        assert f'{first}=~"${first}"' in matchers, query.text
        assert 'instance=~"$instance"' in matchers, query.text


def test_counters_are_in_rates_and_metrics_are_there() -> None:
    """A counter alone shows how long a process runs. Windows follow the width of the screen."""
    kinds: dict[str, str] = {"up": "gauge"}
    for service in SERVICES:
        for name, kind in families(service).items():
            parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            kinds |= {f"{name}{part}": "counter" if part or kind == "counter" else kind for part in parts}
    for query in PROMQL:
        for name in set(re.findall(USED, query.text)) - {"producer_id"}:
            if name.startswith("probe_"):
                continue
            assert name in kinds, query
            if kinds[name] == "counter":
                pattern = rf"(rate|increase)\({name}{{[^}}]*}}\[\$__rate_interval\]\)"
                assert len(re.findall(pattern, query.text)) == query.text.count(name), query
    assert not [query for query in PROMQL if re.search(r"\[\d", query.text)]


def test_every_metric_of_a_service_is_on_the_dashboard() -> None:
    """Whoever adds a metric says where a person sees it."""
    text = " ".join(query.text for query in PROMQL)
    for service in SERVICES:
        names = {name for name in families(service) if name.startswith(f"{service}_")}
        absent = {name for name in names if name not in text}
        assert absent <= {"alert_snapshot_seconds"}, absent


def test_metrics_of_websites_are_those_that_rules_use_too() -> None:
    """Both speak of the same names."""
    used = {name for query in PROMQL for name in re.findall(r"\bprobe_\w+", query.text)}
    assert used > PROBE


def test_queries_in_sql_are_bounded() -> None:
    """Every list has a limit or is grouped, and history is asked of the chosen time alone."""
    for query in QUERIES:
        if query.source != POSTGRESQL:
            continue
        text = query.text
        assert re.search(r"\bLIMIT \d+$|GROUP BY|count\(|sum\(|avg\(|min\(|max\(|website_status|ORDER BY 1$", text), (
            query
        )
        if re.search(r"website_(check|availability|reason|coverage)|alert_(attempt|transition)", text):
            assert re.search(r"\$__timeFilter|interval '\d+ days'", text), query
