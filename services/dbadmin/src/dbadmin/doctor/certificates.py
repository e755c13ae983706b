"""Certificates: those that the configuration names, and those that the servers present."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import struct
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from dbadmin.doctor.findings import Finding, failed, passed, warned
from monitoring_core.config.secret_files import secret_file
from monitoring_core.config.values import split_host_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitoring_core.config import Config, DatabaseConfig, KafkaConfig, Secret

TIMEOUT_S = 5.0
_SOON = dt.timedelta(days=21)
# The request to continue in TLS (PostgreSQL documentation, "Message Formats": SSLRequest).
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def check_own(config: Config, now: dt.datetime) -> Iterator[Finding]:
    """The certificates and keys that the configuration names."""
    for section, part in (("kafka", config.kafka), ("database", config.database)):
        for name in ("ca_certificate", "access_certificate"):
            secret: Secret | None = getattr(part, name)
            if secret:
                yield from _check_file(f"{section}.{name}", secret, now)
        if part.access_certificate and part.access_key:
            yield from _check_pair(section, part.access_certificate, part.access_key)


def check_kafka(config: KafkaConfig, now: dt.datetime) -> Iterator[Finding]:
    """The certificate of each bootstrap server."""
    if "SSL" not in config.security_protocol:
        return
    context = _context()
    if config.access_certificate and config.access_key:
        context.load_cert_chain(secret_file(config.access_certificate), secret_file(config.access_key))
    for server in config.bootstrap_servers.split(","):
        host, port = split_host_port(server.strip())
        subject = f"certificate of Kafka at {server.strip()}"
        try:
            with socket.create_connection((host, port), TIMEOUT_S) as plain:
                yield _judge_dates(subject, _presented(context, plain, host), now)
        except (ssl.SSLError, ValueError) as error:
            yield failed(subject, f"cannot be seen: {_plain(error)}", "see what Kafka itself says")
        except OSError:
            return  # it is away, which another examination tells


def check_postgresql(config: DatabaseConfig, now: dt.datetime) -> Iterator[Finding]:
    """The certificate of PostgreSQL, unless the connection goes without TLS by intent."""
    if config.host.startswith("/") or config.sslmode == "disable":
        return
    subject = f"certificate of PostgreSQL at {config.address}"
    try:
        with socket.create_connection((config.host, config.port), TIMEOUT_S) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) == b"S":
                yield _judge_dates(subject, _presented(_context(), plain, config.host), now)
            elif not _is_local(config.host):
                yield warned(
                    subject, "there is none, passwords and results go in the clear", "set ssl = on at the server"
                )
    except (ssl.SSLError, ValueError) as error:
        yield failed(subject, f"cannot be seen: {_plain(error)}", "see what PostgreSQL itself says")
    except OSError:
        return  # it is away, which another examination tells


def _check_file(subject: str, secret: Secret, now: dt.datetime) -> Iterator[Finding]:
    try:
        certificates = x509.load_pem_x509_certificates(secret.reveal().encode())
    except ValueError:
        yield failed(subject, f"{secret.origin} holds no certificate", "give it the right file")
        return
    yield _judge_dates(subject, min(certificates, key=lambda certificate: certificate.not_valid_after_utc), now)


def _check_pair(section: str, certificate: Secret, key: Secret) -> Iterator[Finding]:
    subject = f"{section}.access_key"
    try:
        public = load_pem_private_key(key.reveal().encode(), None).public_key()
        certified = x509.load_pem_x509_certificates(certificate.reveal().encode())[0].public_key()
    except (ValueError, TypeError):
        yield failed(subject, f"{key.origin} holds no private key without a password", "give it the right file")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) == certified.public_bytes(*form):
        yield passed(subject, "belongs to access_certificate")
    else:
        yield failed(subject, "belongs to another certificate than access_certificate", "give both from one download")


def _context() -> ssl.SSLContext:
    """A TLS context that accepts any certificate; other examinations connect as the clients do and verify it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _presented(context: ssl.SSLContext, plain: socket.socket, host: str) -> x509.Certificate:
    with context.wrap_socket(plain, server_hostname=host) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


def _judge_dates(subject: str, certificate: x509.Certificate, now: dt.datetime) -> Finding:
    end = certificate.not_valid_after_utc
    if now >= end:
        return failed(subject, f"expired {end:%Y-%m-%d %H:%M} UTC", "renew it")
    if now < certificate.not_valid_before_utc:
        return failed(
            subject, f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "set this clock right"
        )
    if end - now < _SOON:
        return warned(subject, f"expires {end:%Y-%m-%d %H:%M} UTC, in {(end - now).days} days", "renew it")
    return passed(subject, f"valid until {end:%Y-%m-%d}")


def _is_local(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _plain(error: Exception) -> str:
    return (str(error.strerror or error) if isinstance(error, OSError) else str(error))[:200] or type(error).__name__
