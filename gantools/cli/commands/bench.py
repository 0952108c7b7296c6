"""``gantools bench``: how fast this computer trains each recipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from gantools.cli.output import console
from gantools.training.reporter import Silent

WARM_UP_STEPS = 2


@console.guarded
def bench(
    cases: Annotated[list[str] | None, typer.Argument(metavar="[RECIPE[/PRESET]]...", help="[all recipes]")] = None,
    full: Annotated[bool, typer.Option("--full", help="The default presets: minutes each on a CPU.")] = False,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Timed steps of each setting.")] = 3,
    device: Annotated[
        str, typer.Option("--device", envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda[:N] or mps.")
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")] = False,
) -> None:
    """Time training steps of each recipe's first stage on this computer, by precision and memory layout."""
    from gantools import recipes
    from gantools.devices import choose_device, has_bf16

    precisions = ("fp32", "bf16") if has_bf16(choose_device(device)) else ("fp32",)
    for recipe in cases or ():
        recipes.find(recipe.partition("/")[0])
    if not json:
        console.result("| case | setting | s/step | images/s | times as fast |\n|---|---|---:|---:|---:|")
    for case in cases or recipes.names():
        console.message(f"measuring {case}")
        for row in _measured(case, full, precisions, rounds, device):
            if json:
                console.result_json(asdict(row))
            else:
                console.result(row.line())


@dataclass(frozen=True)
class Timed:
    """Median seconds of a training step; ``ratio``: how many times as fast as in fp32 with contiguous tensors."""

    case: str
    setting: str
    seconds_per_step: float
    images_per_second: float
    ratio: float

    def line(self) -> str:
        """As a row of a Markdown table."""
        numbers = f"{self.seconds_per_step:.4f} | {self.images_per_second:.3g} | {self.ratio:.2f}"
        return f"| {self.case} | {self.setting} | {numbers} |"


class _Stopwatch(Silent):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(self, done: int) -> None:  # noqa: ARG002 - the signature is the reporter's
        self.times.append(time.perf_counter())


def _measured(case: str, full: bool, precisions: tuple[str, ...], rounds: int, device: str) -> Iterator[Timed]:
    """Short trainings on drawn images, one for each precision and layout, thrown away."""
    import statistics
    from tempfile import TemporaryDirectory

    from gantools import api
    from gantools.data.synthetic import drawing

    name, _, preset = case.partition("/")
    recipe = api.find_recipe(name)
    spec = f"{name}/{preset or (recipe.default_preset if full else recipe.quick_preset or recipe.default_preset)}"
    steps, first = WARM_UP_STEPS + rounds + 1, 0.0
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        images = api.configure(spec, overrides=recipe.bench_settings).config.data.batch_images
        drawing.draw_dataset(recipe.drawings, data, max(12, 2 * images), 320, seed=0, suffix=".jpg")
        for precision in precisions:
            for layout in ("contiguous", "channels_last"):
                settings = [*recipe.bench_settings, f"train.precision={precision}", f"train.memory_format={layout}"]
                stopwatch, run = _Stopwatch(), Path(folder, f"{precision}-{layout}")
                configured = api.configure(spec, data=[str(data)], overrides=settings)
                api.train(configured, run_dir=run, max_steps=steps, device=device, reporter=stopwatch)
                seconds = statistics.median(end - start for start, end in pairwise(stopwatch.times[WARM_UP_STEPS:]))
                first = first or seconds
                yield Timed(spec, f"{precision} {layout}", seconds, images / seconds, first / seconds)
