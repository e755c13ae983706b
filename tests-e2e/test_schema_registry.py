"""`dbadmin register-schemas` and a real schema registry."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator

from dbadmin.cli import main
from dbadmin.install.registry import register_schemas
from local_stack.processes import free_port
from monitoring_alerting import event
from monitoring_core import codec
from monitoring_core.config import KafkaConfig, Secret
from monitoring_core.errors import OutageError, StopError
from monitoring_testkit.needs import need
from monitoring_testkit.servers.apicurio import apicurio, missing
from monitoring_testkit.servers.receiver import receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration_test


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    need("Apicurio", missing())
    with apicurio() as url:
        yield url


def asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def test_schemas_are_registered_once(registry: str, tmp_path: Path) -> None:
    """Each under the name of its topic, as the code has it; a second run changes nothing."""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: 'nowhere:1', topic_name: results, schema_registry_url: '{registry}'}}\n"
        "database: {host: nowhere, user: nobody}\n"
    )
    said = [CliRunner().invoke(main, ["register-schemas", "--config", str(config)]) for _ in range(2)]
    assert [one.exit_code for one in said] == [0, 0], said[0].output
    first, second = (one.output for one in said)
    assert first == (
        "schema results-value: registered as version 1\nschema website_alert-value: registered as version 1\n"
    )
    assert second == first.replace("registered", "present")
    assert sorted(asked(f"{registry}/subjects")) == ["results-value", "website_alert-value"]
    for subject, schema in (("results", codec.json_schema()), ("website_alert", event.json_schema())):
        found = asked(f"{registry}/subjects/{subject}-value/versions/latest")
        assert found["schemaType"] == "JSON"
        registered = json.loads(found["schema"])
        Draft7Validator.check_schema(registered)
        assert registered | {"$schema": schema["$schema"]} == schema


def test_a_field_more_is_a_further_version(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compatibility that the documents name."""
    config = KafkaConfig(bootstrap_servers="k:1", topic_name="grown", schema_registry_url=registry)
    assert next(register_schemas(config)) == "schema grown-value: registered as version 1"
    schema = json.dumps({"compatibility": "FORWARD"}).encode()
    request = urllib.request.Request(
        f"{registry}/config/grown-value", schema, {"Content-Type": "application/json"}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=60).close()
    grown = codec.json_schema()
    grown["$defs"]["CheckResult"]["properties"]["added_later"] = {"type": "string", "default": ""}
    monkeypatch.setattr(codec, "json_schema", lambda: grown)
    assert next(register_schemas(config)) == "schema grown-value: registered as version 2"


def test_a_registry_that_is_away_or_refuses_is_told() -> None:
    """In one line, with its address, and without the password."""
    away = f"http://127.0.0.1:{free_port()}"
    config = KafkaConfig(bootstrap_servers="k:1", schema_registry_url=away)
    with pytest.raises(OutageError, match=f"^schema registry at {away} cannot be reached: .*refused"):
        list(register_schemas(config))
    with pytest.raises(StopError, match=r"^kafka.schema_registry_url is not set"):
        list(register_schemas(attrs.evolve(config, schema_registry_url=None)))
    with receiver() as hook:
        hook.status = 401
        config = attrs.evolve(
            config,
            schema_registry_url=hook.url,
            schema_registry_username=Secret("avnadmin", "test"),
            schema_registry_password=Secret("geheim", "test"),
        )
        with pytest.raises(StopError, match=r"answers 401 to /subjects/website_availability-value") as refused:
            list(register_schemas(config))
        assert "geheim" not in str(refused.value)
        assert hook.requests[0].headers["authorization"] == "Basic YXZuYWRtaW46Z2VoZWlt"
