"""Answers that need no command-line framework: ``gantools list`` and ``gantools show RECIPE[/PRESET]``.

Typer, which brings pydantic, alone costs four times what these do. What ``show`` says of the shipped presets is stored
in ``gantools/reference``: ``scripts/reference`` writes it, and a test holds it to the code.
"""

from __future__ import annotations

from pathlib import Path

from gantools.config import presets

REFERENCE = Path(__file__).resolve().parent.parent / "reference"


def answer(arguments: list[str]) -> str | None:
    """The answer to a command line, or None where it takes the whole program."""
    if arguments == ["list"]:
        return listing()
    if len(arguments) == 2 and arguments[0] == "show":
        return stored(arguments[1])
    return None


def listing() -> str:
    """One line per preset: its name and purpose."""
    found = presets.all_presets()
    width = max(len(preset.spec) for preset in found)
    return "\n".join(f"{preset.spec:{width}}  {preset.purpose()}" for preset in found)


def stored(spec: str) -> str | None:
    """The stored description of ``RECIPE[/PRESET]``; a bare recipe's is that of its default preset."""
    known = {f"{path.parent.name}/{path.stem}": path for path in REFERENCE.glob("*/*.txt")}
    path = known.get(spec) or known.get(f"{spec}/default")
    return path.read_text(encoding="utf-8").rstrip("\n") if path else None
