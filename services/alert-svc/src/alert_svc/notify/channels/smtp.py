"""A mail for each message, by the standard library."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from alert_svc.notify.channel_settings import Security
from alert_svc.notify.channels.sender import ANSWER_CHARS, ANSWER_S, SendError
from alert_svc.notify.safe import line
from alert_svc.notify.templates import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alert_svc.notify.channel_settings import SmtpChannel
    from alert_svc.notify.message import Message

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
_SHOWN_RECIPIENTS = 10
# Not every server takes eight bits (RFC 6152).
_POLICY = SMTP.clone(cte_type="7bit")
# Replies from here on are for good, those below for now (RFC 5321, section 4.2.1).
_FOR_GOOD = 500
_REMEMBERED = 1_000

_Refused = dict[str, tuple[int, bytes]]


class SmtpSender:
    """Sends one mail to all recipients; every repeat has the same Message-ID.

    Who is refused for now, by a server that greylists or for a full mailbox, is sent a repeat, and who has taken the
    mail is not. That is known as long as the process lives; after that, a repeat is for all.
    """

    def __init__(self, channel: SmtpChannel) -> None:
        self._channel = channel
        self._port = channel.port or _PORTS[channel.security]
        shown = ", ".join(channel.recipients[:_SHOWN_RECIPIENTS])
        more = len(channel.recipients) - _SHOWN_RECIPIENTS
        self.recipient = f"{shown} and {more} more" if more > 0 else shown
        # By message, of those that are repeated: who has taken it.
        self._taken: dict[str, frozenset[str]] = {}

    def send(self, message: Message) -> str:
        """Send a message; returns whom the server has taken it for.

        Raises:
            SendError: the server cannot be reached, takes it for nobody, or refuses somebody for now.
        """
        mail = self._mail(message)
        before = self._taken.get(message.id, frozenset())
        left = [address for address in self._channel.recipients if address not in before]
        try:
            refused = self._delivered(mail, left)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise SendError(f"{self._place}: {_why(error)}") from None
        taken = before | (set(left) - refused.keys())
        if not taken:
            raise SendError(f"{self._place}: {_refusals(refused)}")
        said = f"accepted, but {_refusals(refused)}" if refused else "accepted"
        if any(code < _FOR_GOOD for code, _ in refused.values()):
            self._remember(message.id, taken)
            raise SendError(f"{self._place}: {said}")
        # Who is refused for good now is refused in every repeat, too.
        self._taken.pop(message.id, None)
        return said

    def _delivered(self, mail: EmailMessage, recipients: Sequence[str]) -> _Refused:
        """Give the mail to the server; for whom it is refused."""
        with self._connected() as server:
            try:
                return server.send_message(mail, self._channel.sender, list(recipients))
            except smtplib.SMTPRecipientsRefused as error:
                return error.recipients

    def _remember(self, message_id: str, taken: frozenset[str]) -> None:
        self._taken[message_id] = taken
        if len(self._taken) > _REMEMBERED:
            del self._taken[next(iter(self._taken))]

    @property
    def _place(self) -> str:
        return f"{self._channel.host}:{self._port}"

    def _mail(self, message: Message) -> EmailMessage:
        words = rendered(message, self._channel)
        mail = EmailMessage(policy=_POLICY)
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
        try:
            if channel.security is Security.STARTTLS:
                server.starttls(context=self._context())
            if channel.user is not None and channel.password is not None:
                server.login(channel.user, channel.password.reveal())
            yield server
            # What was taken was taken, whatever is answered to a farewell.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._channel.ca_file)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SendError(f"{self._place}: ca_file {self._channel.ca_file} cannot be used: {why}") from None


def _why(error: BaseException) -> str:
    """An error in one line. What a server says to a login may hold what it was given, so that is left out."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"the server refuses the user name and password ({error.smtp_code})"
        case smtplib.SMTPResponseException():
            return line(f"{error.smtp_code} {_text(error.smtp_error)}", ANSWER_CHARS)
        case UnicodeEncodeError():  # whose text has a part of what cannot be encoded
            return "the user name and the password must be ASCII"
        case TimeoutError():
            return f"no answer within {ANSWER_S:g} s"
    return line(str(error) or type(error).__name__, ANSWER_CHARS)


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    said = "; ".join(f"{address}: {code} {_text(answer)}" for address, (code, answer) in refused.items())
    return line(f"refused for {said}", ANSWER_CHARS)


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
