"""Groups of commands: each is imported when it is used, and every error ends it with one plain line.

This module imports no more than click and the errors, so that `--version` and `--help` of a program come at once.
"""

from __future__ import annotations

import difflib
import errno
import io
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from monitoring_core.errors import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEBUG_VARIABLE = "MONITORING_DEBUG"
# The disk is to blame for these, and no fault in the program.
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
# The whole first sentence of a command's help, whatever its length.
_WHOLE = 1_000


class LazyGroup(click.Group):
    """A command group that imports each of its commands when it is used, and lists them in the order given."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        """Args: lazy: by the name of each command, where it is: `package.module:attribute`."""
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, none of which is imported for that."""
        return [*self._lazy, *sorted(self.commands.keys() - self._lazy.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now; None when there is none."""
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, attribute = self._lazy[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which would suggest only those commands that are imported already."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its whole first sentence; click's own list cuts sentences off."""
        with formatter.section("Commands"):
            commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in commands if command])


class MonitoringGroup(LazyGroup):
    """A program: its commands end with one plain line for every error: 2 wrong usage or configuration, 1 anything else.

    With MONITORING_DEBUG set in the environment an unexpected error shows its traceback.

    Attributes:
        role: the name of the role that its commands have in PostgreSQL; None for the user in the section `database`.
        kubernetes: reads secrets from Kubernetes; None in a program that has no client for it.
    """

    def __init__(
        self,
        *args: Any,
        role: str | None = None,
        kubernetes: Callable[[str, str, str], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.role = role
        self.kubernetes = kubernetes

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        _end_on_sigterm_in_a_container()
        _print_utf8()
        try:
            super().main(*args, **kwargs)
        except MonitoringError as error:
            _end(error.exit_status, str(error))
        except BrokenPipeError:
            _give_up_output()
            sys.exit(1)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
                _give_up_output()
                _end(1, f"{error.filename or 'the output'} cannot be written: {error.strerror}")
            if os.environ.get(DEBUG_VARIABLE):
                raise
            text = " ".join(str(error).split())[:500]
            _end(1, f"internal error: {type(error).__name__}: {text} (set {DEBUG_VARIABLE}=1 for the traceback)")
        raise AssertionError("click ends the process")


def examples(*lines: str) -> str:
    """The end of a command's help: how it is used, each example on a line of its own that is never wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _end_on_sigterm_in_a_container() -> None:
    """Let SIGTERM end a command: the kernel ignores signals that process 1 does not handle."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _print_utf8() -> None:
    """Whatever the locale: what is printed has signs that older encodings lack, and other programs read it as UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _give_up_output() -> None:
    """Let the flush at exit succeed."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (open until exit)


def _end(status: int, text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(status)
