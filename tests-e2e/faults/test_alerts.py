"""Whatever is killed, what alert-svc stores is what `decide` says of the same messages, each transition once."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
import pytest
from standardwebhooks import Webhook

from local_stack.processes import script
from monitoring_alerting.testing.scenes import START, result
from monitoring_core.codec import encode, encode_key
from monitoring_testkit import topics
from monitoring_testkit.servers.receiver import receiver
from monitoring_testkit.waiting import until

from .pipeline import PARTITIONS, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_stack.processes import Service
    from monitoring_core.result import CheckResult

pytestmark = pytest.mark.end_to_end

TARGETS = range(1, 41)
# Has no results at all.
SILENT = 41
LOCATIONS = ("berlin", "tokyo", "virginia")
MINUTES = 90
# All is well in the last minutes, so that nothing is left to be decided.
CALM = 8
POLICIES = """policies:
  - name: website-down
    kind: down
    failures: {at_least: 2}
    locations: {at_least: 2, of: [berlin, tokyo, virginia]}
    blind_after: 5m
    flapping: {changes: 4}
  - {name: website-slow, kind: degraded, match: {team: shop}, response_time: 2s}
  - {name: certificate, kind: certificate_expires_within, steps: [30d, 7d]}
"""
FIELDS = (
    "transition_id AS id, alert_id, target_id, policy, kind, severity, state, before, at, since, locations, "
    "evidence AS results, cause, silenced_by, step_s, url, labels"
)


@attrs.define
class Scenario:
    """A pipeline with targets and policies, and results that come minute by minute.

    The results are of tomorrow, so that the clock of the machine never lets the clock of the decisions go on.
    """

    pipeline: Pipeline
    policies: Path
    published: int = 0
    started: int = 0
    lines: dict[int, list[bytes]] = attrs.field(factory=dict)
    random: random.Random = attrs.field(factory=lambda: random.Random(22))
    _shift: dt.timedelta = attrs.field(init=False)
    _down: dict[tuple[int, str], int] = attrs.field(factory=dict)
    _seen_stored: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        days = (dt.datetime.now(dt.UTC) - START).days + 2
        self._shift = dt.timedelta(days=days)

    def publish(self, minutes: int) -> None:
        """Publish all results of the next minutes."""
        values = []
        for minute in range(self.published, self.published + minutes):
            batch = [one for target in TARGETS for one in self._seen(minute, target)]
            self.random.shuffle(batch)
            values += [(encode_key(one), encode(one)) for one in batch]
        self.pipeline.publish(values)
        self.published += minutes

    def _seen(self, minute: int, target: int) -> Iterator[CheckResult]:
        calm = minute >= MINUTES - CALM
        for location in LOCATIONS:
            left = self._down.get((target, location), 0)
            if not left and self.random.random() < 0.04:
                # Mostly the website's own fault, which all locations see.
                for where in LOCATIONS if self.random.random() < 0.7 else [location]:
                    self._down[target, where] = left = self.random.randint(1, 9)
            self._down[target, location] = max(0, left - 1)
            chance = self.random.random()
            if not calm and chance < 0.03:
                continue
            sign = "u" if calm else "d" if left else "?" if chance > 0.97 else "u"
            one = result(minute, location, sign, target)
            shifted = {"scheduled_at": one.scheduled_at + self._shift}
            if one.finished_at:
                shifted["finished_at"] = one.finished_at + self._shift
            one = msgspec.structs.replace(one, **shifted)
            if sign == "u" and not calm and chance > 0.9:
                one = msgspec.structs.replace(one, response_time_s=3.0)
            if target % 7 == 0:
                one = msgspec.structs.replace(one, certificate_expires_at=START + self._shift + dt.timedelta(days=7))
            yield one

    def start(self) -> Service:
        """One more process."""
        self.started += 1
        return self.pipeline.alerts(str(self.started), self.policies)

    def stored(self) -> int:
        """How many transitions are stored."""
        return int(self.ask("SELECT count(*) FROM {}.alert_transition")[0][0])

    def until_more(self) -> None:
        """Wait until more transitions are stored than at the last call."""
        until(lambda: self.stored() > self._seen_stored, 60, self.pipeline.logs)
        self._seen_stored = self.stored()

    def positions(self) -> dict[int, int]:
        """How far each partition is decided."""
        return dict(self.ask("SELECT partition, next_offset FROM {}.alert_position"))

    def until_decided(self) -> None:
        """Wait until every message is decided."""
        ends: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        for message in self.pipeline.messages(self.pipeline.name):
            number, offset = message.partition() or 0, message.offset() or 0
            ends[number] = max(ends[number], offset + 1)
        until(lambda: self.positions() == ends, 90, lambda: f"{self.positions()} of {ends}\n{self.pipeline.logs()}")

    def until_told(self) -> None:
        """Wait until all that is stored is told."""
        left = (
            "SELECT (SELECT count(*) FROM {0}.alert_notification WHERE state = 'pending') + "
            "(SELECT count(*) FROM {0}.alert_transition WHERE NOT noticed)"
        )
        until(lambda: self.ask(left)[0][0] == 0, 90, self.pipeline.logs)

    def to_be_told(self) -> set[str]:
        """The transitions that people must be told of: each change of what was told last, and ends of such alerts."""
        told: dict[str, object] = {}
        found = set()
        query = "SELECT transition_id, alert_id, state, step_s FROM {}.alert_transition ORDER BY sequence"
        for transition_id, alert_id, state, step_s in self.ask(query):
            if state == "resolved":
                found |= {transition_id} if told.pop(alert_id, None) else set()
            elif state in ("firing", "undetermined", "flapping") and told.get(alert_id) != (state, step_s):
                told[alert_id] = state, step_s
                found.add(transition_id)
        return found

    def compare_events(self) -> None:
        """Wait until all events are published, and compare what compaction leaves of them with the transitions."""
        states = "state IN ('firing', 'undetermined', 'flapping', 'resolved')"
        left = f"SELECT count(*) FROM {{}}.alert_transition WHERE NOT published AND {states}"
        until(lambda: self.ask(left)[0][0] == 0, 90, self.pipeline.logs)
        stored = self.ask(
            f"SELECT transition_id, alert_id, state FROM {{}}.alert_transition WHERE {states} ORDER BY sequence"
        )
        published, newest = set(), {}
        for message in self.pipeline.messages(self.pipeline.alert_topic):
            event_id = topics.headers(message)["ce_id"]
            published.add(event_id)
            newest[(message.key() or b"").decode()] = event_id, json.loads(message.value() or b"")["state"]
        assert published == {transition_id for transition_id, _, _ in stored}
        assert newest == {alert_id: (transition_id, state) for transition_id, alert_id, state in stored}

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query; {} is the schema."""
        with self.pipeline.postgres.connect() as connection:
            return connection.execute(query.format(self.pipeline.name)).fetchall()

    @contextlib.contextmanager
    def held(self, table: str) -> Iterator[None]:
        """Let nobody write into a table, so that whoever does waits within its transaction."""
        with self.pipeline.postgres.connect() as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {self.pipeline.name}.{table} IN SHARE MODE")
            yield

    def until_it_waits(self) -> None:
        """Wait until some process waits for a lock."""
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alert-svc' AND wait_event_type = 'Lock'"
        )
        until(lambda: self.ask(query)[0][0] != 0, 60, self.pipeline.logs)

    def compare(self) -> None:
        """Compare every transition with what `decide` says of the same messages, partition by partition."""
        told: dict[str, dict[str, object]] = {}
        for number in range(PARTITIONS):
            for line in self._decided(number):
                one = json.loads(line)
                assert one["id"] not in told
                told[one["id"]] = one
        with self.pipeline.postgres.connect() as connection:
            connection.execute("SET timezone = 'UTC'")
            rows = connection.execute(
                f"SELECT to_jsonb(t) FROM (SELECT {FIELDS} FROM {self.pipeline.name}.alert_transition) t"
            ).fetchall()
        stored = {row["id"]: row for (row,) in rows}
        assert len(rows) == len(stored) > 100
        assert stored.keys() - told.keys() == set(), "invented"
        assert told.keys() - stored.keys() == set(), "missing"
        for key, one in told.items():
            assert _comparable(stored[key]) == _comparable(one)

    def _decided(self, number: int) -> list[str]:
        directory = self.pipeline.directory
        count = PARTITIONS
        targets = directory / f"targets-{number}.jsonl"
        with self.pipeline.postgres.connect() as connection:
            rows = connection.execute(
                f"SELECT amc_id, amc_url, amc_labels FROM {self.pipeline.name}.availability_monitor_config"
            ).fetchall()
        messages = [one for one in self.pipeline.messages(self.pipeline.name) if one.partition() == number]
        here = {int(message.key() or b"0") for message in messages}
        # The one without results is where librdkafka's partitioner would put it.
        here |= {SILENT} if _crc32(b"%d" % SILENT) % count == number else set()
        lines = [json.dumps({"id": i, "url": url, "labels": labels}) for i, url, labels in rows if i in here]
        targets.write_text("\n".join(lines) + "\n")
        messages.sort(key=lambda message: message.offset() or 0)
        command = [script("alert-svc"), "decide", "--policies", str(self.policies), "--targets", str(targets)]
        done = subprocess.run(
            command, input=b"\n".join(message.value() or b"" for message in messages), capture_output=True, check=True
        )
        return done.stdout.decode().splitlines()


def _crc32(data: bytes) -> int:
    """The checksum that librdkafka's partitioner takes, by its definition (ITU-T V.42, reflected)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def _comparable(one: dict[str, object]) -> dict[str, object]:
    """Without what depends on when it was computed, moments as moments."""
    kept = {name: value for name, value in one.items() if name != "decided_at" and value is not None}
    for name in ("at", "since"):
        kept[name] = dt.datetime.fromisoformat(str(kept[name]))
    return kept


@pytest.fixture
def scenario(pipeline: Pipeline) -> Scenario:
    policies = pipeline.directory / "alerts.yaml"
    policies.write_text(POLICIES)
    with pipeline.postgres.connect() as connection:
        for number in (*TARGETS, SILENT):
            labels = '{"team": "shop"}' if number % 2 else "{}"
            connection.execute(
                f"INSERT INTO {pipeline.name}.availability_monitor_config (amc_id, amc_url, amc_labels, "
                "amc_check_interval_s) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, 60)",
                (number, f"https://user:secret@{number}.example.org/", labels),
            )
    return Scenario(pipeline, policies)


def test_killed_at_every_step_each_transition_is_stored_once(scenario: Scenario) -> None:
    """Before a commit, just after one, while a snapshot is written, and at any other moment."""
    scenario.publish(20)
    with scenario.held("alert_snapshot"):
        first = scenario.start()
        scenario.until_it_waits()
        first.child.kill()
    with scenario.held("alert_transition"):
        second = scenario.start()
        scenario.until_it_waits()
        second.child.kill()
    third = scenario.start()
    scenario.until_more()
    third.child.kill()
    for _ in range(4):
        scenario.publish(10)
        one = scenario.start()
        one.wait_until_ready()
        scenario.publish(5)
        scenario.until_more()
        time.sleep(scenario.random.random())
        one.child.kill()
    scenario.publish(MINUTES - scenario.published)
    last = scenario.start()
    scenario.until_decided()
    assert last.child.stop() == 0, last.child.last_lines()
    scenario.compare()


def test_killed_in_rebalances_each_transition_is_stored_once(scenario: Scenario) -> None:
    """Two processes share the partitions; one is killed, another joins, and one stands still until it has lost all."""
    one = scenario.start()
    one.wait_until_ready()
    for _ in range(3):
        scenario.publish(8)
        other = scenario.start()
        scenario.publish(4)
        until(lambda: "partition taken over" in other.child.last_lines(200), 60, scenario.pipeline.logs)  # noqa: B023
        scenario.publish(4)
        one.child.kill()
        one = other
    frozen = one
    frozen.child.signal(signal.SIGSTOP)
    scenario.publish(10)
    successor = scenario.start()
    until(lambda: "partition taken over" in successor.child.last_lines(200), 60, scenario.pipeline.logs)
    scenario.until_more()
    frozen.child.signal(signal.SIGCONT)
    scenario.publish(MINUTES - scenario.published)
    scenario.until_decided()
    assert successor.child.stop() == 0
    assert frozen.child.stop() == 0
    scenario.compare()


def test_whatever_is_killed_everything_is_told(scenario: Scenario) -> None:
    """From Kafka to a webhook and to Kafka: each alert and each end of one, every repeat the same, and nothing else."""
    key = "whsec_" + base64.b64encode(bytes(24)).decode()
    (scenario.pipeline.directory / "key").write_text(key)
    with receiver() as hook:
        channel = f"channels: [{{name: ops, type: webhook, url: '{hook.url}', secret: {{file: key}}}}]"
        scenario.policies.write_text(f"{POLICIES}{channel}\n")
        for _ in range(4):
            scenario.publish(15)
            one = scenario.start()
            one.wait_until_ready()
            scenario.until_more()
            time.sleep(3 * scenario.random.random())
            one.child.kill()
        scenario.publish(MINUTES - scenario.published)
        last = scenario.start()
        scenario.until_decided()
        scenario.until_told()
        scenario.compare_events()
        assert last.child.stop() == 0, last.child.last_lines()
        bodies: dict[str, set[bytes]] = {}
        told: set[str] = set()
        for request in hook.requests:
            content = Webhook(key).verify(request.body, dict(request.headers))
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
            told |= set(content["data"]["transitions"])
    assert told == scenario.to_be_told()
    assert len(told) > 100
    assert all(len(same) == 1 for same in bodies.values())
