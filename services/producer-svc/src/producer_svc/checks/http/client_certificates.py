"""The certificates with which checks show who they are: files with a certificate and its key, in one directory."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import attrs

from monitoring_core.config.values import SecretSources
from monitoring_core.result import Reason
from producer_svc.checks.ending import EndingError


@attrs.frozen
class ClientCertificate:
    """A certificate, those above it, and its key.

    Attributes:
        changed_ns: when the file was last written, as the file system has it.
        pem: all of them, written anew: libraries differ in what they read.
    """

    name: str
    changed_ns: int
    pem: bytes = attrs.field(repr=False)
    expires_at: dt.datetime


class ClientCertificates:
    """Reads each file when it is first needed, and again when it has changed. For any number of threads."""

    def __init__(self, directory: str | None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._known: dict[str, ClientCertificate] = {}

    def get(self, name: str) -> ClientCertificate:
        """The certificate in the file with this name.

        Raises:
            EndingError: prober_error, it cannot be used. The website has no part in that.
        """
        try:
            found = self._read(name)
        except (ValueError, OSError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise unusable(name, text) from None
        if found.expires_at <= dt.datetime.now(dt.UTC):
            raise unusable(name, f"it ended {found.expires_at:%Y-%m-%d %H:%M} UTC")
        return found

    def _read(self, name: str) -> ClientCertificate:
        if self._directory is None:
            raise ValueError("monitor.client_certificate_directory is not set")
        path, known = self._directory / name, self._known.get(name)
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe, for one, may never be read to its end
            raise ValueError(f"{path} is no file")
        if known is None or known.changed_ns != status.st_mtime_ns:
            # The library takes 8 MB, which few producers need for this.
            from producer_svc.checks.x509 import certificate_and_key

            secret = SecretSources({}, self._directory).finder({"file": name})()
            pem, expires_at = certificate_and_key(secret.reveal().encode())
            known = self._known[name] = ClientCertificate(name, status.st_mtime_ns, pem, expires_at)
        return known


def unusable(name: str, why: str) -> EndingError:
    """The end of a check that cannot show its certificate."""
    return EndingError(Reason.PROBER_ERROR, f"client certificate {name}: {why}")
