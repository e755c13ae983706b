"""The advisory lock of everything that changes the installation, so that one change happens at a time."""

from __future__ import annotations

# Any number that no other program uses for its advisory lock: "wamon" in ASCII.
INSTALLATION_LOCK = 0x77616D6F6E
