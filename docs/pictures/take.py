"""`hatch run pictures`: the pictures of the README, from a real run of `local-stack up`. It takes two minutes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from local_stack.processes import script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

FOLDER = Path(__file__).parent
# In pixels; a README is read at about this width.
SIZE = (880, 540)
MOST_BYTES = 60_000
# Until then a website that comes and goes has come and gone, and its checks fill a table.
RUN_S = 75.0
GROUP, WEBSITE = "Fine websites", "comes and goes"


@contextmanager
def running() -> Iterator[str]:
    """The sample websites, monitored as a newcomer does it; the address of the page."""
    command = [script("local-stack"), "up", "--interval", "3s"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        said = process.stderr.readline()
        address = re.search(r"http://\S+", said)
        if not address:
            sys.exit(said + process.stderr.read())
        yield address[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def take(page: Page, name: str) -> None:
    """Write one picture.

    Raises:
        SystemExit: it is too large for a README.
    """
    content = page.screenshot()
    if len(content) > MOST_BYTES:
        sys.exit(f"{name} has {len(content):,} bytes, which is more than {MOST_BYTES:,}")
    (FOLDER / name).write_bytes(content)
    print(f"{name}: {len(content):,} bytes")


def main() -> None:
    """Take all pictures."""
    with running() as address, sync_playwright() as playwright:
        time.sleep(RUN_S)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        page.goto(address)
        take(page, "overview.png")
        page.get_by_role("heading", name=GROUP).evaluate("heading => heading.scrollIntoView()")
        take(page, "groups.png")
        page.get_by_role("link", name=WEBSITE, exact=True).first.click()
        take(page, "website.png")
        browser.close()


if __name__ == "__main__":
    main()
