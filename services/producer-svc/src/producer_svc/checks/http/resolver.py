"""Name look-ups of the engine requests, within the time budget of a check. The engine native has its own."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from producer_svc.checks.http.progress import DeadlineError, DnsError, OwnFaultError, ProbeError
from producer_svc.checks.network import OWN_FAULTS, exhausted

if TYPE_CHECKING:
    from collections.abc import Sequence

# What getaddrinfo returns: family, kind, protocol, canonical name, and an address of that family.
Address = tuple[int, int, int, str, Any]


class Resolver:
    """Looks names up. The system's resolver cannot be interrupted, so it runs in threads of its own."""

    def __init__(self, max_concurrent: int) -> None:
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="dns")

    def resolve(self, host: str, port: int, timeout_s: float) -> Sequence[Address]:
        """The addresses of a host.

        Raises:
            DnsError, DeadlineError: the host has no address, or none was found in time.
            OwnFaultError: no file descriptor was left for the look-up, or no thread, since look-ups outlast checks.
        """
        with contextlib.suppress(socket.gaierror):  # an IP address needs neither a look-up nor a thread
            return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        lookup = self._threads.submit(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
        try:
            return lookup.result(timeout_s)
        except FutureTimeoutError:
            if lookup.cancel():  # True when the look-up had not begun
                raise OwnFaultError("all look-ups wait for other names") from None
            raise DeadlineError from None
        except UnicodeError:
            raise DnsError(f"{host[:100]}: is not a host name") from None
        except OSError as error:
            raise _failure(host, error) from None

    def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _failure(host: str, error: OSError) -> ProbeError:
    """Whose fault a failed look-up is."""
    if isinstance(error, socket.gaierror):
        if why := exhausted():
            return OwnFaultError(why)
    elif error.errno in OWN_FAULTS:
        return OwnFaultError(error.strerror)
    return DnsError(f"{host}: {error.strerror}")
