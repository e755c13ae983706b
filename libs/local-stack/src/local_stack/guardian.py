"""Ends what the stack has started when local-stack itself is gone, however it went.

A process that is killed cannot end its children. So a second process waits beside it, in a session of its own, for the
end of a pipe that the kernel closes when local-stack ends. Linux's PR_SET_PDEATHSIG would not do: it is bound to the
thread that starts a child, it is lost by PostgreSQL's processes, and it removes no file.

This module imports nothing but the standard library, so that the second process is small and there at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DONE = b"done\n"
_ORDERLY_S = 10.0
# A child that was just being started writes its file a moment later.
_ONCE_MORE_S = 0.5


@contextmanager
def guarded(directory: Path, remove: bool) -> Iterator[None]:
    """Let a second process clean up a folder of the stack if this process ends before the block does.

    Both hold a lock on the folder: what one of them starts there, or ends, must not be another's.

    Args:
        remove: whether the folder goes, too.

    Raises:
        BlockingIOError: the folder is guarded already.
    """
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        guardian = _started(directory, remove, lock.fileno())
        try:
            yield
        finally:
            with suppress(BrokenPipeError):  # somebody has ended it
                guardian.communicate(_DONE)


def _started(directory: Path, remove: bool, lock: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "local_stack.guardian", str(directory), "remove" if remove else "keep"]
    # It must not hold the pipes that somebody reads this process's output from.
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock,),
    )


def pid_file(log: Path) -> Path:
    """Where the process whose output goes to `log` writes its id."""
    return log.with_suffix(".pid")


def main() -> None:
    """Wait for the end of standard input; if it says nothing before, end the processes of the folder."""
    directory, remove = Path(sys.argv[1]), sys.argv[2] == "remove"
    if sys.stdin.buffer.read() == _DONE:
        return
    for _ in range(2):
        _end_services(directory)
        _end_postgresql(directory / "postgres" / "postmaster.pid")
        time.sleep(_ONCE_MORE_S)
    # The kernel gives these ids to others later.
    for file in directory.glob("*.pid"):
        file.unlink(missing_ok=True)
    if remove:
        shutil.rmtree(directory, ignore_errors=True)


def _end_services(directory: Path) -> None:
    """SIGTERM, so that results are saved, and SIGKILL for what has not ended then. Each leads a process group."""
    groups = [pid for file in directory.glob("*.pid") if (pid := _pid(file))]
    for number, wait_s in ((signal.SIGTERM, _ORDERLY_S), (signal.SIGKILL, 1.0)):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        _wait_for(groups, wait_s)


def _end_postgresql(file: Path) -> None:
    """SIGINT to the first process, for a fast shutdown; if need be, SIGQUIT (PostgreSQL documentation, "Shutting Down
    the Server"). The others end with it.
    """
    if not (pid := _pid(file)):
        return
    for number in (signal.SIGINT, signal.SIGQUIT):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        if _wait_for([pid], _ORDERLY_S):
            return


def _pid(file: Path) -> int | None:
    """The process id in the first line of a file; None without one."""
    with suppress(OSError, ValueError, IndexError):
        return int(file.read_text().splitlines()[0])
    return None


def _wait_for(pids: list[int], timeout_s: float) -> bool:
    """Wait until none of these processes runs; whether that came in time."""
    deadline = time.monotonic() + timeout_s
    while any(map(_runs, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user by now
        return False
    return True


if __name__ == "__main__":
    main()
