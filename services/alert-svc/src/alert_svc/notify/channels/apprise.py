"""Whatever Apprise speaks, one URL at a time; it comes with the extra alert-svc[apprise]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alert_svc.notify.channels.sender import SendError
from alert_svc.notify.templates import rendered
from monitoring_core.errors import StopError

if TYPE_CHECKING:
    from alert_svc.notify.channel_settings import AppriseChannel
    from alert_svc.notify.message import Message


class AppriseSender:
    """Sends text to one service. Apprise says no more than whether that worked."""

    def __init__(self, channel: AppriseChannel) -> None:
        """Raises StopError: Apprise is not installed, or does not know the URL."""
        self._channel = channel
        self._service()

    @property
    def recipient(self) -> str:
        """The service."""
        return f"Apprise {self._channel.url.reveal().partition('://')[0]}"

    def send(self, message: Message) -> str:
        """Send a message; returns that it was taken.

        Raises:
            SendError: it was not taken.
        """
        words = rendered(message, self._channel)
        # Made anew, because the file of the secret may have changed.
        if not self._service().notify(title=words.title, body=words.text, body_format="text"):
            raise SendError(f"{self.recipient}: the service did not take it")
        return "taken"

    def _service(self) -> Any:
        try:
            import apprise
        except ImportError:
            raise StopError(
                f"channel {self._channel.name}: Apprise is not installed: install alert-svc[apprise]"
            ) from None
        # A redirect would take what is in the URL elsewhere, whatever the URL says about redirects.
        asset = apprise.AppriseAsset(http_redirects=False)
        service = apprise.Apprise(asset=asset)
        if not service.add(self._channel.url.reveal()) or len(service) != 1:
            raise StopError(f"channel {self._channel.name}: Apprise does not know this URL")
        service[0].redirects = False
        return service
