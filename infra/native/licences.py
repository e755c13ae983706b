"""Whether everything that is built into probe-transport may be: its licences, its sources, and no version twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).resolve().parents[2] / "libs/probe-transport/Cargo.toml"
TARGET = "x86_64-unknown-linux-gnu"
# Permissive ones. Of an expression with OR, one of them is enough; of one with AND, all must be among them.
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
        *("CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib", "OpenSSL"),
    }
)
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def packages() -> list[dict[str, Any]]:
    """What is built in, on the platform of the images."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    done = subprocess.run([*command, "--manifest-path", str(MANIFEST)], check=True, capture_output=True, text=True)
    metadata = json.loads(done.stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in used]


def allowed(expression: str) -> bool:
    """Whether an SPDX expression allows the use. The older form with a slash stands for OR."""
    words = re.sub(r"\s*/\s*", " OR ", expression)
    while group := re.search(r"\(([^()]*)\)", words):
        words = words.replace(group[0], "MIT" if allowed(group[1]) else "no")
    return any(all(term.strip() in ALLOWED for term in part.split(" AND ")) for part in words.split(" OR "))


def faults(found: list[dict[str, Any]]) -> list[str]:
    """One sentence for each package that may not be built in."""
    said = []
    versions = Counter(package["name"] for package in found)
    for package in found:
        name = f"{package['name']} {package['version']}"
        if not allowed(package["license"] or "none"):
            said.append(f"{name}: the licence {package['license']} is not among those that are allowed")
        if package["source"] not in (None, REGISTRY):
            said.append(f"{name}: comes from {package['source']}, not from the registry")
        if versions[package["name"]] > 1:
            said.append(f"{name}: more than one version is built in")
    return said


if __name__ == "__main__":
    everything = packages()
    said = faults(everything)
    print(*said, f"{len(everything)} packages, {len(said)} faults", sep="\n")
    sys.exit(bool(said))
