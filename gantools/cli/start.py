"""Where the ``gantools`` command starts: standard streams and exit codes, whatever the command does."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from typer import Typer


def main() -> None:
    """Run the command line. A stdout that is closed or full is one line and an exit code, whatever the command."""
    code = _exit_code(_answer)
    if code:
        with contextlib.suppress(OSError):  # the command has said what failed
            _write_out()
    else:
        code = _exit_code(_write_out)
    # All is written: an interrupt of what libraries do at the end is not worth a traceback.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
    if code:
        sys.exit(code)


def _exit_code(action: Callable[[], int]) -> int:
    """What ``action`` returns, or the exit code of how it ended."""
    try:
        return action()
    except SystemExit as ended:
        return int(ended.code or 0)
    except KeyboardInterrupt:  # before a command began, or after its last word
        return 128 + signal.SIGINT
    except BrokenPipeError:  # its reader has seen enough
        return 128 + getattr(signal, "SIGPIPE", 13)
    except OSError as error:
        from gantools.cli.output import console

        return console.report(error)


def _answer() -> int:
    """Answer the command line and return the exit code."""
    _require_streams()
    from gantools.cli.app import app

    return run(app)


def _require_streams() -> None:
    """Raise OSError without a stdout; a stdin or stderr that is closed becomes one that is empty.

    Else the next file that is opened would take its number, and with it what is meant for the terminal.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the program's whole life
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        raise OSError("standard output is closed; send it to a file or a pipe")


def _write_out() -> int:
    """Write out what stdout and stderr hold. Where that fails the rest goes nowhere; raises OSError if it was stdout.

    Python flushes both once more as it ends, and would exit 120 if that failed as well.
    """
    try:
        _flush(sys.stdout)
    finally:
        with contextlib.suppress(OSError):
            _flush(sys.stderr)
    return 0


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def run(app: Typer) -> int:
    """Run the whole program; a command line that Typer refuses is one line, as every other failure is."""
    try:
        return int(app(prog_name="gantools", standalone_mode=False) or 0)
    except Exception as error:
        # By what they can do: Typer's errors are Click's up to 0.25 and its own, without a public name, from 0.26 on.
        if not hasattr(error, "format_message"):
            raise
        return _refuse(error)


def _refuse(error: Any) -> int:
    """Report Typer's error and return its exit code. A command without its sub-command prints its help."""
    from gantools.cli.output import console

    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return int(error.exit_code)
    help_of = f"; see {error.ctx.command_path} --help" if getattr(error, "ctx", None) else ""
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # pydantic's
    console.failure(console.quoted(f"{message[:1].lower()}{message[1:]}{help_of}"))
    return int(error.exit_code)
