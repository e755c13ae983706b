"""The receiver of webhooks: what it takes, and the line that it makes."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import requests
from standardwebhooks import Webhook

from local_stack.receiver import Receiver, line_of, local_receiver


def webhook(title: str) -> dict[str, object]:
    return {"type": "alert.problem", "timestamp": "2026-03-01T12:00:00+00:00", "data": {"title": title}}


def send(receiver: Receiver, secret: str, title: str = "https://example.org/ is down") -> int:
    body, now = json.dumps(webhook(title)), dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("m1", now, body),
    }
    return requests.post(receiver.url, body, headers=headers, timeout=60).status_code


def test_what_is_signed_is_a_line_once() -> None:
    """A repeat has the same id, and is taken, but not shown again."""
    with local_receiver() as receiver:
        assert [send(receiver, receiver.secret) for _ in range(2)] == [204, 204]
        (line,) = receiver.new_lines()
        assert line.endswith("https://example.org/ is down")
        assert receiver.new_lines() == []


def test_what_is_not_signed_is_refused() -> None:
    """With another secret, or with no signature at all."""
    with local_receiver() as receiver:
        assert send(receiver, "whsec_" + "A" * 32) == 401
        assert requests.post(receiver.url, "{}", timeout=60).status_code == 401
        assert receiver.new_lines() == []


@pytest.mark.parametrize("title", ["x" * 200, "a\n\x1b[2Jb"])
def test_a_line_fits_a_terminal(title: str) -> None:
    """Whatever the title is: one line of at most 80 columns, and nothing that a terminal obeys."""
    line = line_of(webhook(title))
    assert len(line) <= 80
    assert line.isprintable()
