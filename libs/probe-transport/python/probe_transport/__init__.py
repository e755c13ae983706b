"""Moves the bytes of HTTP checks: names, connections, TLS, HTTP/1.1 and HTTP/2."""

from probe_transport._native import __version__ as __version__
