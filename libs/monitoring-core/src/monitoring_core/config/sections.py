"""The whole configuration: its sections, and the types that each setting may have."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import attrs

from monitoring_core.config.consumer import ConsumerConfig
from monitoring_core.config.database import DatabaseConfig
from monitoring_core.config.faults import Section
from monitoring_core.config.kafka import KafkaConfig
from monitoring_core.config.logging import LoggingConfig
from monitoring_core.config.metrics import MetricsConfig
from monitoring_core.config.monitor import MonitorConfig
from monitoring_core.config.roles import Role, RolesConfig
from monitoring_core.config.status import StatusConfig
from monitoring_core.config.values.secrets import Secret, SecretReference


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration, valid."""

    monitor: MonitorConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    consumer: ConsumerConfig
    metrics: MetricsConfig
    logging: LoggingConfig
    roles: RolesConfig = attrs.field(factory=RolesConfig)
    status: StatusConfig = attrs.field(factory=StatusConfig)

    def database_as(self, role: Role) -> DatabaseConfig | None:
        """The connection of a role, its password looked up now; None when it has no account of its own.

        Raises:
            ConfigError: the password is not where the configuration says.
        """
        account = self.roles.account(role)
        return attrs.evolve(self.database, user=account.user, password=account.password) if account else None


SECTIONS: dict[str, type[Section]] = {
    section.name: cast("type[Section]", section.type) for section in attrs.fields(attrs.resolve_types(Config))
}


@cache
def kinds(section: str) -> dict[str, frozenset[Any]]:
    """The types that each setting of a section may have, without their constraints."""
    fields = attrs.fields(attrs.resolve_types(SECTIONS[section]))
    return {field.name: frozenset(_alternatives(field.type)) for field in fields}


def holds_secret(section: str, key: str) -> bool:
    """Whether a setting may be a secret; False for a setting that does not exist."""
    return not kinds(section).get(key, frozenset()).isdisjoint((Secret, SecretReference))


def holds_text(section: str, key: str) -> bool:
    """Whether a setting may be text; False for a setting that does not exist."""
    return str in kinds(section).get(key, frozenset())


def _alternatives(kind: Any) -> set[Any]:
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return {inner for one in get_args(kind) for inner in _alternatives(one)} - {NoneType}
    return {kind}
