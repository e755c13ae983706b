"""Messages in words: whatever a website says stays in its place."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Any

import attrs
import msgspec
import pytest

from alert_svc.notify.channel_settings import AppriseChannel, ChannelType
from alert_svc.notify.message import PROBLEM, RECOVERY, Alert, Message, content_of, from_plain, to_plain
from alert_svc.notify.safe import address, word
from alert_svc.notify.templates import MAX_TITLE, fault_of, rendered
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.config.values import Secret

NOW = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
CHANNEL = AppriseChannel(name="ops", type=ChannelType.APPRISE, url=Secret("json://localhost", "test"))
HOSTILE = (
    "one\r\nBcc: victim@example.org\r\n\r\n<html>",
    "two\nSubject: another",
    "\x1b[2J\x1b]0;title\x07\x00\x08",
    "\u2028\u2029\x85\x0b\x0c",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "@everyone @here @channel <!channel> <!here> <@U024BE7LH> <#C024BE7LR> <@&1234>",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "&lt;!channel&gt; &amp; &#64;here",
    "[click here](https://evil.example/) ![x](https://evil.example/x.png)",
    "<https://evil.example|your bank> https://evil.example/",
    "*bold* _it_ ~no~ `code` ```block``` ||spoiler|| # heading\n- item\n> quote",
    "{{ 7 * 7 }} {% for x in range(10**9) %}{% endfor %} {{ ''.__class__ }}",
    "$(reboot) `reboot` '; DROP TABLE x; --",
    "x" * 100_000,
    "\ud83d\ude00 zalgo " + "a\u0301" * 50,
    "",
)


def alert(number: int = 1, **changes: Any) -> Alert:
    made = Alert(
        transition_id=f"t{number}",
        alert_id=f"a{number}",
        target_id=number,
        url=f"https://shop{number}.example/",
        policy="website-down",
        kind=Kind.DOWN,
        severity=Severity.CRITICAL,
        state=State.FIRING,
        before=State.SUSPECTED,
        at=NOW,
        since=NOW,
        locations=["berlin", "tokyo"],
    )
    return msgspec.structs.replace(made, **changes)


def message(*alerts: Alert, kind: str = PROBLEM) -> Message:
    return Message("m1", NOW, content_of(kind, alerts, {}))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_of_a_website_leaves_its_place(text: str) -> None:
    """Its error, its URL and its labels: the lines of the message are the same, and nothing in them is markup."""
    harmless = alert(error="refused", reason="connection_failed", labels={"team": "shop"})
    hostile = msgspec.structs.replace(
        harmless, error=text or None, url=f"https://evil.example/{text}", labels={"team": text}, policy=text
    )
    usual, made = rendered(message(harmless), CHANNEL), rendered(message(hostile), CHANNEL)
    assert len(made.text.splitlines()) == len(usual.text.splitlines())
    assert len(made.title) <= MAX_TITLE
    for said in (made.title, made.text.replace("\n", "")):
        assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        assert not set(said) & set("@<>*`|")
        assert "](" not in said
        assert "{{" not in said or "{{ 7" in text
        assert "https://evil.example|" not in said
    # The one link of a message is the URL of the target.
    links = re.compile(r"(?:^|\s)https?://", re.MULTILINE)
    assert len(links.findall(made.text)) == len(links.findall(usual.text))


def test_a_url_means_the_same_and_has_no_markup() -> None:
    """What is not allowed in a message is written as RFC 3986 has it."""
    assert address("https://[::1]:8080/a_b?c=d&e=f") == "https://[::1]:8080/a_b?c=d&e=f"
    assert address("https://a.example/[x](https://evil)@*`|<b>") == (
        "https://a.example/[x]%28https://evil%29%40%2A%60%7C%3Cb%3E"
    )


def test_words_are_bounded() -> None:
    """However long the text is."""
    assert len(word("y" * 1_000_000)) == 300


def test_many_websites_are_one_message_that_says_so() -> None:
    """Fifty are listed, all are counted."""
    made = rendered(message(*(alert(number) for number in range(2_800))), CHANNEL)
    assert made.title == "[CRITICAL] 2,800 websites are down"
    assert made.text.splitlines()[0] == "2,800 websites are down"
    assert made.text.count("shop") == 50
    assert "… and 2750 more" in made.text
    back = message(*(alert(number, state=State.RESOLVED) for number in range(2_800)), kind=RECOVERY)
    assert rendered(back, CHANNEL).title == "2,800 websites are up again"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "https://shop1.example/ is down"),
        ({"state": State.RESOLVED}, "https://shop1.example/ is up again"),
        ({"state": State.UNDETERMINED}, "it is not known whether https://shop1.example/ is up"),
        ({"state": State.FLAPPING}, "https://shop1.example/ goes up and down"),
        (
            {"kind": Kind.CERTIFICATE, "step_s": 7 * 86_400},
            "the certificate of https://shop1.example/ ends within 7 days",
        ),
        (
            {"state": State.RESOLVED, "cause": "the target has gone"},
            "the alert about https://shop1.example/ has ended: the target has gone",
        ),
        (
            {"state": State.RESOLVED, "before": State.RESOLVED, "cause": "maintenance window 3 is over"},
            "https://shop1.example/ is up again",
        ),
        ({"kind": Kind.INVALID_TARGET}, "https://shop1.example/ cannot be checked as it stands"),
    ],
)
def test_one_alert_is_said_in_plain_words(changes: dict[str, Any], said: str) -> None:
    """Each kind and each state has its sentence."""
    assert said in rendered(message(alert(**changes)), CHANNEL).title


def test_every_kind_has_words_for_every_state_that_is_told() -> None:
    """Of one website and of many."""
    for kind in Kind:
        for state in (State.FIRING, State.RESOLVED, State.UNDETERMINED, State.FLAPPING):
            for count in (1, 3):
                told = [alert(number, kind=kind, state=state) for number in range(count)]
                assert rendered(message(*told), CHANNEL).title


def test_templates_of_a_user_are_used_and_cannot_leave_the_sandbox() -> None:
    """A template that fails is replaced by the default one: better these words than no message."""
    own = attrs.evolve(CHANNEL, title="{{ count }} at\n{{ alerts[0].locations | join('+') }}", text="{{ id }}")
    made = rendered(message(alert()), own)
    assert (made.title, made.text) == ("1 at berlin+tokyo", "m1")
    escape = attrs.evolve(CHANNEL, text="{{ alerts.__class__.__mro__[1].__subclasses__() }}")
    assert rendered(message(alert()), escape).text.startswith("https://shop1.example/ is down")
    assert fault_of("{{ ''.__class__.__mro__ }}")
    assert fault_of("{% if %}")
    assert fault_of("{{ headline }}") is None


def test_a_content_is_the_same_after_it_was_stored() -> None:
    """What is stored as JSON is what was said."""
    content = content_of(PROBLEM, [alert(labels={"team": "shop"}, error="refused")], {"team": "shop"})
    assert from_plain(msgspec.json.decode(msgspec.json.encode(to_plain(content)))) == content
