"""`python infra/observability/generate [--check]`: writes the dashboards, or says which are out of date."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import monitor
import website
import websites_postgresql
import websites_prometheus
from grafana import document

FOLDER = Path(__file__).parent.parent / "dashboards"
DASHBOARDS = {
    "monitor": monitor.dashboard,
    "website": website.dashboard,
    "websites-postgresql": websites_postgresql.dashboard,
    "websites-prometheus": websites_prometheus.dashboard,
}


def main() -> None:
    """Write the dashboards, or with --check compare them and end with status 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Change nothing; status 1 when a file is out of date.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="The folder of the dashboards.")
    arguments = parser.parse_args()
    stale = False
    for name, dashboard in DASHBOARDS.items():
        file, text = arguments.folder / f"{name}.json", json.dumps(document(dashboard()), indent=2) + "\n"
        if not arguments.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale = True
            print(f"{file} is out of date: hatch run dashboards", file=sys.stderr)
    sys.exit(1 if stale else 0)


if __name__ == "__main__":
    main()
