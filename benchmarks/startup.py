"""How long the quick commands take, beside importing the command-line framework alone.

The commands take turns, so that a busy moment meets them all; medians and their ratio to the first are printed.
Usage: python -m benchmarks.startup [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

GANTOOLS = [sys.executable, "-m", "gantools"]
COMMANDS = {
    "python -c 'import typer, rich'": [sys.executable, "-c", "import typer, rich"],
    "gantools --help": [*GANTOOLS, "--help"],
    "gantools list": [*GANTOOLS, "list"],
    "gantools show pix2pix": [*GANTOOLS, "show", "pix2pix"],
}


def main(rounds: int = 15) -> None:
    """Print a line per command."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        for name, command in COMMANDS.items():
            took = seconds_of(command)
            if turn:  # the first turn warms the disk cache
                seconds[name].append(took)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    base = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:32} {1000 * median:7.1f} ms   {median / base:5.2f}")


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
