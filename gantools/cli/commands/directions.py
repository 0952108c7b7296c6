"""``gantools directions``: learn, list and describe directions of a model's styles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.options import options_command
from gantools.cli.output import console
from gantools.cli.output.progress import ProgressBar
from gantools.cli.output.results import Json, ModelName
from gantools.generation.options import LearnOptions

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def directions() -> None:
    """Directions along which `gantools edit` changes images: learn, list, describe."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Asked(LearnOptions):
    """What is typed: what a direction is learnt from, and how it is printed."""

    model: ModelName
    json_lines: Json = False


@app.command()
@console.guarded
@options_command(Asked)
def learn(asked: Asked) -> None:
    """Learn a direction of a model with styles from scores, labelled images, examples, a measure, or its weights.

    Exit codes: 0 done, 2 invalid command.
    """
    from gantools import api

    bars: dict[str, ProgressBar] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in bars:
            for bar in bars.values():
                bar.close()
            bars[what] = ProgressBar(what, total, transient=True)
        bars[what].update(done)

    try:
        learnt = api.learn_directions(asked.model, asked, progress=progress)
    finally:
        for bar in bars.values():
            bar.close()
    for facts in learnt:
        if asked.json_lines:
            console.result_json(facts)
        else:
            console.result(str(facts["path"]))
            console.message(console.quoted(_line(facts)))


@app.command("list")
@console.guarded
def list_directions(model: ModelName, json_lines: Json = False) -> None:
    """List the directions that lie beside a model's weights."""
    from gantools import api

    rows = api.list_directions(model)
    for facts in rows:
        if json_lines:
            console.result_json(facts)
        else:
            console.result(console.quoted(_line(facts)))
    if not rows:
        console.message("none; `gantools directions learn` makes some")


@app.command()
@console.guarded
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A direction: .npz, or InterFaceGAN's .npy.")],
    json_lines: Json = False,
) -> None:
    """Show what a direction was learnt from, and how often it is right."""
    from gantools import api

    console.result_facts(api.describe_direction(file), as_json=json_lines)


def _line(facts: dict[str, object]) -> str:
    """A direction on one line."""
    parts = [str(facts.get("learnt") or "of unknown origin")]
    accuracy, rest = facts.get("accuracy"), facts.get("accuracy_rest")
    if isinstance(accuracy, float):
        parts.append(f"right on {accuracy:.1%} of held-out extremes")
    if "strength" in facts:
        parts.append(f"strength {facts['strength']:.3g}")
    if isinstance(rest, float):
        parts.append(f"on {rest:.1%} of the rest")
    return f"{facts['name']}: {', '.join(parts)}"
