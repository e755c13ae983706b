"""Asks blackbox_exporter for a check of each URL at each interval: `python ask_blackbox.py PORT INTERVAL_S FILE`."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3

_AT_ONCE = 50


def main() -> None:
    port, interval_s, urls = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines()
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=_AT_ONCE)
    threads, room = ThreadPoolExecutor(_AT_ONCE), threading.Semaphore(2 * _AT_ONCE)

    def ask(url: str) -> None:
        try:
            pool.request("GET", "/probe", fields={"target": url, "module": "check"}, timeout=5, retries=False)
        finally:
            room.release()

    began = time.monotonic()
    for number, url in enumerate(itertools.cycle(urls)):
        time.sleep(max(0.0, began + number * interval_s / len(urls) - time.monotonic()))
        if room.acquire(blocking=False):  # else it has fallen behind, and this check is left out
            threads.submit(ask, url)


if __name__ == "__main__":
    main()
