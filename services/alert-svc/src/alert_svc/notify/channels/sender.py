"""What every way to send a message has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from alert_svc.notify.message import Message

# For a connection, and for each answer within it. A whole attempt may take CALL_S.
CONNECT_S = 5.0
ANSWER_S = 10.0
CALL_S = 30.0
# How much of an answer is kept.
ANSWER_CHARS = 500


class SendError(Exception):
    """A message was not taken, or nobody knows whether it was. The text says why, in one line without secrets.

    Attributes:
        come_again_s: after how many seconds the receiver asks to be asked again; 0 when it says nothing.
    """

    def __init__(self, why: str, come_again_s: float = 0.0) -> None:
        super().__init__(why)
        self.come_again_s = come_again_s


class Sender(Protocol):
    """Sends messages to one recipient."""

    @property
    def recipient(self) -> str:
        """To whom, without secrets; as it is now, since a URL may be a secret that is replaced."""
        ...

    def send(self, message: Message) -> str:
        """Send a message; returns what the receiver answered, in one line.

        Raises:
            SendError: it was not taken, or nobody knows.
        """
        ...
