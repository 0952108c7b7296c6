"""``gantools data synth``: draw images to try a recipe with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.cli.output.results import Json
from gantools.errors import UsageError


@console.guarded
def synth(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe the images are for.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder to draw into.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images to draw (of each domain).")] = 200,
    size_px: Annotated[int, typer.Option("--size", min=16, max=4096, help="Side of an image in pixels.")] = 128,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same images.")] = 0,
    json_lines: Json = False,
) -> None:
    """Draw images to try a recipe with: shoes for pix2pix, fruit for cyclegan, textured scenes for srgan."""
    from gantools import recipes
    from gantools.data.synthetic import drawing

    kind = recipes.find(recipe).drawings
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"-o {output}: exists and is not empty; name a new folder")
    paths = drawing.draw_dataset(kind, output, count, size_px, seed)
    if json_lines:
        console.result_json(
            {"folder": str(output), "kind": kind, "count": len(paths), "size_px": size_px, "seed": seed}
        )
    else:
        console.result(str(output))
        console.message(f"drew {len(paths)} images; try: gantools train {recipe} --data {output}")
