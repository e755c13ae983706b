"""Each channel with a real receiver: signed, encrypted, bounded in time, and safe from what websites say."""

from __future__ import annotations

import base64
import datetime as dt
import email.policy
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, cast

import attrs
import msgspec
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from click.testing import CliRunner
from standardwebhooks import Webhook

from alert_svc.cli import main
from alert_svc.notify.channel_settings import (
    AlertmanagerChannel,
    AppriseChannel,
    ChannelType,
    Security,
    SmtpChannel,
    WebhookChannel,
)
from alert_svc.notify.channels import http
from alert_svc.notify.channels.alertmanager import AlertmanagerSender
from alert_svc.notify.channels.build import sender
from alert_svc.notify.channels.sender import SendError
from alert_svc.notify.load import load_alerts
from alert_svc.notify.message import CHANNEL_FAILING, PROBLEM, RECOVERY, Alert, Content, Message, content_of
from local_stack.processes import free_port
from monitoring_alerting.policies import Kind, Severity
from monitoring_alerting.transition import State
from monitoring_core.config.values import Secret
from monitoring_core.errors import StopError
from monitoring_testkit.needs import need
from monitoring_testkit.servers.alertmanager import Alertmanager, alertmanager, missing
from monitoring_testkit.servers.receiver import Receiver, receiver
from monitoring_testkit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration_test
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
KEY = "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode()
HOSTILE = (
    'x\r\nBcc: victim@example.org\r\n\r\n<script> @everyone <!channel> [a](http://evil.example) "quoted"\x00\u202e'
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
        since=NOW - dt.timedelta(minutes=3),
        locations=["berlin"],
        reason="connection_failed",
        error="refused",
    )
    return msgspec.structs.replace(made, **changes)


def message(*alerts: Alert, kind: str = PROBLEM) -> Message:
    return Message("m1", NOW, content_of(kind, alerts, {}))


def hostile() -> Message:
    return message(
        alert(error=HOSTILE, url=f"https://shop.example/{HOSTILE}", labels={HOSTILE: HOSTILE}, locations=[HOSTILE])
    )


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.greylists = True
        self.farewell = "221 bye"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@") and self.greylists:
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 taken"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Envelope) -> str:
        return self.farewell

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"hunter2", handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(cast("bytes", one.content), policy=email.policy.default) for one in self.envelopes]


@contextmanager
def mail_server(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, authenticator=mailbox.login, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return context, str(tmp_path / "ca.pem")


def smtp(port: int, **changes: Any) -> SmtpChannel:
    settings: dict[str, Any] = {
        "name": "mail",
        "type": ChannelType.SMTP,
        "host": "127.0.0.1",
        "port": port,
        "security": Security.NONE,
        "sender": "monitor@example.org",
        "recipients": ("ops@example.org",),
    }
    return SmtpChannel(**settings | changes)


def test_a_mail_says_what_happened_and_repeats_have_one_id() -> None:
    """By its Message-ID a mailbox knows a repeat."""
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        mail = sender(smtp(port, recipients=("ops@example.org", "boss@example.org")))
        assert [mail.send(message(alert())) for _ in range(2)] == ["accepted", "accepted"]
    first, second = mailbox.mails
    assert first["Subject"] == "[CRITICAL] https://shop1.example/ is down"
    assert first["Message-ID"] == second["Message-ID"] == "<m1@example.org>"
    assert mailbox.envelopes[0].rcpt_tos == ["ops@example.org", "boss@example.org"]
    assert "connection failed: refused" in first.get_content()


def test_no_text_of_a_website_makes_a_header_or_a_recipient() -> None:
    """The mail has the same headers and one part of plain text, whatever the website says."""
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        sender(smtp(port)).send(message(alert()))
        sender(smtp(port, title="{{ alerts[0].error }}")).send(hostile())
    usual, made = mailbox.mails
    assert made.keys() == usual.keys()
    assert made["To"] == "ops@example.org"
    assert mailbox.envelopes[1].rcpt_tos == ["ops@example.org"]
    assert made.get_content_type() == "text/plain"
    assert len(made.get_content().splitlines()) == len(usual.get_content().splitlines())


def test_a_password_goes_over_tls_alone(tls: tuple[ssl.SSLContext, str]) -> None:
    """With STARTTLS and with TLS from the start; the certificate of the server is checked."""
    context, ca_file = tls
    login: dict[str, Any] = {"user": "monitor", "password": Secret("hunter2", "test"), "ca_file": ca_file}
    starttls, with_tls, plain = Mailbox(), Mailbox(), Mailbox()
    with mail_server(starttls, tls_context=context, require_starttls=True) as port:
        assert sender(smtp(port, security=Security.STARTTLS, **login)).send(message(alert())) == "accepted"
        with pytest.raises(SendError, match="certificate verify failed"):
            sender(smtp(port, security=Security.STARTTLS)).send(message(alert()))
    with mail_server(with_tls, ssl_context=context, auth_require_tls=False) as port:
        assert sender(smtp(port, security=Security.TLS, **login)).send(message(alert())) == "accepted"
        wrong = sender(smtp(port, security=Security.TLS, **login | {"password": Secret("wrong-secret", "test")}))
        with pytest.raises(SendError) as caught:
            wrong.send(message(alert()))
    assert str(caught.value).endswith("the server refuses the user name and password (535)")
    with mail_server(plain) as port, pytest.raises(SendError, match="STARTTLS"):
        sender(smtp(port, security=Security.STARTTLS, **login)).send(message(alert()))
    assert (len(starttls.mails), len(with_tls.mails), plain.mails, plain.logins) == (1, 1, [], [])


def test_what_the_file_cannot_give_is_named_and_no_part_of_a_password_is(
    tls: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    """A password that was replaced by one that cannot be sent, and certificates that are not there."""
    (tmp_path / "empty.pem").write_text("")
    with mail_server(Mailbox(), ssl_context=tls[0], auth_require_tls=False) as port:
        secure: dict[str, Any] = {"security": Security.TLS, "ca_file": tls[1]}
        with pytest.raises(SendError) as caught:
            sender(smtp(port, **secure, user="monitor", password=Secret("hünter2", "test"))).send(message(alert()))
        assert str(caught.value) == f"127.0.0.1:{port}: the user name and the password must be ASCII"
        for name, why in (("none.pem", "No such file or directory"), ("empty.pem", "")):
            with pytest.raises(SendError, match=rf"ca_file {tmp_path / name} cannot be used: {why}"):
                sender(smtp(port, **secure | {"ca_file": str(tmp_path / name)})).send(message(alert()))


def test_who_is_refused_is_named_and_does_not_hold_up_others() -> None:
    """A mail that all refuse fails; one that some take was sent."""
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        both = smtp(port, recipients=("ops@example.org", "nobody@example.org"))
        assert sender(both).send(message(alert())) == (
            "accepted, but refused for nobody@example.org: 550 5.1.1 no such user"
        )
        with pytest.raises(SendError, match=r"nobody@example\.org: 550"):
            sender(smtp(port, recipients=("nobody@example.org",))).send(message(alert()))
    assert len(mailbox.envelopes) == 1


def test_who_is_refused_for_now_gets_it_in_a_repeat_and_the_others_only_once() -> None:
    """As servers do that greylist (RFC 6647), or whose mailbox is full: 4xx says that the next attempt may succeed."""
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        mail = sender(smtp(port, recipients=("ops@example.org", "later@example.org", "nobody@example.org")))
        for _ in range(2):
            with pytest.raises(
                SendError, match=r"accepted, but refused for later@example\.org: 451 .*; nobody@.*: 550"
            ):
                mail.send(message(alert()))
        mailbox.greylists = False
        assert "refused for nobody@example.org: 550" in mail.send(message(alert()))
        other = msgspec.structs.replace(alert(2), url="https://other.example/")
        mail.send(attrs.evolve(message(other), id="m2"))
    everyone = ["ops@example.org", "later@example.org"]
    assert [one.rcpt_tos for one in mailbox.envelopes] == [["ops@example.org"], ["later@example.org"], everyone]


def test_a_mail_that_was_taken_was_sent_however_the_connection_ends() -> None:
    """Servers answer QUIT with this and that; a repeat would be a mail more at each attempt of a day."""
    mailbox = Mailbox()
    mailbox.farewell = "421 4.4.2 too slow"
    with mail_server(mailbox) as port:
        assert sender(smtp(port)).send(message(alert())) == "accepted"


def test_a_mail_is_ascii_on_its_way() -> None:
    """Not every server takes eight bits (RFC 6152); a reader shows all of them."""
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        sender(smtp(port, title="Störung: {{ headline }}", text="Fällt aus 🚨")).send(message(alert()))
    (envelope,), (mail,) = mailbox.envelopes, mailbox.mails
    assert cast("bytes", envelope.content).isascii()
    assert (str(mail["Subject"])[:8], mail.get_content().strip()) == ("Störung:", "Fällt aus 🚨")


@pytest.fixture
def manager() -> Iterator[Alertmanager]:
    need("Alertmanager", missing())
    with alertmanager() as made:
        yield made


def alertmanager_channel(url: str, **changes: Any) -> AlertmanagerChannel:
    return AlertmanagerChannel(name="am", type=ChannelType.ALERTMANAGER, url=url, **changes)


def test_an_alertmanager_knows_what_fires_and_what_has_ended(manager: Alertmanager) -> None:
    """One alert, whose end it is told of; labels of a target are labels with a prefix."""
    by = sender(alertmanager_channel(f"{manager.url}/"))
    shop = alert(labels={"team": "shop", "cost-center": "7", "empty": ""})
    assert by.send(message(shop, alert(2))).startswith("200")
    known = {one["labels"]["target_id"]: one for one in manager.alerts()}
    assert sorted(known) == ["1", "2"]
    assert known["1"]["labels"] | {"label_team": "shop", "label_cost_center": "7"} == known["1"]["labels"]
    assert known["1"]["annotations"]["summary"] == "https://shop1.example/ is down"
    by.send(message(msgspec.structs.replace(shop, state=State.RESOLVED, at=NOW), kind=RECOVERY))
    until(lambda: [one["labels"]["target_id"] for one in manager.alerts()] == ["2"])


def test_a_restarted_alertmanager_is_told_again(manager: Alertmanager) -> None:
    """Open alerts are sent again; without that they end by themselves."""
    quick = alertmanager_channel(manager.url, resend=dt.timedelta(seconds=1))
    by = sender(quick)
    assert isinstance(by, AlertmanagerSender)
    by.resend([alert()], watchdog=True)
    assert sorted(one["labels"]["alertname"] for one in manager.alerts()) == ["Watchdog", "website-down"]
    ends = [dt.datetime.fromisoformat(one["endsAt"]) for one in manager.alerts()]
    assert all(end <= dt.datetime.now(dt.UTC) + dt.timedelta(seconds=4) for end in ends)
    until(lambda: manager.alerts() == [])


def test_hostile_text_and_messages_without_alerts_are_taken(manager: Alertmanager) -> None:
    """Whatever a website says is an annotation or the value of a label."""
    by = sender(alertmanager_channel(manager.url))
    by.send(hostile())
    by.send(Message("m2", NOW, Content(kind=CHANNEL_FAILING, note=HOSTILE)))
    found = {one["labels"]["alertname"]: one for one in manager.alerts()}
    assert sorted(found) == ["monitoring_channel_failing", "website-down"]
    assert not set(found["website-down"]["annotations"]["description"]) & set("<>@\r\0")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def test_apprise_is_given_text_and_follows_no_redirect(hook: Receiver) -> None:
    """What it is not told to do by us, its URL cannot tell it either."""
    url = Secret(f"json://127.0.0.1:{hook.port}/?redirect=yes", "test")
    by = sender(AppriseChannel(name="chat", type=ChannelType.APPRISE, url=url))
    assert (by.recipient, by.send(message(alert()))) == ("Apprise json", "taken")
    assert b"https://shop1.example/ is down" in hook.requests[0].body
    hook.status = 307
    with receiver() as elsewhere:
        hook.location = elsewhere.url
        with pytest.raises(SendError, match="did not take it"):
            by.send(message(alert()))
        assert elsewhere.requests == []
    with pytest.raises(StopError, match="does not know this URL"):
        sender(AppriseChannel(name="chat", type=ChannelType.APPRISE, url=Secret("nonsense://hunter2", "test")))


def test_a_secret_that_is_replaced_signs_the_next_attempt(hook: Receiver, tmp_path: Path) -> None:
    """Without a restart: a receiver that changes its secret refuses messages only until the file has the new one."""
    file = tmp_path / "alerts.yaml"
    file.write_text(
        "policies: [{name: down, kind: down}]\n"
        f"channels: [{{name: ops, type: webhook, url: '{hook.url}', secret: {{file: hook.secret}}}}]\n"
    )
    secrets = [f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2)]
    (tmp_path / "hook.secret").write_text(secrets[0])
    (channel,) = load_alerts(file).notifications.channels
    by = sender(channel)
    for secret in secrets:
        (tmp_path / "hook.secret").write_text(secret)
        by.send(message(alert()))
        asked = hook.requests[-1]
        Webhook(secret).verify(asked.body, {name.lower(): value for name, value in asked.headers.items()})


def test_a_receiver_that_hangs_is_left(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is one that is not there; neither error has the path of the URL, which may be a secret."""
    monkeypatch.setattr(http, "ANSWER_S", 0.2)
    hook.delay_s = 60.0
    began = time.monotonic()
    with pytest.raises(SendError) as slow:
        http.request("POST", f"{hook.url}hunter2", body=b"")
    assert time.monotonic() - began < 30
    with pytest.raises(SendError) as gone:
        http.request("GET", "http://127.0.0.1:1/hunter2")
    assert str(slow.value) == f"http://127.0.0.1:{hook.port}: no answer within 0.2 s"
    assert str(gone.value) == "http://127.0.0.1:1: Connection refused"
    with pytest.raises(SendError, match="the name of the host is not known"):
        http.request("GET", "http://no-such-host.invalid/hunter2")


def test_an_answer_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status says that the message was taken, long before the attempt counts as lost and is repeated."""
    monkeypatch.setattr(http, "ANSWER_S", 0.3)
    stop, ends = threading.Event(), time.monotonic() + 60

    def trickle(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not stop.wait(0.05) and time.monotonic() < ends:
                connection.sendall(b"1\r\nx\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=trickle, args=(listening,))
        thread.start()
        began = time.monotonic()
        assert http.request("POST", f"http://127.0.0.1:{listening.getsockname()[1]}/", body=b"").startswith("200 xx")
        assert time.monotonic() - began < 30
        stop.set()
        thread.join()


def test_a_webhook_whose_certificate_is_not_trusted_gets_nothing(tls: tuple[ssl.SSLContext, str]) -> None:
    """The signature goes to nobody else."""
    mailbox = Mailbox()
    with mail_server(mailbox, ssl_context=tls[0]) as port:
        url = f"https://127.0.0.1:{port}/"
        hook = WebhookChannel(name="ops", type=ChannelType.WEBHOOK, url=url, secret=Secret(KEY, "test"))
        with pytest.raises(SendError, match="certificate verify failed"):
            sender(hook).send(message(alert()))


def test_a_channel_can_be_tried(hook: Receiver, tmp_path: Path) -> None:
    """`alert-svc test-channel` prints the answer; status 1 when the message was not taken."""
    (tmp_path / "key").write_text(KEY)
    file = tmp_path / "alerts.yaml"
    file.write_text(
        "policies: [{name: website-down, kind: down}]\n"
        f"channels: [{{name: ops, type: webhook, url: '{hook.url}', secret: {{file: key}}}}]\n"
    )

    def tried(name: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["test-channel", name, "--policies", str(file)])
        return done.exit_code, done.output

    assert tried("ops") == (0, f"Sent to http://127.0.0.1:{hook.port}: 200 ok\n")
    assert b"This is a test of the channel ops" in hook.requests[0].body
    hook.status = 500
    status, said = tried("ops")
    assert (status, "not sent: http://127.0.0.1" in said) == (1, True)
    status, said = tried("chat")
    assert (status, "there is no channel chat; there are ops" in said) == (1, True)
