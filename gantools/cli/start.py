"""Where the ``gantools`` command starts: quick answers first, then the whole program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gantools.cli import quick

if TYPE_CHECKING:
    from typer import Typer


def main() -> None:
    """Run the command line."""
    text = quick.answer(sys.argv[1:])
    if text is not None:
        print_quietly(text)
        return
    from gantools.cli.main import app

    sys.exit(run(app))


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
    from gantools.cli import console

    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return int(error.exit_code)
    help_of = f"; see {error.ctx.command_path} --help" if getattr(error, "ctx", None) else ""
    message = " ".join(error.format_message().split()).rstrip(".")
    console.failure(console.quoted(f"{message[:1].lower()}{message[1:]}{help_of}"))
    return int(error.exit_code)


def print_quietly(text: str) -> None:
    """Print to stdout as the whole program would: a closed pipe is no complaint."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(141) from None
