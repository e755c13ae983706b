"""Channels, routes and groups in alerts.yaml: strict, every fault at once, and no secret is ever shown."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from alert_svc.notify.channel_settings import WebhookChannel
from alert_svc.notify.load import load_alerts
from alert_svc.notify.settings import Grouping
from monitoring_core.config import ConfigError

BAD = Path(__file__).with_name("bad_alerts")
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
POLICIES = "policies:\n  - {name: website-down, kind: down}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.mark.parametrize("case", sorted(BAD.glob("*.yaml")), ids=lambda case: case.stem)
def test_bad_settings_are_refused_with_this_message(case: Path) -> None:
    """Each file of the folder has its exact message, with file, line and path."""
    Path("alerts.yaml").write_bytes(case.read_bytes())
    with pytest.raises(ConfigError) as caught:
        load_alerts(Path("alerts.yaml"))
    assert f"{caught.value}\n" == case.with_suffix(".expected").read_text()


def test_without_channels_there_are_no_notifications() -> None:
    """Policies alone are a whole file."""
    Path("alerts.yaml").write_text(POLICIES)
    loaded = load_alerts(Path("alerts.yaml"))
    assert [policy.name for policy in loaded.policies.all] == ["website-down"]
    assert (loaded.notifications.channels, loaded.notifications.routes) == ((), ())


def test_a_channel_needs_no_route() -> None:
    """Without routes, every channel is told of everything, and all else has its default."""
    Path("hook.secret").write_text(f"{SECRET}\n")
    Path("alerts.yaml").write_text(
        POLICIES
        + "channels:\n  - {name: ops, type: webhook, url: 'https://example.org/', secret: {file: hook.secret}}\n"
    )
    made = load_alerts(Path("alerts.yaml")).notifications
    (channel,) = made.channels
    assert isinstance(channel, WebhookChannel)
    assert channel.secret.reveal() == SECRET
    assert [(route.channels, route.match, route.severities) for route in made.routes] == [(("ops",), {}, ())]
    assert made.grouping == Grouping(wait=dt.timedelta(seconds=2), burst=10, at_most=dt.timedelta(minutes=2))


def test_a_secret_is_in_no_repr() -> None:
    """Neither that of a signature nor one in a URL."""
    Path("alerts.yaml").write_text(
        POLICIES + "channels:\n"
        "  - {name: ops, type: webhook, url: {env: HOOK_URL}, secret: {env: HOOK_SECRET}}\n"
        "  - {name: chat, type: apprise, url: {env: HOOK_URL}}\n"
        "heartbeat: {url: {env: HOOK_URL}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_URL", "https://example.org/hunter2")
        loaded = load_alerts(Path("alerts.yaml"))
    assert "hunter2" not in repr(loaded)
    assert SECRET.removeprefix("whsec_") not in repr(loaded)
