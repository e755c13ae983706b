"""Section `roles`: the accounts in PostgreSQL that each part works under."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from monitoring_core.config.database import MAX_NAME_BYTES, Name
from monitoring_core.config.faults import ConfigError, Fault, Rule
from monitoring_core.config.values import Secret, SecretReference

if TYPE_CHECKING:
    from collections.abc import Iterator

# PostgreSQL documentation, CREATE ROLE: no name may begin with pg_; these two mean something else in GRANT.
_RESERVED = ("public", "none")


class Role(enum.StrEnum):
    """The parts that work in PostgreSQL, each with rights of its own."""

    ADMINISTRATOR = "administrator"
    PRODUCER = "producer"
    CONSUMER = "consumer"
    ALERT = "alert"
    STATUS = "status"
    STATUS_WRITER = "status_writer"
    READER = "reader"


@attrs.frozen
class Account:
    """A role's login in PostgreSQL; without a password where the server asks for none."""

    role: Role
    user: str
    password: Secret | None


@attrs.frozen(kw_only=True)
class RolesConfig:
    """The configured accounts. A part without an account connects as `database.user`."""

    administrator_user: Name | None = None
    administrator_password: SecretReference | None = None
    producer_user: Name | None = None
    producer_password: SecretReference | None = None
    consumer_user: Name | None = None
    consumer_password: SecretReference | None = None
    alert_user: Name | None = None
    alert_password: SecretReference | None = None
    status_user: Name | None = None
    status_password: SecretReference | None = None
    status_writer_user: Name | None = None
    status_writer_password: SecretReference | None = None
    reader_user: Name | None = None
    reader_password: SecretReference | None = None

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        known: dict[str, str] = {}
        for role in Role:
            key, user = f"{role}_user", self.user(role)
            if user is None:
                if getattr(self, f"{role}_password"):
                    yield Rule((f"{role}_password", key), f"needs {key}")
                continue
            if len(user.encode(errors="replace")) > MAX_NAME_BYTES:
                yield Rule((key,), f"must be at most {MAX_NAME_BYTES} bytes, which is PostgreSQL's limit for a name")
            if user.startswith("pg_") or user in _RESERVED:
                yield Rule((key,), f"is reserved by PostgreSQL, got {user!r}")
            if user in known:
                yield Rule((key, known[user]), f"must be another user than {known[user]}")
            known.setdefault(user, key)

    def user(self, role: Role) -> str | None:
        """The user of a role; None when it has none of its own."""
        user: str | None = getattr(self, f"{role}_user")
        return user

    def account(self, role: Role) -> Account | None:
        """The account of a role, its password looked up now; None when it has none of its own.

        Raises:
            ConfigError: the password is not where the configuration says.
        """
        user, reference = self.user(role), getattr(self, f"{role}_password")
        return Account(role, user, reference.resolve() if reference else None) if user else None

    def accounts(self) -> tuple[Account, ...]:
        """All configured accounts.

        Raises:
            ConfigError: passwords are not where the configuration says, with a fault for each.
        """
        found: list[Account | None] = []
        faults: list[Fault] = []
        for role in Role:
            try:
                found.append(self.account(role))
            except ConfigError as error:
                faults += error.faults
        if faults:
            raise ConfigError(faults)
        return tuple(account for account in found if account)
