"""A mail for each message, by the standard library."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from alert_svc.notify.channel_settings import Security
from alert_svc.notify.channels.sender import ANSWER_CHARS, ANSWER_S, SendError
from alert_svc.notify.safe import line
from alert_svc.notify.templates import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alert_svc.notify.channel_settings import SmtpChannel
    from alert_svc.notify.message import Message

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
_SHOWN_RECIPIENTS = 10


class SmtpSender:
    """Sends one mail to all recipients; every repeat has the same Message-ID."""

    def __init__(self, channel: SmtpChannel) -> None:
        self._channel = channel
        self._port = channel.port or _PORTS[channel.security]
        shown = ", ".join(channel.recipients[:_SHOWN_RECIPIENTS])
        more = len(channel.recipients) - _SHOWN_RECIPIENTS
        self.recipient = f"{shown} and {more} more" if more > 0 else shown

    def send(self, message: Message) -> str:
        """Send a message; returns whom the server has taken it for.

        Raises:
            SendError: the server cannot be reached, or takes it for nobody.
        """
        mail = self._mail(message)
        try:
            with self._connected() as server:
                refused = server.send_message(mail, self._channel.sender, list(self._channel.recipients))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise SendError(f"{self._channel.host}:{self._port}: {_why(error)}") from None
        if refused:
            # Taken for the others: who is refused now is refused in every repeat, too.
            said = "; ".join(f"{address}: {code} {_text(answer)}" for address, (code, answer) in refused.items())
            return line(f"accepted, but refused for {said}", ANSWER_CHARS)
        return "accepted"

    def _mail(self, message: Message) -> EmailMessage:
        words = rendered(message, self._channel)
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._channel.sender
        mail["To"] = ", ".join(self._channel.recipients)
        mail["Subject"] = words.title
        mail["Date"] = format_datetime(message.made_at)
        mail["Message-ID"] = f"<{message.id}@{self._channel.sender.rpartition('@')[2]}>"
        # RFC 3834: nothing answers this by itself.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words.text + "\n")
        return mail

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        channel = self._channel
        if channel.security is Security.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(channel.host, self._port, timeout=ANSWER_S, context=self._context())
        else:
            server = smtplib.SMTP(channel.host, self._port, timeout=ANSWER_S)
        with server:
            if channel.security is Security.STARTTLS:
                server.starttls(context=self._context())
            if channel.user is not None and channel.password is not None:
                server.login(channel.user, channel.password.reveal())
            yield server

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._channel.ca_file)


def _why(error: BaseException) -> str:
    """An error in one line. What a server says to a login may hold what it was given, so that is left out."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"the server refuses the user name and password ({error.smtp_code})"
        case smtplib.SMTPRecipientsRefused():
            said = "; ".join(
                f"{address}: {code} {_text(answer)}" for address, (code, answer) in error.recipients.items()
            )
            return line(f"refused for {said}", ANSWER_CHARS)
        case smtplib.SMTPResponseException():
            return line(f"{error.smtp_code} {_text(error.smtp_error)}", ANSWER_CHARS)
        case TimeoutError():
            return f"no answer within {ANSWER_S:g} s"
    return line(str(error) or type(error).__name__, ANSWER_CHARS)


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
