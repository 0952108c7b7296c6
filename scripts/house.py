"""Print how the code is cut up: lengths of functions, private helpers with one call site, small files.

Fails only when the 90th percentile of the function lengths is over its limit.

Usage: house.py FOLDER…
"""

from __future__ import annotations

import ast
import math
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PERCENTILE_90_LINES = 38
SMALL_FILE_LINES = 40


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


def one_call_helpers(folder: Path) -> list[str]:
    """Private functions and methods whose name occurs once below ``folder``, besides their definition."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    words = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    private = (
        (path, node.name)
        for path, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_") and not node.name.startswith("__")
    )
    return [f"{path}: {name}" for path, name in private if words[name] == 2]


def small_files(folder: Path) -> list[Path]:
    """Modules with fewer than ``SMALL_FILE_LINES`` lines; ``__init__`` and ``__main__`` do not count."""
    modules = (path for path in sorted(folder.rglob("*.py")) if not path.name.startswith("__"))
    return [path for path in modules if len(path.read_text(encoding="utf-8").splitlines()) < SMALL_FILE_LINES]


def main(folders: list[str]) -> int:
    """Print the measurements; 1 when the functions are too long."""
    found = sorted(function for folder in folders for function in functions(Path(folder)))
    if not found:
        print("no functions found; usage: house.py FOLDER…", file=sys.stderr)
        return 1
    files = [path for folder in folders for path in Path(folder).rglob("*.py")]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    percentile_90 = found[math.ceil(0.9 * len(found)) - 1].lines
    print(f"{lines} lines in {len(files)} files")
    print(f"{len(found)} functions: median {statistics.median(function.lines for function in found):g} lines,", end=" ")
    print(f"90th percentile {percentile_90} (at most {PERCENTILE_90_LINES}),", end=" ")
    print(f"longest {found[-1].lines} ({found[-1].where})")
    print(f"{sum(len(one_call_helpers(Path(folder))) for folder in folders)} private helpers with one call site")
    print(f"{sum(len(small_files(Path(folder))) for folder in folders)} files under {SMALL_FILE_LINES} lines")
    return int(percentile_90 > PERCENTILE_90_LINES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
