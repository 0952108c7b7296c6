"""``gantools data synth|pairs|split|pack|inspect|preview``: make, divide, pack and look at data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from gantools.cli.commands.data_change import Output, carry_out
from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import progress
from gantools.cli.output.results import Json, Overwrite
from gantools.data.prepare import commands
from gantools.errors import UsageError

REFUSED = 2


@dataclass(kw_only=True, eq=False, repr=False)
class Folders:
    """What is typed after ``data pairs``."""

    folders: Annotated[list[Path], typer.Argument(metavar="A B | AB", help="Two folders to combine, or one to divide.")]
    output: Output
    json_lines: Json = False


@console.guarded
@options_command(commands.WritingImages, Folders)
def pairs(options: commands.WritingImages, given: Folders) -> None:
    """Put same-named images of two folders side by side; or divide such A|B images into folders a and b."""
    from gantools import api

    prepared = api.make_pairs(given.folders, given.output, options)
    sources = given.folders if len(given.folders) == 1 else ()
    carry_out("pairs", prepared, given.output, json_lines=given.json_lines, sources=sources)


@dataclass(kw_only=True, eq=False, repr=False)
class DataSet:
    """What is typed after ``data split``."""

    source: Annotated[Path, typer.Argument(metavar="DIR", help="A data set: photos, pairs, or two domains.")]
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for train, val and test.")]
    json_lines: Json = False


@console.guarded
@options_command(commands.Split, DataSet)
def split(options: commands.Split, given: DataSet) -> None:
    """Split a data set into folders train, val and test; the two files of a pair stay together."""
    from gantools import api

    prepared = api.split_data(given.source, given.output, options)
    carry_out("split", prepared, given.output, json_lines=given.json_lines, seed=options.seed)


@console.guarded
def pack(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Data sets, with their sub-folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder for the shards.")],
    shard_megabytes: Annotated[float, typer.Option("--shard-megabytes", min=0.001, help="Size of a shard.")] = 256.0,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Shuffle single images, to be read shard by shard: for sets that outgrow memory."
        ),
    ] = False,
    json_lines: Json = False,
) -> None:
    """Pack images into tar files; every recipe trains on the new folder (--data) as on the old one."""
    from gantools import api

    if output.exists():
        raise UsageError(f"-o {output}: exists already; name a new folder")
    with progress("pack") as update:
        made = api.pack_data(folders, output, shard_megabytes=shard_megabytes, stream=stream, progress=update)
    if json_lines:
        counts = {"images": made.images, "shards": made.shards, "bytes": made.bytes}
        console.result_json({"output": str(output), **counts})
    else:
        console.result(str(output))
        console.message(f"{made.images} images in {made.shards} shards, {made.bytes / 1e6:.1f} MB")


@console.guarded
def synth(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe the images are for.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder to draw into.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Images to draw (of each domain).")] = 200,
    size_px: Annotated[int, typer.Option("--size", min=16, max=4096, help="Side of an image in pixels.")] = 128,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same images.")] = 0,
    json_lines: Json = False,
) -> None:
    """Draw images to try a recipe with: shoes, fruit, textured scenes, digits by class, shoes with captions."""
    from gantools import api

    kind = api.find_recipe(recipe).drawings
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"-o {output}: exists and is not empty; name a new folder")
    paths = api.draw_data(recipe, output, count=count, size_px=size_px, seed=seed)
    if json_lines:
        console.result_json(
            {"folder": str(output), "kind": kind, "count": len(paths), "size_px": size_px, "seed": seed}
        )
    else:
        console.result(str(output))
        console.message(f"drew {len(paths)} images; try: gantools train {recipe} --data {output}")


@console.guarded
def inspect(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A data set, searched with its sub-folders.")],
    kind: Annotated[
        commands.KindOrAuto, typer.Option("--as", help="What the folder holds; auto: what a recipe would take it for.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; results do not depend on it [cores].")
    ] = None,
    json_lines: Json = False,
) -> None:
    """Decode every image and say what is there and what is wrong. Exit code 2: no recipe could train on it."""
    from gantools import api
    from gantools.data.prepare.inspect import facts, lines

    with progress("inspect") as update:
        report = api.inspect_data(source, None if kind == "auto" else kind, workers=workers, progress=update)
    if json_lines:
        console.result_json(facts(report))
    else:
        for line in lines(report):
            console.result(console.quoted(line))
    for problem in report.problems:
        console.failure(console.quoted(problem))
    raise typer.Exit(REFUSED if report.problems else 0)


@console.guarded
def distill(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE[/PRESET]", help="Whose inputs are made.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the samples.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Weights, a run, another code's file; without it originals."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", metavar="DIR", help="Folder (may be repeated).")] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Samples in the folder at the end.")] = 1000,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of order, crops and degradations.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps; the teacher's.")] = "auto",
    json_lines: Json = False,
) -> None:
    """Write training samples with what a teacher makes of them; `train --data` learns from the new folder.

    Typed again after an interruption, or with a larger count, it goes on.
    """
    from gantools import api

    settings = api.configure(recipe, config, data or (), _with_seed(overrides, seed))
    with progress("distill") as update:
        new = api.distill_data(settings, teacher, output, count=count, device=device, progress=update)
    if json_lines:
        console.result_json({"output": str(output), "samples": count, "new": new})
    else:
        console.result(str(output))
        console.message(f"{new} new samples of {count}; next: gantools train {recipe} --data {output}")


@console.guarded
def preview(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE[/PRESET]", help="Whose data is shown.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Image to write.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Take the settings from this file.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", metavar="DIR", help="Folder (may be repeated).")] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="Examples to show.")] = 8,
    split: Annotated[Literal["training", "validation"], typer.Option(help="What is shown.")] = "training",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of order, crops and whatever else is random.")] = None,
    overwrite: Overwrite = False,
    json_lines: Json = False,
) -> None:
    """Show what a recipe would be fed: a row per example, a column per image of it, as it comes from the loader."""
    from gantools import api
    from gantools.images import formats

    formats.format_of(output)
    if output.exists() and not overwrite:
        raise UsageError(f"exists already: {str(output)!r}; --overwrite replaces it")
    settings = api.configure(recipe, config, data or (), _with_seed(overrides, seed))
    shown = api.preview_data(settings, output, split=split, count=count)
    if json_lines:
        console.result_json({"output": str(output), "data": shown})
    else:
        console.result(str(output))
        console.message(f"{split}: {shown}")


def _with_seed(overrides: list[str] | None, seed: int | None) -> list[str]:
    """Typed settings, and the seed where one is given, which wins."""
    return [*(overrides or ()), *([] if seed is None else [f"seed={seed}"])]
