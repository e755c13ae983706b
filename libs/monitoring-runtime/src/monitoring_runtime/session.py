"""The settings of a session with PostgreSQL, which the server, its database or the account must not decide."""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# PgBouncer keeps these apart for each of its clients (its documentation, "track_extra_parameters").
_TRACKED = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, MDY",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
}
_OURS = {
    "intervalstyle": "postgres",
    # The project names the schema of every table; extensions are in public.
    "search_path": "public",
    # Tables are where the database is: PostgreSQL makes no partitioned table if its place is named as the default.
    "default_tablespace": "",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "array_nulls": "on",
    "row_security": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
}
# The first version that knows it -> setting.
_NEWER = {140_000: "idle_session_timeout", 170_000: "transaction_timeout"}
# Whoever asks for more than a commit on disk, gets it.
_DURABLE = (
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' "
    "THEN 'remote_apply' ELSE 'on' END, %(local)s)"
)


class Session(psycopg.Connection[Any]):
    """A connection whose settings are those of this module.

    Directly, they are set once. Through a pool of connections, as PgBouncer is one, each transaction may be in another
    session, which others use too: `transaction` sets them for the time of each transaction.

    Attributes:
        in_pool: whether a pool is between this process and the server.
    """

    in_pool = False
    _settings: Mapping[str, str] = MappingProxyType({})

    def pin(self, statement_timeout_s: float | None) -> None:
        """Find out whether there is a pool, and set what holds for the session. Once, in autocommit mode.

        Args:
            statement_timeout_s: how long the server lets a statement run; None for as long as it takes.
        """
        row = self.execute("SELECT pg_backend_pid()").fetchone()
        # A pool gives its clients numbers of its own, by which it knows their requests to cancel.
        self.in_pool = row is None or row[0] != self.info.backend_pid
        milliseconds = 0 if statement_timeout_s is None else round(1000 * statement_timeout_s)
        newer = {name: "0" for version, name in _NEWER.items() if self.info.server_version >= version}
        self._settings = _OURS | newer | {"statement_timeout": str(milliseconds)}
        if not self.in_pool:
            self._set(_TRACKED | self._settings, local=False)
            return
        self._set(_TRACKED, local=False, durable=False)
        self.prepare_threshold = None
        # Said by BEGIN itself, because it is too late for it in a transaction.
        self.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        self.read_only = False
        self.deferrable = False

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """A transaction with the settings of this module; a savepoint within another one."""
        outermost = self.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if self.in_pool and outermost:
                self._set(self._settings, local=True)
            yield transaction

    def _set(self, settings: Mapping[str, str], *, local: bool, durable: bool = True) -> None:
        values: dict[str, str | bool] = {f"v{number}": value for number, value in enumerate(settings.values())}
        calls = [f"set_config('{name}', %(v{number})s, %(local)s)" for number, name in enumerate(settings)]
        self.execute(f"SELECT {', '.join(calls + [_DURABLE] * durable)}".encode(), values | {"local": local})
