"""Secrets, which are never shown, and references to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from monitoring_core.config.faults import ConfigError, Fault


@attrs.frozen
class Secret:
    """A value that is never shown in a log, an error or a repr.

    Attributes:
        origin: where it came from, in words that may be shown.
        path: the file that it came from; None when it came from elsewhere.
    """

    _value: str = attrs.field(repr=False)
    origin: str
    path: Path | None = None
    _read_again: Callable[[], Secret] | None = attrs.field(default=None, repr=False, eq=False)

    def reveal(self) -> str:
        """The secret itself, as it is now. Hand it to the library that needs it and to nothing else.

        A file is read again, because secrets are replaced while services run. While it cannot be read, the secret is
        what it was at first.
        """
        if self._read_again is None:
            return self._value
        try:
            return self._read_again()._value
        except ValueError:
            return self._value

    def __str__(self) -> str:
        return f"(secret from {self.origin})"


@attrs.frozen
class SecretReference:
    """Where a secret is. It is looked up when it is needed, not when the configuration is read.

    Attributes:
        place: where a person finds the reference: file and line, variable or option.
        path: the setting that holds the reference, dotted.
    """

    _look_up: Callable[[], Secret] = attrs.field(repr=False, eq=False)
    place: str = ""
    path: str = ""

    def __str__(self) -> str:
        return "(secret, not looked up)"

    def resolve(self) -> Secret:
        """The secret.

        Raises:
            ConfigError: the secret is not where the reference says.
        """
        try:
            return self._look_up()
        except ValueError as error:
            raise ConfigError([Fault(self.place, self.path, str(error))]) from None
