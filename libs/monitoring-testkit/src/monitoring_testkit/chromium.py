"""A real Chromium for tests: the machine's own, without a window."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from monitoring_testkit.needs import need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that ends with the block. Where there is no Chromium, the test fails in CI and is skipped elsewhere."""
    path = shutil.which("chromium")
    need("Chromium", None if path else "chromium, which Debian's package of this name has")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
