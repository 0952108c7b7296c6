"""``gantools demo``: train a small pix2pix on drawn shoes, run it and the shipped weights, show all of it on a page."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from string import Template
from tempfile import TemporaryDirectory

import numpy as np

from gantools import api
from gantools.data.degrade import edges
from gantools.data.loading import sampler
from gantools.data.options.blur import BlurOptions
from gantools.data.options.datasets import EdgeOptions
from gantools.data.options.degradations import JpegOptions, LowResolutionOptions, TextOptions
from gantools.data.options.masks import RandomRegionMask
from gantools.data.prepare.change import Blur, Change, Crappify, Mask
from gantools.data.synthetic import drawing
from gantools.errors import GantoolsError, ImageError
from gantools.files import write_bytes
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.images.ops import grid, resize
from gantools.jobs.result import Result
from gantools.training.reporter import Reporter, Silent

DRAWINGS, HELD_OUT, SIDE_PX = 240, 6, 64
SETTINGS = (
    "data.batch_images=8",
    "data.validation_share=0.025",
    "data.edges.min_hints=10",
    "model.generator.upsampling=resize",
    "stages.adversarial.optimizers.generator.lr=5.0e-4",
    "stages.adversarial.optimizers.discriminator.lr=1.0e-4",
    "train.ema_decay=0.99",
)
MOST_STEPS, FEWEST_STEPS = 1000, 50
TRIED_STEPS, WARM_UP_STEPS = 8, 2
TRAINING_SECONDS = 165.0
"""How long the training may take, so that all of the demo stays under four minutes on two slow cores."""

SAMPLES = Path(__file__).resolve().parent / "samples"
MASK = RandomRegionMask()
MOTION = BlurOptions(motion_weight=1, defocus_weight=0, gaussian_weight=0, motion_px=(7, 10), noise_sigma=(1, 1))


@dataclass(frozen=True)
class Degradation:
    """How sample photos are degraded, and the weights that restore them; ``mask`` makes their masks."""

    weights: str
    label: str
    change: Change
    mask: Change | None = None


DEGRADATIONS = (
    Degradation("deblur", "blurred", Blur(MOTION)),
    Degradation("restore", "small, with text, JPEG", Crappify((LowResolutionOptions(), TextOptions(), JpegOptions()))),
    Degradation("context_encoder", "masked", Mask(MASK, alone=False), mask=Mask(MASK, alone=True)),
)


class Interrupted(GantoolsError):
    """A signal stopped the demo's training, so that there is nothing to show. The exit code is the signal's."""

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"the demo was stopped while it trained; start again in a new folder, or remove {folder}")
        self.exit_code = 128 + signal


def run(folder: Path, steps: int | None, reporter: Reporter, message: Callable[[str], None]) -> Path:
    """Draw, train, run and write ``index.html`` into ``folder``; its path. Raises Interrupted.

    ``steps`` None: 1,000, or as many as this computer does in ``TRAINING_SECONDS``.
    """
    message(f"1/4 drawing {DRAWINGS} shoes")
    drawing.draw_dataset("shoes", folder / "drawn", DRAWINGS, SIDE_PX, seed=0)
    message(f"2/4 training pix2pix on them at {SIDE_PX} px")
    steps = steps or _affordable_steps(folder, message)
    training = _train(folder, folder / "run", reporter, steps)
    message("3/4 running the trained pix2pix on shoes it has not seen")
    shoes = _shoes(folder, training.path)
    message("4/4 enlarging and restoring sample photos with the shipped weights")
    photos = _enlarged(folder)
    restored = {each.weights: _restored(folder, each) for each in DEGRADATIONS}
    page = folder / "index.html"
    write_bytes(page, _page(training, restored).encode())
    message(f"{photos}: left bicubic, right srgan; {shoes}: outline, generated, truth; everything is on {page}")
    message("next: gantools infer srgan YOUR.jpg")
    message("      gantools train pix2pix/shoes-64 --data FOLDER_OF_SHOES")
    message(f"      gantools infer {training.path} drawing.png")
    return page


class _Stopwatch(Silent):
    """Notes when steps end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(self, done: int) -> None:  # noqa: ARG002 - the signature is the reporter's
        self.times.append(time.monotonic())


def _affordable_steps(folder: Path, message: Callable[[str], None]) -> int:
    """How many steps this computer does in ``TRAINING_SECONDS``, found by a short training that is thrown away."""
    message(f"    measuring how long {TRIED_STEPS} steps take here")
    stopwatch = _Stopwatch()
    with TemporaryDirectory(dir=folder, prefix="trial-") as trial:
        _train(folder, Path(trial), stopwatch, MOST_STEPS, max_steps=TRIED_STEPS)
    seconds = median(end - start for start, end in pairwise(stopwatch.times[WARM_UP_STEPS:]))
    steps = affordable_steps(seconds)
    fewer = f" instead of {MOST_STEPS}, so that the demo takes less than four minutes" if steps < MOST_STEPS else ""
    message(f"    {seconds:.2f} s per step: {steps} steps{fewer}; eta {timedelta(seconds=round(steps * seconds))}")
    return steps


def affordable_steps(seconds_per_step: float) -> int:
    """How many steps the training may have, from 50 to 1,000, in fifties."""
    return max(FEWEST_STEPS, min(MOST_STEPS, int(TRAINING_SECONDS / seconds_per_step) // 50 * 50))


def _train(
    folder: Path, run_dir: Path, reporter: Reporter, steps: int, max_steps: int | None = None
) -> api.TrainingRun:
    """Train on the drawn shoes; schedule and intervals follow the number of steps. Raises Interrupted."""
    length = (
        f"stages.adversarial.steps={steps}",
        "stages.adversarial.epochs=null",
        "stages.adversarial.schedule={name: step, at: [0.6, 0.85], factor: 0.3}",
        f"train.log_every_steps={min(max_steps or steps, max(1, steps // 10))}",
        f"train.preview_every_steps={max(1, steps // 5)}",
    )
    settings = api.configure("pix2pix/shoes-64", data=[str(folder / "drawn")], overrides=[*SETTINGS, *length])
    training = api.train(settings, run_dir=run_dir, max_steps=max_steps, reporter=reporter)
    if training.signal is not None:
        raise Interrupted(folder, training.signal)
    return training


def _shoes(folder: Path, run: Path) -> Path:
    """Outlines of unseen shoes, with dabs of their colours, through the trained network, beside the truth."""
    truths = drawing.draw_dataset("shoes", folder / "truth", HELD_OUT, SIDE_PX, seed=1)
    options, outlines = EdgeOptions(max_hints=16), []
    for seed, truth in enumerate(truths):
        pixels, rng = reader.read_rgb8(truth), sampler.sample_rng(seed, 0, 0)
        drawn = edges.colour_hints(edges.outline(pixels, options), pixels, rng, options)
        outlines.append(_write(folder / "outlines" / truth.name, drawn))
    generated = _outputs(api.infer(run, outlines, output=folder / "generated"))
    rows = [[reader.read_rgb8(path) for path in row] for row in zip(outlines, generated, truths, strict=True)]
    return _sheet(folder / "shoes.png", rows, ["outline", "generated", "truth"])


def _enlarged(folder: Path) -> Path:
    samples = sorted(SAMPLES.glob("*.jpg"))
    enlarged = _outputs(api.infer("srgan", samples, output=folder / "enlarged", format="png"))
    rows = [
        [resize.resize_bicubic(reader.read_rgb8(small), scale=4), reader.read_rgb8(large)]
        for small, large in zip(samples, enlarged, strict=True)
    ]
    return _sheet(folder / "photos.png", rows, ["bicubic x4", "srgan x4"])


def _restored(folder: Path, degradation: Degradation) -> Path:
    """Sample photos degraded, restored, and as they were."""
    own, truths = folder / degradation.weights, sorted(SAMPLES.glob("*.jpg"))
    degraded = _changed(degradation.change, truths, own / "degraded")
    if degradation.mask:
        _changed(degradation.mask, truths, own / "masks")
    mask = own / "masks" if degradation.mask else None
    restored = _outputs(api.infer(degradation.weights, degraded, output=own / "restored", mask=mask))
    rows = [[reader.read_rgb8(path) for path in row] for row in zip(degraded, restored, truths, strict=True)]
    return _sheet(folder / f"{degradation.weights}.png", rows, [degradation.label, degradation.weights, "truth"])


def _changed(change: Change, photos: Iterable[Path], folder: Path) -> list[Path]:
    """Write each photo after ``change``, seeded by the photo's name alone, so that images and masks agree."""
    return [
        _write(folder / f"{path.stem}.png", change(reader.read_rgb8(path), sampler.file_rng(0, path.stem)))
        for path in photos
    ]


def _outputs(results: Iterable[Result]) -> list[Path]:
    """The files that inference wrote. Raises ImageError for the first that failed."""
    written = []
    for result in results:
        if result.output is None or result.error:
            raise ImageError(f"{result.input}: {result.error}")
        written.append(Path(str(result.output)))
    return written


def _write(path: Path, pixels: Pixels) -> Path:
    is_gray = pixels.ndim == 2
    writer.write(Image(np.dstack([pixels] * 3) if is_gray else pixels, gray=is_gray), path)
    return path


def _sheet(path: Path, rows: Sequence[Sequence[Pixels]], labels: list[str]) -> Path:
    return _write(path, grid.grid([list(row) for row in rows], labels))


def _page(training: api.TrainingRun, restored: dict[str, Path]) -> str:
    """The page as HTML; its images lie beside it."""
    metrics = (
        f"<tr><td>{html.escape(name)}</td><td>{value:.2f}</td></tr>" for name, value in training.validation.items()
    )
    previews = (
        f'<figure><img src="run/samples/{file.name}" alt=""><figcaption>step {int(file.stem)}</figcaption></figure>'
        for file in sorted((training.path / "samples").glob("*.png"))
    )
    sheets = (
        f"<figure><figcaption><code>gantools infer {name}</code></figcaption>"
        f'<img src="{sheet.name}" alt="degraded, restored, truth"></figure>'
        for name, sheet in restored.items()
    )
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.substitute(
        steps=training.step,
        drawings=DRAWINGS,
        metrics="".join(metrics),
        restored="".join(sheets),
        previews="".join(previews),
    )
