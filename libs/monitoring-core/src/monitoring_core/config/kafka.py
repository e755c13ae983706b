"""Section `kafka`: how to reach Kafka, and the topics."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Annotated

import attrs

from monitoring_core.config.faults import Rule
from monitoring_core.config.values import Between, Matching, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator


class SecurityProtocol(enum.StrEnum):
    """How the connection to Kafka is protected; Kafka's own names."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(enum.StrEnum):
    """How the client proves its user name and password; Kafka's own names."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


# Kafka's own rule for topic names (org.apache.kafka.common.internals.Topic).
_TopicName = Annotated[
    str, Matching(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", "a topic name (letters, digits, dots, dashes, underscores)")
]
_REGISTRY = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#@]*)?")
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@attrs.frozen(kw_only=True)
class KafkaConfig:
    """Settings of the connection to Kafka and of the topics."""

    bootstrap_servers: str
    security_protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    ca_certificate: Secret | None = None
    access_certificate: Secret | None = None
    access_key: Secret | None = None
    sasl_mechanism: SaslMechanism = SaslMechanism.SCRAM_SHA_256
    sasl_username: Secret | None = None
    sasl_password: Secret | None = None
    topic_name: _TopicName = "website_availability"
    dead_letter_topic_name: _TopicName | None = None
    alert_topic_name: _TopicName = "website_alert"
    partitions: Annotated[int, Between(1, 10_000)] = 6
    replication_factor: Annotated[int, Between(1, 15)] | None = None
    schema_registry_url: str | None = None
    schema_registry_username: Secret | None = None
    schema_registry_password: Secret | None = None

    @property
    def dead_letter_topic(self) -> str:
        """The topic for messages that can never be stored; `<topic_name>.dlq` unless it is named."""
        return self.dead_letter_topic_name or f"{self.topic_name}.dlq"

    def broken_rules(self) -> Iterator[Rule]:
        """Every broken rule between settings."""
        for server in self.bootstrap_servers.split(","):
            match = _SERVER.fullmatch(server.strip())
            if not match or not 0 < int(match[1]) <= 65_535:
                yield Rule(("bootstrap_servers",), f"must be host:port, or several with commas, got {server.strip()!r}")
        if bool(self.access_key) != bool(self.access_certificate):
            given, missing = (
                ("access_key", "access_certificate") if self.access_key else ("access_certificate", "access_key")
            )
            yield Rule((missing, given), f"is required together with {given}")
        yield from self._broken_tls_rules()
        if self.dead_letter_topic == self.topic_name:
            yield Rule(("dead_letter_topic_name", "topic_name"), "must be another topic than topic_name")
        if self.alert_topic_name in (self.topic_name, self.dead_letter_topic):
            said = "must be another topic than those of results and of dead letters"
            yield Rule(("alert_topic_name", "topic_name", "dead_letter_topic_name"), said)
        yield from self._broken_registry_rules()

    def _broken_tls_rules(self) -> Iterator[Rule]:
        tls = self.security_protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)
        sasl = self.security_protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)
        for name in ("ca_certificate", "access_certificate", "access_key"):
            secret: Secret | None = getattr(self, name)
            if secret and not tls:
                yield Rule((name, "security_protocol"), "needs security_protocol SSL or SASL_SSL")
            if secret and "-----BEGIN " not in secret.reveal():
                yield Rule((name,), f"must be PEM text (-----BEGIN …), which {secret.origin} does not hold")
        for name in ("sasl_username", "sasl_password"):
            if sasl and not getattr(self, name):
                yield Rule((name, "security_protocol"), f"is required with security_protocol {self.security_protocol}")
            if getattr(self, name) and not sasl:
                yield Rule((name, "security_protocol"), "needs security_protocol SASL_SSL or SASL_PLAINTEXT")

    def _broken_registry_rules(self) -> Iterator[Rule]:
        if self.schema_registry_url and not _REGISTRY.fullmatch(self.schema_registry_url):
            # It is not shown, since it may hold a password.
            said = "must be a URL like https://registry.example.org:8081, without user and password"
            yield Rule(("schema_registry_url",), said)
        names = ("schema_registry_username", "schema_registry_password")
        for name, other in (names, names[::-1]):
            if getattr(self, name) and not getattr(self, other):
                yield Rule((other, name), f"is required together with {name}")
        if self.schema_registry_password and not self.schema_registry_url:
            yield Rule(("schema_registry_url", *names), "is required together with schema_registry_password")

    def client_properties(self) -> dict[str, str]:
        """The connection as librdkafka's properties (librdkafka CONFIGURATION.md). Holds secrets: never log it."""
        secrets = {
            "ssl.ca.pem": self.ca_certificate,
            "ssl.certificate.pem": self.access_certificate,
            "ssl.key.pem": self.access_key,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
        }
        properties = {"bootstrap.servers": self.bootstrap_servers, "security.protocol": str(self.security_protocol)}
        if self.security_protocol.startswith("SASL"):
            properties["sasl.mechanism"] = str(self.sasl_mechanism)
        return properties | {name: secret.reveal() for name, secret in secrets.items() if secret}
