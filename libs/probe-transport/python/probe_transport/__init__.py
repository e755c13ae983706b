"""Moves the bytes of HTTP checks: names, connections, TLS, HTTP/1.1 and HTTP/2."""

from probe_transport._native import Answer, ClientCertificate, Transport, __version__

__all__ = ["Answer", "ClientCertificate", "Transport", "__version__"]
