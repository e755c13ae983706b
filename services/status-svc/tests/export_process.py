"""Exports to a folder again and again until it is killed. Every file of an export has the same text."""

import sys
from collections.abc import Iterator
from pathlib import Path

from status_svc import export

FILES = 60


def files(number: int) -> Iterator[tuple[str, bytes]]:
    for file in range(FILES):
        yield f"components/{file}.html", str(number).encode() * 500


if __name__ == "__main__":
    number = int(sys.argv[2])
    while True:
        number += 1
        export.write(Path(sys.argv[1]), files(number))
        print(number, flush=True)
