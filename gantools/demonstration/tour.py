"""Draw shoes, train a small pix2pix on them, run it and the shipped weights, show it all on a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from gantools import api
from gantools.data.degrade import edges
from gantools.data.loading import sampler
from gantools.data.options.datasets import EdgeOptions
from gantools.data.synthetic import drawing
from gantools.demonstration import page as pages
from gantools.demonstration.worn import SAMPLES, outputs, sheet, show_worn
from gantools.errors import GantoolsError
from gantools.files import write_bytes
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.images.ops import resize
from gantools.training.reporter import Reporter, Silent

PICTURES, HELD_OUT, SIDE_PX = 240, 6, 64
TRAINING = (
    "data.batch_images=8",
    "data.validation_share=0.025",
    "data.edges.min_hints=10",
    "model.generator.upsampling=resize",
    "stages.adversarial.optimizers.generator.lr=5.0e-4",
    "stages.adversarial.optimizers.discriminator.lr=1.0e-4",
    "train.ema_decay=0.99",
)
MOST_STEPS, FEWEST_STEPS = 1000, 50
TRIED_STEPS, UNTIMED_STEPS = 8, 2
TRAINING_SECONDS = 165.0
"""What the training may take, so that all of the demo stays under four minutes on two slow cores."""


class Interrupted(GantoolsError):
    """A signal stopped the demo's training, which saved; there is nothing to show. The exit code is the signal's."""

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"the demo was stopped while it trained; begin again in a new folder, or remove {folder}")
        self.exit_code = 128 + signal


@dataclass(frozen=True)
class Shown:
    """What the demo left behind."""

    page: Path
    run: Path
    shoes: Path
    photos: Path

    def closing_lines(self) -> list[str]:
        """What to look at and what to type next."""
        return [
            f"look at {self.photos} (left: bicubic, right: srgan) and {self.shoes} (outline | generated | truth);",
            f"all of it is on {self.page}, the training's sample sheets are in {self.run / 'samples'}.",
            "next: gantools infer srgan YOUR.jpg",
            "      gantools train pix2pix/shoes-64 --data FOLDER_OF_SHOES",
            f"      gantools infer {self.run} drawing.png",
        ]


def run(folder: Path, steps: int | None, reporter: Reporter, tell: Callable[[str], None]) -> Shown:
    """Draw, train, infer and write ``index.html`` into ``folder``. Raises Interrupted.

    ``steps`` None: 1,000, or as many as this computer does in ``TRAINING_SECONDS``.
    """
    tell(f"1/4 drawing {PICTURES} shoes")
    drawings = drawing.draw_dataset("shoes", folder / "drawn", PICTURES, SIDE_PX, seed=0)
    tell(f"2/4 training pix2pix on them at {SIDE_PX} px")
    training = _train(folder, steps or _affordable_steps(folder, tell), reporter)
    tell("3/4 running the trained pix2pix on shoes it has not seen")
    shoes = _shoes(folder, training.path)
    tell("4/4 enlarging and mending sample photos with the shipped weights")
    photos, mended = _photos(folder), show_worn(folder)
    page = folder / "index.html"
    write_bytes(page, pages.render(training, shoes, photos, mended, len(drawings)).encode())
    return Shown(page, training.path, shoes, photos)


class _Stopwatch(Silent):
    """Notes when steps are done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(self, done: int) -> None:  # noqa: ARG002 - the signature is the reporter's
        self.times.append(time.monotonic())

    def seconds_per_step(self) -> float:
        """The median, without the first steps, which also set up what the others use."""
        times = self.times[UNTIMED_STEPS:]
        return median(later - earlier for earlier, later in pairwise(times))


def _affordable_steps(folder: Path, tell: Callable[[str], None]) -> int:
    """How many steps this computer does in the time there is, found by a short training that is thrown away."""
    tell(f"    measuring how long {TRIED_STEPS} steps take here")
    stopwatch, settings = _Stopwatch(), _settings(folder, MOST_STEPS, f"train.log_every_steps={TRIED_STEPS}")
    with TemporaryDirectory(dir=folder, prefix="trial-") as trial:
        _ended(folder, api.train(settings, run_dir=trial, max_steps=TRIED_STEPS, reporter=stopwatch))
    seconds = stopwatch.seconds_per_step()
    steps = affordable_steps(seconds)
    fewer = f" instead of {MOST_STEPS}, so that the demo takes less than four minutes" if steps < MOST_STEPS else ""
    tell(f"    {seconds:.2f} s per step: {steps} steps{fewer}; eta {timedelta(seconds=round(steps * seconds))}")
    return steps


def affordable_steps(seconds_per_step: float) -> int:
    """How many steps the training may have, from 50 to 1,000, in fifties."""
    return max(FEWEST_STEPS, min(MOST_STEPS, int(TRAINING_SECONDS / seconds_per_step) // 50 * 50))


def _train(folder: Path, steps: int, reporter: Reporter) -> api.TrainingRun:
    return _ended(folder, api.train(_settings(folder, steps), run_dir=folder / "run", reporter=reporter))


def _ended(folder: Path, training: api.TrainingRun) -> api.TrainingRun:
    """The training, unless a signal stopped it. Raises Interrupted."""
    if training.signal is not None:
        raise Interrupted(folder, training.signal)
    return training


def _settings(folder: Path, steps: int, *overrides: str) -> api.Settings:
    """The training's settings: what counts steps follows their number; ``overrides`` come last."""
    length = (
        f"stages.adversarial.steps={steps}",
        "stages.adversarial.epochs=null",
        "stages.adversarial.schedule={name: step, at: [0.6, 0.85], factor: 0.3}",
        f"train.log_every_steps={max(1, steps // 10)}",
        f"train.preview_every_steps={max(1, steps // 5)}",
    )
    return api.configure("pix2pix/shoes-64", data=[str(folder / "drawn")], overrides=[*TRAINING, *length, *overrides])


def _shoes(folder: Path, run: Path) -> Path:
    """Outlines with dabs of colour of shoes from another seed through the trained network, beside the truth."""
    truths = drawing.draw_dataset("shoes", folder / "truth", HELD_OUT, SIDE_PX, seed=1)
    drawn = [_drawing(truth, folder / "outlines" / truth.name, seed) for seed, truth in enumerate(truths)]
    made = outputs(api.infer(run, drawn, output=folder / "generated"))
    rows = [[reader.read_rgb8(path) for path in row] for row in zip(drawn, made, truths, strict=True)]
    return sheet(folder / "shoes.png", rows, ["outline", "generated", "truth"])


def _drawing(photo: Path, path: Path, seed: int) -> Path:
    """An outline of a photo with some dabs of its colours, as a person might draw it."""
    pixels, options = reader.read_rgb8(photo), EdgeOptions(max_hints=16)
    drawing = edges.colour_hints(edges.outline(pixels, options), pixels, sampler.sample_rng(seed, 0, 0), options)
    writer.write(Image(drawing), path)
    return path


def _photos(folder: Path) -> Path:
    samples = sorted(SAMPLES.glob("*.jpg"))
    enlarged = outputs(api.infer("srgan", samples, output=folder / "enlarged", format="png"))
    rows = [[_bicubic(small), reader.read_rgb8(large)] for small, large in zip(samples, enlarged, strict=True)]
    return sheet(folder / "photos.png", rows, ["bicubic x4", "srgan x4"])


def _bicubic(path: Path) -> Pixels:
    return resize.resize_bicubic(reader.read_rgb8(path), scale=4)
