"""The advisory lock that every command holds while it changes the installation, so that only one does at a time."""

from __future__ import annotations

# Any number that no other program uses for its advisory lock: "wamon" in ASCII.
INSTALLATION_LOCK = 0x77616D6F6E
