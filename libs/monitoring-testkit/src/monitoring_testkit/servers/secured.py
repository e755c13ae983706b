"""An installation as in production: PostgreSQL and Apache Kafka with TLS, and the configuration to reach them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import attrs
import yaml

from monitoring_core.config import Role
from monitoring_testkit.servers.tls_postgresql import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitoring_testkit.servers.certificates import KafkaTls
    from monitoring_testkit.servers.tls_postgresql import TlsPostgresql

_ROLES = tuple(Role)


@attrs.define
class Secured:
    """A PostgreSQL and an Apache Kafka, both secured, with the configuration and the files of secrets to reach them."""

    directory: Path
    database: TlsPostgresql
    bootstrap_servers: str
    kafka: KafkaTls

    @property
    def config_file(self) -> Path:
        """The configuration of all programs, with an account for each role."""
        return self.directory / "config.yaml"

    def secret(self, name: str) -> Path:
        """The file of a password: `owner`, `administrator`, `producer`, `consumer` or `reader`."""
        return self.directory / f"{name}-password"

    def write_config(self, sections: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Write the configuration, with the additional settings of `sections`, and the secrets that are missing."""
        self.secret("owner").write_text(self.database.owner_password)
        for role in _ROLES:
            if not self.secret(role).exists():
                self.secret(role).write_text(secrets.token_urlsafe(18))
        content = self._content()
        for name, settings in (sections or {}).items():
            content[name] = content.get(name, {}) | dict(settings)
        self.config_file.write_text(yaml.safe_dump(content, sort_keys=False))

    def _content(self) -> dict[str, dict[str, object]]:
        return {
            "kafka": {
                "bootstrap_servers": self.bootstrap_servers,
                "security_protocol": "SSL",
                "ca_certificate": {"file": str(self.kafka.authority_pem)},
                "access_certificate": {"file": str(self.kafka.access_certificate)},
                "access_key": {"file": str(self.kafka.access_key)},
            },
            "database": {
                "host": self.database.postgres.host,
                "port": self.database.postgres.port,
                "user": OWNER,
                "password": {"file": str(self.secret("owner"))},
                "ca_certificate": {"file": str(self.kafka.authority_pem)},
            },
            "roles": {f"{role}_user": f"monitoring_{role}" for role in _ROLES}
            | {f"{role}_password": {"file": str(self.secret(role))} for role in _ROLES},
            "metrics": {"host": "127.0.0.1", "port": 0},
        }
