"""Secrets as files, for libraries that read them only from files (libpq, OpenSSL: certificates and keys)."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config.values import Secret


def secret_file(secret: Secret) -> str:
    """The path of a file with the secret, which only this user can read and which is removed with the process.

    A secret that came from a file is copied too: libpq refuses a key file that other users may read, and mounted
    secrets often have such permissions.
    """
    return str(_private_file(secret.reveal()))


@contextmanager
def passing_file(content: bytes) -> Iterator[str]:
    """The path of a file with a secret, which only this user can read, for as long as the block lasts."""
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("secret"), "wb") if in_memory else tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}" if in_memory else file.name


@cache
def _private_file(text: str) -> Path:
    if hasattr(os, "memfd_create"):  # Linux: in memory, and gone with the process however it ends
        descriptor = os.memfd_create("secret")
        path = Path(f"/proc/self/fd/{descriptor}")
    else:
        descriptor, name = tempfile.mkstemp()
        path = Path(name)
        atexit.register(path.unlink, missing_ok=True)
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, text.encode())
    if not hasattr(os, "memfd_create"):
        os.close(descriptor)
    return path
