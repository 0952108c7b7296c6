"""How long the functions are: prints median, 90th percentile and the longest; fails when the house rule is broken.

Usage: house.py FOLDER…
"""

from __future__ import annotations

import ast
import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MEDIAN_LINES = 10
PERCENTILE_90_LINES = 38


class Function(NamedTuple):
    """A function, its length counted from ``def`` to its last line, docstring included."""

    lines: int
    where: str


def functions(folder: Path) -> Iterator[Function]:
    """Every function and method below ``folder``, nested ones too."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Function((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")


def main(folders: list[str]) -> int:
    """Print the figures; 1 when they are over the limits."""
    found = sorted(function for folder in folders for function in functions(Path(folder)))
    if not found:
        print("no functions found; usage: house.py FOLDER…", file=sys.stderr)
        return 1
    median = statistics.median(function.lines for function in found)
    percentile_90 = found[math.ceil(0.9 * len(found)) - 1].lines
    print(f"{len(found)} functions: median {median:g} lines (at most {MEDIAN_LINES}),", end=" ")
    print(f"90th percentile {percentile_90} (at most {PERCENTILE_90_LINES}),", end=" ")
    print(f"longest {found[-1].lines} ({found[-1].where})")
    return int(median > MEDIAN_LINES or percentile_90 > PERCENTILE_90_LINES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
