"""Certificates for Apache Kafka and its clients, in the formats that each of them reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    import trustme


@attrs.frozen
class KafkaTls:
    """The files with which an Apache Kafka accepts only clients with a certificate, and the files of such a client."""

    broker_pem: Path
    authority_pem: Path
    access_certificate: Path
    access_key: Path

    def broker_settings(self) -> dict[str, str]:
        """The broker's settings."""
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.broker_pem),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority_pem),
            "ssl.client.auth": "required",
        }

    def client_settings(self) -> dict[str, str]:
        """A client's settings, as librdkafka's properties."""
        return {
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.authority_pem),
            "ssl.certificate.location": str(self.access_certificate),
            "ssl.key.location": str(self.access_key),
        }


def kafka_tls(directory: Path, authority: trustme.CA) -> KafkaTls:
    """Certificates of `authority` for a broker on 127.0.0.1 and for a client, as files in `directory`."""
    made = KafkaTls(*(directory / name for name in ("broker.pem", "ca.pem", "service.cert", "service.key")))
    chain, key = pem_pair(authority.issue_cert("127.0.0.1"))
    made.broker_pem.write_text(key + chain)
    authority.cert_pem.write_to_path(str(made.authority_pem))
    chain, key = pem_pair(authority.issue_cert("client.monitoring.example"))
    made.access_certificate.write_text(chain)
    made.access_key.write_text(key)
    return made


def pem_pair(certificate: trustme.LeafCert) -> tuple[str, str]:
    """A certificate's chain and its key as PEM; the key in PKCS 8, the only format that Apache Kafka reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return "".join(part.bytes().decode() for part in certificate.cert_chain_pems), text
