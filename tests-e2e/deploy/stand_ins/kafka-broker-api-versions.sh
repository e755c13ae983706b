#!/usr/bin/env python3
"""Whether the broker takes connections."""

import socket
import sys

host, _, port = sys.argv[sys.argv.index("--bootstrap-server") + 1].partition(":")
socket.create_connection((host, int(port)), 5).close()
