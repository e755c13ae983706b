"""The core as a package: what it imports, the configuration it documents, and the clock it ships for tests."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
import yaml

from monitoring_core.clock import SystemClock, from_ms, to_ms
from monitoring_core.config import Secret, load_config, parse_duration
from monitoring_core.config.sections import SECTIONS
from monitoring_core.config.values import Size
from monitoring_core.testing.clock import FakeClock

EXAMPLE = Path(__file__).parents[3] / "infra" / "config" / "config.yaml"
CLIENTS = {"requests", "urllib3", "confluent_kafka", "psycopg", "structlog", "click", "prometheus_client"}

# What the example shows commented out is the default, but for these: there is none, so it shows what one could write.
NO_DEFAULT = {
    "replication_factor",
    "sslmode",
    "dead_letter_topic_name",
    "canaries",
    "metric_labels",
    "trusted_proxies",
    "oidc_allowed",
}


def test_the_core_imports_no_client_library() -> None:
    """A user of the core loads no clients of HTTP, Kafka or PostgreSQL, and no hypothesis with the test helpers."""
    program = (
        "import sys, pkgutil, importlib, monitoring_core\n"
        "for m in pkgutil.walk_packages(monitoring_core.__path__, 'monitoring_core.'):\n"
        "    if not m.name.endswith('.strategies'): importlib.import_module(m.name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "monitoring_core" in loaded
    assert not (CLIENTS | {"hypothesis"}) & set(loaded)


def shown() -> dict[str, dict[str, str]]:
    """The settings that the example shows, section by section, including those commented out."""
    lines = re.sub(r"(?m)^  # ([a-z_]+: \S.*)$", r"  \1", EXAMPLE.read_text())
    known = {name: {field.name for field in attrs.fields(section)} for name, section in SECTIONS.items()}
    return {
        section: {key: value for key, value in content.items() if key in known[section]}
        for section, content in yaml.load(lines, Loader=yaml.BaseLoader).items()
    }


SETTINGS = [(name, field) for name, section in SECTIONS.items() for field in attrs.fields(attrs.resolve_types(section))]


@pytest.mark.parametrize(("section", "field"), SETTINGS, ids=[f"{s}.{f.name}" for s, f in SETTINGS])
def test_the_example_shows_every_setting_with_its_default(section: str, field: attrs.Attribute[Any]) -> None:
    """The default that the file shows is the code's default."""
    assert field.name in shown()[section]
    if field.default is attrs.NOTHING or field.default is None or field.name in NO_DEFAULT:
        return
    text, default = shown()[section][field.name], field.default
    if isinstance(default, dt.timedelta):
        assert parse_duration(text) == default
    elif isinstance(default, Size):
        assert (text, default) in {("1MiB", 1 << 20), ("0B", 0), ("1GiB", 1 << 30)}
    elif isinstance(default, tuple):
        assert tuple(text) == default
    elif isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, which looks like a function
        assert text == default.factory()
    else:
        assert text == (str(default).lower() if isinstance(default, bool) else str(default))


def test_the_example_shows_secrets_as_references() -> None:
    """Nobody can copy a password from an example."""
    for section, field in SETTINGS:
        if Secret in get_args(field.type) and str not in get_args(field.type):
            assert set(shown()[section][field.name]) <= {"file", "env"}, field.name


def test_the_example_for_aiven_loads_when_its_comments_are_removed(tmp_path: Path) -> None:
    """Mutual TLS as it is documented is a valid configuration."""
    pem = tmp_path / "x.pem"
    pem.write_text("-----BEGIN X-----\n")
    text = re.sub(r"(?m)^  # ((?:ca_certificate|access_certificate|access_key): )\S.*$", rf"  \1{{file: {pem}}}",
                  EXAMPLE.read_text()).replace("security_protocol: PLAINTEXT", "security_protocol: SSL")  # fmt: skip
    (tmp_path / "config.yaml").write_text(text)
    config = load_config(tmp_path / "config.yaml", environ={"DATABASE_PASSWORD": "x"})
    assert config.kafka.client_properties()["ssl.key.pem"].startswith("-----BEGIN")
    assert config.database.connection_parameters("test")["sslmode"] == "verify-full"


def test_the_fake_clock_moves_only_when_it_is_told_to() -> None:
    """Time that passes moves both clocks; setting the machine's time moves only the wall clock."""
    clock = FakeClock()
    start_ms, start_s = clock.now_ms(), clock.monotonic()
    clock.advance(1.5)
    assert (clock.now_ms() - start_ms, clock.monotonic() - start_s) == (1_500, 1.5)
    clock.step_wall(-3600)
    assert (clock.now_ms() - start_ms, clock.monotonic() - start_s) == (1_500 - 3_600_000, 1.5)
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-1)


def test_moments_and_milliseconds_are_the_same_thing() -> None:
    """Milliseconds become moments and moments milliseconds without loss."""
    assert from_ms(to_ms(dt.datetime(2026, 1, 1, 0, 0, 0, 7_000, tzinfo=dt.UTC))).microsecond == 7_000
    assert abs(SystemClock().now_ms() - to_ms(dt.datetime.now(dt.UTC))) < 60_000
