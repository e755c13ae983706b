"""Requests to receivers: bounded in time and size, never redirected, with no word of their secrets in errors."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from alert_svc import __version__
from alert_svc.notify.channels.sender import ANSWER_CHARS, ANSWER_S, CONNECT_S, SendError
from alert_svc.notify.safe import line

if TYPE_CHECKING:
    from collections.abc import Mapping

_USER_AGENT = f"website-availability-monitor alert-svc/{__version__}"
_MAX_ANSWER_BYTES = 4_096


def place(url: str) -> str:
    """Where a URL leads, without its path and query, in which many services have a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> str:
    """Make one request; returns the status and the first line of the answer.

    Raises:
        SendError: there was no answer, or it is not 2xx. A redirect is not followed, because the signature and the
            secrets are for the receiver that was configured.
    """
    deadline = time.monotonic() + ANSWER_S
    with requests.Session() as session:
        session.auth = login or _as_it_is  # else a netrc file of the machine would add a password
        try:
            with session.request(
                method,
                url,
                data=body,
                headers={"User-Agent": _USER_AGENT, **(headers or {})},
                timeout=(CONNECT_S, ANSWER_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                status, text = response.status_code, _first_line(response, deadline)
                come_again = response.headers.get("Retry-After", "")
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise SendError(f"{place(url)}: {_why(error)}") from None
    if status in range(300, 400):
        raise SendError(f"{place(url)}: answered {status}, a redirect, which is not followed: configure where it leads")
    said = f"{status} {text}".strip()
    if status not in range(200, 300):
        raise SendError(f"{place(url)}: answered {said}", _seconds_until(come_again))
    return said


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _seconds_until(come_again: str) -> float:
    """What `Retry-After` says (RFC 9110, section 10.2.3); 0 where it says nothing that can be understood."""
    if come_again.isascii() and come_again.isdigit():
        return float(come_again)
    try:
        moment = parsedate_to_datetime(come_again)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() - time.time())


def _first_line(response: requests.Response, deadline: float) -> str:
    """The begin of the body. The rest is not read: the connection is closed."""
    read = b""
    # A body that breaks off is no fault: the status has come, and says whether the message was taken.
    with suppress(HTTPError, OSError, ValueError):
        while len(read) < _MAX_ANSWER_BYTES and time.monotonic() < deadline:
            part = response.raw.read1(_MAX_ANSWER_BYTES, decode_content=False)
            if not part:
                break
            read += part
    return line(read.decode("utf-8", "replace"), ANSWER_CHARS)


def _why(error: BaseException) -> str:
    """An error in one line. The texts of libraries hold the URL, so only their causes are worded."""
    seen: BaseException | None = error
    while seen is not None:
        match seen:
            case requests.ConnectTimeout():
                return f"no connection within {CONNECT_S:g} s"
            case requests.ReadTimeout() | TimeoutError():
                return f"no answer within {ANSWER_S:g} s"
            case socket.gaierror():
                return "the name of the host is not known"
            case ssl_error if type(ssl_error).__module__ == "ssl":
                return line(f"TLS: {ssl_error}", ANSWER_CHARS)
            case OSError(strerror=str(text)) if not isinstance(seen, requests.RequestException):
                return text
        seen = _cause(seen)
    return f"no answer ({type(error).__name__})"


def _cause(error: BaseException) -> BaseException | None:
    inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
    return inner or getattr(error, "reason", None) or error.__cause__ or error.__context__
