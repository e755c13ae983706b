"""`python docs/generate [--check] [PAGE ...]`: writes the generated pages of the documents, or says which are stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import alerting_matrix
import asyncapi
import configuration
import data_dictionary

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent.parent
PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "alerting-matrix": ("alerting-matrix.md", alerting_matrix.page),
    "asyncapi": ("asyncapi.json", asyncapi.page),
    "configuration": ("configuration.md", configuration.page),
    "data-dictionary": ("data-dictionary.md", data_dictionary.page),
}


def main() -> None:
    """Write the pages, or with --check compare them and end with status 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Change nothing; status 1 when a page is out of date.")
    parser.add_argument("--docs", type=Path, default=DOCS, help="The folder of the pages.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"{', '.join(PAGES)}; without one, all of them.")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.pages if name not in PAGES]:
        parser.error(f"there is no page {unknown[0]}; there are {', '.join(PAGES)}")
    stale = False
    for name in arguments.pages or PAGES:
        file_name, write = PAGES[name]
        file, text = arguments.docs / file_name, write()
        if not arguments.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            stale = True
            print(f"{file} is out of date: hatch run docs {name}", file=sys.stderr)
    sys.exit(1 if stale else 0)


if __name__ == "__main__":
    main()
