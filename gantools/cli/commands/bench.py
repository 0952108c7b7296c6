"""``gantools bench``: how fast this computer trains each recipe, beside a plain loop."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.errors import UsageError


@console.guarded
def bench(
    cases: Annotated[list[str] | None, typer.Argument(metavar="[CASE]...", help="What to measure [all].")] = None,
    full: Annotated[bool, typer.Option("--full", help="The papers' sizes: minutes a case on a processor.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Steps of each loop; they take turns.")] = 3,
    device: Annotated[
        str, typer.Option("--device", envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda[:N] or mps.")
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Time training steps of each recipe beside a plain fp32 loop written by hand, on this computer."""
    from gantools.benchmark import tables, timing
    from gantools.benchmark.cases import CASES, chosen
    from gantools.benchmark.contenders import modes
    from gantools.devices import choose_device

    known = [case.name for case in CASES]
    if unknown := [name for name in cases or () if name not in known]:
        raise UsageError(f"bench: no case {', '.join(unknown)}; there are {', '.join(known)}")
    where, rows = choose_device(device), []
    for case in chosen(cases):
        console.message(f"measuring {case.name}")
        rows += timing.compare(case, where, modes(where), small=not full, rounds=rounds)
    if json:
        for row in rows:
            console.result_json(asdict(row))
    else:
        console.result(tables.speed(rows))
