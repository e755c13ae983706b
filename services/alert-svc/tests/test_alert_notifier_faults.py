"""An oracle: every notification is delivered at least once, every repeat has the same id, none is untrue."""

from __future__ import annotations

import base64
import datetime as dt
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from standardwebhooks import Webhook

from dbadmin.install.schema import create_schema
from monitoring_core.config import DatabaseConfig
from monitoring_testkit.alert_rows import store, transition
from monitoring_testkit.servers.killable_postgresql import KillablePostgresql
from monitoring_testkit.servers.receiver import Receiver, receiver
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration_test
ROUNDS = range(5)
# After this time something hangs. A process needs a second of processor time until it sends, and on a machine that has
# much else to do it gets that only within minutes.
HANGS_S = 300.0
KEY = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
PROCESS = Path(__file__).with_name("notifier_process.py")
ALERTS = """
policies:
  - {{name: website-down, kind: down}}
channels:
  - {{name: ops, type: webhook, url: "{url}", secret: {{file: key}}}}
grouping: {{wait: 100ms}}
"""


class Oracle:
    """What was stored, what must be told of it, and what has come."""

    def __init__(self, server: KillablePostgresql, hook: Receiver, alerts: Path) -> None:
        self._server = server
        self.hook = hook
        self._alerts = alerts
        self._log = alerts.with_name("log")
        self._expected: set[str] = set()
        self._number = 0

    def happen(self, websites: int) -> None:
        """Let websites go down, and half of them come back; let others only be suspected, or be in a window."""
        rows: list[tuple[object, ...]] = []
        for _ in range(websites):
            self._number += 1
            number = self._number
            told = [transition(number, "firing", "suspected")]
            if number % 2:
                told.append(transition(number, "resolved", "recovering"))
            self._expected |= {str(row[0]) for row in told}
            hidden = [transition(number, "firing", "suspected", episode=1, window=1)]
            rows += [transition(number, "suspected", "ok"), *told, *hidden]
        with self._server.connect() as connection:
            store(connection, *rows)

    @contextmanager
    def process(self, when: str = "never") -> Iterator[subprocess.Popen[bytes]]:
        """A notifier, killed at the end of the block."""
        command = [sys.executable, str(PROCESS), self._server.host, str(self._alerts), when]
        with self._log.open("ab") as log, subprocess.Popen(command, stderr=log) as made:
            try:
                yield made
            finally:
                made.kill()

    def killed(self, when: str) -> None:
        """A notifier that is killed at its first message."""
        with self.process(when) as made:
            until(lambda: made.poll() is not None, HANGS_S, self._state)
            assert made.returncode == -signal.SIGKILL, self._state()

    def until_all_is_told(self) -> None:
        """Wait until nothing is left to do."""
        until(lambda: self._left() == 0, HANGS_S, self._state)

    def check(self) -> None:
        """Compare what has come with what happened."""
        bodies: dict[str, set[bytes]] = {}
        told: set[str] = set()
        for request in self.hook.requests:
            content: Any = Webhook(KEY).verify(request.body, dict(request.headers))
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
            told |= set(content["data"]["transitions"])
        assert told == self._expected
        assert {len(same) for same in bodies.values()} == {1}

    def until_asked(self, before: int = 0) -> None:
        """Wait until the receiver was asked more often than before."""
        until(lambda: len(self.hook.requests) > before, HANGS_S, self._state)

    def _state(self) -> str:
        return f"{self._left()} left, {len(self.hook.requests)} requests\n{self._log.read_text()}"

    def _left(self) -> int:
        with self._server.connect() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM monitoring.alert_notification WHERE state = 'pending') "
                "+ (SELECT count(*) FROM monitoring.alert_transition WHERE NOT noticed AND silenced_window IS NULL)"
            ).fetchone()
        return int(row[0]) if row else -1


@pytest.fixture
def oracle(killable: KillablePostgresql, tmp_path: Path) -> Iterator[Oracle]:
    with killable.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS monitoring CASCADE")
    database = DatabaseConfig(host=killable.host, port=5432, user="postgres", database="monitoring")
    list(create_schema(database, dt.datetime.now(dt.UTC).date()))
    (tmp_path / "key").write_text(KEY)
    with receiver() as hook:
        (tmp_path / "alerts.yaml").write_text(ALERTS.format(url=hook.url))
        yield Oracle(killable, hook, tmp_path / "alerts.yaml")


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_and_after_the_send(oracle: Oracle, when: str) -> None:
    """What was sent before the kill comes again with the same id; what was not, comes."""
    for _ in ROUNDS:
        oracle.happen(3)
        oracle.killed(when)
    with oracle.process():
        oracle.until_all_is_told()
    oracle.check()
    if when == "after":
        assert len(oracle.hook.requests) > len({request.headers["webhook-id"] for request in oracle.hook.requests})


def test_killed_at_any_moment(oracle: Oracle) -> None:
    """While messages are made, sent and written down; two processes at a time."""
    chance = random.Random(22)
    for _ in ROUNDS:
        oracle.happen(20)
        with oracle.process(), oracle.process():
            oracle.until_asked()
            oracle.happen(20)
            time.sleep(chance.uniform(0.0, 0.5))
    with oracle.process():
        oracle.until_all_is_told()
    oracle.check()


def test_the_receiver_is_away(oracle: Oracle) -> None:
    """It answers with failures, and takes what it refused as soon as it can."""
    with oracle.process():
        for _ in ROUNDS:
            oracle.hook.status = 503
            asked = len(oracle.hook.requests)
            oracle.happen(3)
            oracle.until_asked(asked)
            oracle.hook.status = 200
            oracle.until_all_is_told()
    oracle.check()


def test_postgresql_is_away(oracle: Oracle, killable: KillablePostgresql) -> None:
    """Whatever was going on: before the message, while it is sent, and before the answer is written down."""
    with oracle.process():
        for number in ROUNDS:
            oracle.hook.delay_s = 0.5
            asked = len(oracle.hook.requests)
            oracle.happen(3)
            if number % 2:
                oracle.until_asked(asked)
            killable.kill()
            time.sleep(0.7)
            with pytest.raises(psycopg.OperationalError):
                killable.connect()
            killable.start()
            oracle.hook.delay_s = 0.0
            oracle.until_all_is_told()
    oracle.check()
