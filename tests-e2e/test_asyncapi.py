"""docs/asyncapi.json: read by AsyncAPI's own parser, and held to the messages that there are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from consumer_svc.adapters.dead_letters import KafkaDeadLetters
from consumer_svc.ports import Poison
from monitoring_core.config import KafkaConfig
from monitoring_testkit.consumer.messages import message
from monitoring_testkit.needs import cannot_run, need

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "asyncapi.json"
GOLDEN = ROOT / "libs" / "monitoring-core" / "tests" / "golden"
PARSER = "@asyncapi/parser@3.6.0"
PROGRAM = """
const { Parser } = require('@asyncapi/parser');
const text = require('fs').readFileSync(0, 'utf8');
new Parser().parse(text).then(({ document, diagnostics }) => {
  const channels = document ? document.channels().all().map((one) => one.address()) : null;
  console.log(JSON.stringify({ channels, faults: diagnostics.filter((one) => one.severity < 2) }));
});
"""


def document() -> dict[str, Any]:
    found = json.loads(FILE.read_text())
    assert isinstance(found, dict)
    return found


def parser() -> Path:
    """The folder of AsyncAPI's parser, fetched by npm the first time."""
    need(
        "parser of AsyncAPI",
        next((f"{name} is not installed" for name in ("node", "npm") if not shutil.which(name)), None),
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "website-availability-monitor" / "asyncapi-parser-3.6.0"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", PARSER]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            cannot_run(f"npm cannot fetch {PARSER}: {done.stderr[-500:]}")
        (folder / "complete").touch()
    return folder


def parsed(text: str) -> dict[str, Any]:
    """What the parser makes of a document."""
    done = subprocess.run(
        ["node", "-e", PROGRAM], input=text, cwd=parser(), capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.integration_test
def test_the_parser_of_asyncapi_finds_no_fault() -> None:
    """It knows every topic; and it does find a fault where there is one."""
    topics = ["website_availability", "website_availability.dlq", "website_alert"]
    assert parsed(FILE.read_text()) == {"channels": topics, "faults": []}
    broken = document()
    broken["operations"]["publishAlerts"]["channel"]["$ref"] = "#/channels/none"
    assert parsed(json.dumps(broken))["faults"]


def test_messages_are_as_the_document_says() -> None:
    """The schema of results takes every golden message."""
    schema = {"$ref": "#/components/schemas/CheckResult", "components": document()["components"]}
    for file in GOLDEN.glob("*.json"):
        Draft7Validator(schema).validate(json.loads(file.read_text()))


def test_every_header_of_a_dead_letter_is_in_the_document() -> None:
    """Those that it always has are required."""
    config = KafkaConfig(bootstrap_servers="k:1")
    made = KafkaDeadLetters(config)._headers(Poison(message(0), "not_json", "x"))
    headers = document()["components"]["messages"]["DeadLetter"]["headers"]
    assert headers["required"] == list(made)
    assert headers["properties"].keys() - made.keys() == {"cut_from_bytes"}
