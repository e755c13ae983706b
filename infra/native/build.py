"""Build the wheel of probe-transport and put it into hatch's environments: `hatch run native:build`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRATE = ROOT / "libs/probe-transport"
# Environments in which a producer runs.
ENVIRONMENTS = ("default", "producer", "local", "bench")


def build(out: Path) -> Path:
    """The wheel, built in this folder.

    Raises:
        SystemExit: there is no compiler, or it fails.
    """
    if shutil.which("cargo") is None:
        sys.exit("the transport is written in Rust, and cargo is not installed: see https://rustup.rs")
    shutil.rmtree(out, ignore_errors=True)
    command = ["maturin", "build", "--release", "--locked", "--quiet", "--out", str(out)]
    if subprocess.run([*command, "--manifest-path", str(CRATE / "Cargo.toml")], check=False).returncode:
        sys.exit("the transport cannot be built")
    (wheel,) = out.glob("*.whl")
    return wheel


def install(wheel: Path, environment: str) -> None:
    """Put the wheel into an environment of hatch, which is made if need be."""
    hatch = [os.environ.get("HATCH", "hatch"), "--env", environment, "run"]
    found = subprocess.run([*hatch, "which", "python"], check=True, cwd=ROOT, capture_output=True, text=True)
    python = found.stdout.strip().splitlines()[-1]
    command = ["uv", "pip", "install", "--quiet", "--python", python, "--no-deps", "--reinstall", str(wheel)]
    subprocess.run(command, check=True)
    print(f"{wheel.name} is in the environment {environment}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help=f"default: {', '.join(ENVIRONMENTS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/native", help="the folder of the wheel")
    arguments = parser.parse_args()
    wheel = build(arguments.out)
    for environment in arguments.environments or ENVIRONMENTS:
        install(wheel, environment)


if __name__ == "__main__":
    main()
