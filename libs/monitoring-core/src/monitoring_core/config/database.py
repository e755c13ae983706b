"""Section `database`: how to reach PostgreSQL, and the schema that holds the tables."""

from __future__ import annotations

import datetime as dt
import enum
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.secret_files import secret_file
from monitoring_core.config.values import Between, Matching, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NAME_BYTES = 63
# Notice within 30 s a server that vanished without closing its connections; the kernel's defaults take 15 minutes.
_KEEPALIVE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class SslMode(enum.StrEnum):
    """How the connection to PostgreSQL is protected; libpq's own names."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class TimeSeries(enum.StrEnum):
    """How the table of results is divided by time: into PostgreSQL's own partitions, or by TimescaleDB."""

    NATIVE = "native"
    TIMESCALEDB = "timescaledb"


_DAY = dt.timedelta(days=1)
Name = Annotated[str, Matching(r"[^\x00-\x1f\x7f]+", "a name, without control characters")]


@attrs.frozen(kw_only=True)
class DatabaseConfig:
    """Settings of the connection to PostgreSQL and of the schema."""

    host: Annotated[str, Matching(r"[^\s,\0]+", "one host name, address or socket folder")]
    port: Annotated[int, Between(1, 65_535)] = 5432
    database: Name = "monitoring"
    schema: Name = "monitoring"
    user: str | Secret
    password: Secret | None = None
    ca_certificate: Secret | None = None
    access_certificate: Secret | None = None
    access_key: Secret | None = None
    sslmode: SslMode | None = None
    connect_timeout: Annotated[dt.timedelta, Between(dt.timedelta(seconds=1), dt.timedelta(minutes=5))] = dt.timedelta(
        seconds=10
    )
    partitions_ahead: Annotated[int, Between(1, 366)] = 14
    timeseries: TimeSeries = TimeSeries.NATIVE
    retention: Annotated[dt.timedelta, Between(2 * _DAY, 3660 * _DAY)] = 90 * _DAY
    rollup_retention: Annotated[dt.timedelta, Between(2 * _DAY, 36_600 * _DAY)] = 1095 * _DAY

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        yield from self._broken_name_rules()
        for name in ("retention", "rollup_retention"):
            if getattr(self, name) % _DAY:
                yield Rule((name,), "must be whole days, like 90d")
        if self.rollup_retention < self.retention:
            yield Rule(("rollup_retention", "retention"), "must not be shorter than retention")
        yield from self._broken_tls_rules()

    def _broken_name_rules(self) -> Iterator[Rule]:
        for name in ("database", "schema"):
            if len(getattr(self, name).encode(errors="replace")) > MAX_NAME_BYTES:
                yield Rule((name,), f"must be at most {MAX_NAME_BYTES} bytes, which is PostgreSQL's limit for a name")
        if self.schema.startswith("pg_") or self.schema == "information_schema":
            yield Rule(("schema",), f"is reserved by PostgreSQL, got {self.schema!r}")
        if "%" in self.schema:
            yield Rule(
                ("schema",), f"must have no percent sign, which PostgreSQL's clients replace, got {self.schema!r}"
            )
        if self.database in ("template0", "template1"):
            yield Rule(("database",), f"is PostgreSQL's own template, got {self.database!r}")

    def _broken_tls_rules(self) -> Iterator[Rule]:
        for name in ("ca_certificate", "access_certificate", "access_key"):
            secret: Secret | None = getattr(self, name)
            if secret and "-----BEGIN " not in secret.reveal():
                yield Rule((name,), f"must be PEM text (-----BEGIN …), which {secret.origin} does not hold")
        if bool(self.access_key) != bool(self.access_certificate):
            given, missing = (
                ("access_key", "access_certificate") if self.access_key else ("access_certificate", "access_key")
            )
            yield Rule((missing, given), f"is required together with {given}")
        if self.ca_certificate and self.sslmode in (SslMode.DISABLE, SslMode.PREFER, SslMode.REQUIRE):
            yield Rule(("sslmode", "ca_certificate"), "must be verify-ca or verify-full when ca_certificate is given")
        if not self.ca_certificate and self.sslmode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
            yield Rule(("sslmode", "ca_certificate"), f"{self.sslmode} needs ca_certificate")

    @property
    def address(self) -> str:
        """Where the server is, for people: `host:port`."""
        return f"{self.host}:{self.port}"

    def connection_parameters(self, application_name: str) -> dict[str, str]:
        """The connection as libpq's parameters (PostgreSQL documentation, "Parameter Key Words"). Holds secrets."""
        sslmode = self.sslmode or (SslMode.VERIFY_FULL if self.ca_certificate else SslMode.PREFER)
        parameters = _KEEPALIVE | {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user.reveal() if isinstance(self.user, Secret) else self.user,
            "sslmode": str(sslmode),
            "connect_timeout": str(round(self.connect_timeout.total_seconds())),
            "application_name": application_name,
        }
        if self.password:
            parameters["password"] = self.password.reveal()
        if self.ca_certificate:
            parameters["sslrootcert"] = secret_file(self.ca_certificate)
        if self.access_certificate and self.access_key:
            parameters |= {"sslcert": secret_file(self.access_certificate), "sslkey": secret_file(self.access_key)}
        return parameters
