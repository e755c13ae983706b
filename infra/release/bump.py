"""`bump.py PACKAGE PART`: raise a package's version, date its changelog, and set its image's version.

PACKAGE is its folder, like services/producer-svc; PART is major, minor, patch or a version.
"""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

IMAGES = {
    "producer-svc": "producer",
    "consumer-svc": "consumer",
    "alert-svc": "alert",
    "status-svc": "status",
    "dbadmin": "dbadmin",
}


def version(package: Path, *part: str) -> str:
    """The package's version, raised when a part is given."""
    if (package / "Cargo.toml").exists():
        return crate_version(package / "Cargo.toml", *part)
    command = [sys.executable, "-m", "hatchling", "version", *part]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit((done.stderr or done.stdout).strip())
    return done.stdout.strip()


def crate_version(manifest: Path, *part: str) -> str:
    """The same for a package whose version is in its Cargo.toml, and in the Cargo.lock beside it."""
    text = manifest.read_text()
    (old,) = re.findall(r'^version = "(.*)"$', text, re.MULTILINE)
    if not part:
        return str(old)
    new = raised(old, *part)
    manifest.write_text(text.replace(f'version = "{old}"', f'version = "{new}"', 1))
    command = ["cargo", "update", "--quiet", "--offline", "--workspace", "--manifest-path", str(manifest)]
    subprocess.run(command, check=True)
    return new


def raised(old: str, part: str) -> str:
    """A version with one part raised and those after it zero; or `part` itself, if it is a version."""
    places = {"major": 0, "minor": 1, "patch": 2}
    if part not in places:
        return part
    numbers = [int(number) for number in old.split(".")]
    kept = numbers[: places[part]]
    return ".".join(str(n) for n in [*kept, numbers[places[part]] + 1, *[0] * (2 - places[part])])


def date_changelog(file: Path, new: str) -> None:
    """Give the changelog's unreleased heading the version and the date of today."""
    dated = f"## {new} ({dt.datetime.now(dt.UTC).date()})"
    text, count = re.subn(r"^## \S+ \(unreleased\)$", dated, file.read_text(), count=1, flags=re.MULTILINE)
    if not count:
        sys.exit(f"{file} has no heading '## VERSION (unreleased)': note what has changed there first")
    file.write_text(text)


def set_image_version(dockerfile: Path, new: str) -> None:
    """Set the default of the build argument VERSION."""
    dockerfile.write_text(re.sub(r"^ARG VERSION=.*$", f"ARG VERSION={new}", dockerfile.read_text(), flags=re.MULTILINE))


def main(package: Path, part: str) -> None:
    """Raise the version everywhere."""
    changelog = package / "CHANGELOG.md"
    if "(unreleased)" not in changelog.read_text():
        sys.exit(f"{changelog} has no heading '## VERSION (unreleased)': note what has changed there first")
    if version(package) != part:
        version(package, part)
    new = version(package)
    date_changelog(changelog, new)
    if image := IMAGES.get(package.name):
        set_image_version(Path("infra/docker") / image / "Dockerfile", new)
    print(f"{package.name} {new}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
