"""`python infra/observability/generate [--check]`: writes what is generated here, or says what is out of date."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path

import monitor
import website
import websites_postgresql
import websites_prometheus
from grafana import document

FOLDER = Path(__file__).parent.parent
DASHBOARDS = {
    "monitor": monitor.dashboard,
    "website": website.dashboard,
    "websites-postgresql": websites_postgresql.dashboard,
    "websites-prometheus": websites_prometheus.dashboard,
}
# The rules as an object of the operator of Prometheus.
_RULES = """# Generated from rules/{name}.yaml: hatch run dashboards.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: monitoring-{name}
  labels: {{app.kubernetes.io/part-of: monitoring}}
spec:
  groups:
"""


def files() -> dict[str, str]:
    """The text of each generated file, by its path."""
    made = {
        f"dashboards/{name}.json": json.dumps(document(dashboard()), indent=2) + "\n"
        for name, dashboard in DASHBOARDS.items()
    }
    for rules in sorted((FOLDER / "rules").glob("*.yaml")):
        groups = rules.read_text().partition("groups:\n")[2]
        made[f"kubernetes/rules-{rules.stem}.yaml"] = _RULES.format(name=rules.stem) + textwrap.indent(groups, "  ")
    return made


def main() -> None:
    """Write the files, or with --check compare them and end with status 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Change nothing; status 1 when a file is out of date.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="The folder of the files.")
    arguments = parser.parse_args()
    stale = False
    for name, text in files().items():
        file = arguments.folder / name
        if not arguments.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale = True
            print(f"{file} is out of date: hatch run dashboards", file=sys.stderr)
    sys.exit(1 if stale else 0)


if __name__ == "__main__":
    main()
