"""Where the ``gantools`` command starts: quick answers first, then the whole program."""

from __future__ import annotations

import sys

from gantools.cli import quick


def main() -> None:
    """Run the command line."""
    text = quick.answer(sys.argv[1:])
    if text is not None:
        print_quietly(text)
        return
    from gantools.cli.main import app

    app()


def print_quietly(text: str) -> None:
    """Print to stdout as the whole program would: a closed pipe is no complaint."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(141) from None
