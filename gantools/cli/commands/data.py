"""``gantools data``: make training data, and look at it."""

from __future__ import annotations

import typer

from gantools.cli.commands.data_change import align, blur, crappify, edges, gray, lowres, mask
from gantools.cli.commands.data_sets import distill, inspect, pack, pairs, preview, split, synth

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

for _command in (
    synth,
    edges,
    crappify,
    blur,
    mask,
    lowres,
    gray,
    align,
    pairs,
    split,
    pack,
    inspect,
    preview,
    distill,
):
    app.command()(_command)


@app.callback()
def data() -> None:
    """Make training data, and look at it."""
