"""Rows about memory: too little of it, pictures cut into tiles because of it, and what large pictures take."""

from __future__ import annotations

import random
import re
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from gantools.errors import ImageError, UsageError
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.inference.model import Model
from gantools.inference.tiling.forward import translate
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    FPNOptions,
    GeneratorOptions,
    SRResNetOptions,
)
from tests.faults import damage, ground
from tests.faults.harness import Outcome, Row, Trial
from tests.faults.infer_networks import GENERATORS, opened
from tests.faults.infer_process import offspring

CUT: tuple[GeneratorOptions, ...] = (
    SRResNetOptions(channels=8, blocks=2, scale=4),
    CompactSROptions(channels=8, blocks=2, scale=2),
    CompactRestorationOptions(channels=(8, 8), scale_blocks=(1, 1)),
    FPNOptions(base_channels=4, blocks=0, pyramid_channels=8, head_channels=8, norm="batch"),
)
"""Networks whose result at a place depends on what is near it."""


@dataclass
class Capped:
    """A memory that says it has plenty, and refuses what is over ``cap`` when it is asked for."""

    cap: float
    unchecked_px: int = 0
    refused: list[int] = field(default_factory=list)

    def preferred_bytes(self) -> int:
        return 1 << 40

    def free_bytes(self) -> int:
        return 1 << 40 if not self.refused else int(self.cap)

    def claim(self, wanted_bytes: int) -> None:
        if wanted_bytes > self.cap:
            self.refused.append(wanted_bytes)
            raise MemoryError

    def release(self) -> None:
        return


class Exhausted(nn.Module):
    """A network whose allocator gives up at some of its calls."""

    def __init__(self, network: nn.Module, share: float, rng: random.Random) -> None:
        super().__init__()
        self.inner, self.share, self.rng, self.failures = network, share, rng, 0
        for name in ("scale", "size_multiple", "minimum_size_px", "halo_px"):
            setattr(self, name, getattr(network, name))

    def forward(self, image: Tensor) -> Tensor:
        a_picture = image.shape[-1] > 64  # what asks how much a pixel takes is smaller
        if a_picture and self.rng.random() < self.share and self.failures < 3:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(image)


def memory(trial: Trial) -> Outcome:
    """Memory that runs out: smaller tiles and the same picture, or one line and no picture."""
    outcome, rng, refusals = Outcome(), trial.random(), 0
    models = [opened(ground.save_weights(trial.folder / f"{at}.safetensors", each)) for at, each in enumerate(CUT)]
    for number in range(trial.count(8, 100)):
        model = models[number % len(models)]
        pixels = damage.photo(rng.randint(200, 400), rng.randint(200, 400), seed=number)
        whole = translate(pixels, model, tile=0)
        wanted = _needed(pixels, model)
        memory = Capped(wanted / rng.uniform(1.5, 6))
        tiled = _attempt(pixels, model, memory=memory)
        outcome.case(_same(tiled, whole) or _gave_up(tiled), f"{model.options.name} under a cap: {_told(tiled, whole)}")
        refusals += len(memory.refused)
        failing = replace(model, network=Exhausted(model.network, 0.3, rng))
        tiled = _attempt(pixels, failing, memory=Capped(wanted))
        outcome.case(_same(tiled, whole) or _gave_up(tiled), f"{model.options.name} at random: {_told(tiled, whole)}")
        _named_tile(outcome, pixels, model, whole, wanted)
    outcome.figures |= {"refusals": str(refusals)}
    outcome.case(refusals > 0, "the cap was never met")
    return outcome


def _needed(pixels: Pixels, model: Model) -> float:
    """What the whole picture asks for."""
    memory = Capped(0)
    _attempt(pixels, model, tile=0, memory=memory)
    return float(memory.refused[0])


def _named_tile(outcome: Outcome, pixels: Pixels, model: Model, whole: Pixels, wanted: float) -> None:
    """A whole picture that does not fit: the error names tiles that do, or says that none does."""
    refused = _attempt(pixels, model, tile=0, memory=Capped(wanted * 0.6))
    if not isinstance(refused, ImageError):
        outcome.case(False, f"{model.options.name}, --tile 0: made, though it does not fit")
        return
    named = re.search(r"--tile (\d+) would fit", str(refused))
    tile = int(named[1]) if named else model.generator.size_multiple
    made = _attempt(pixels, model, tile=tile, memory=Capped(wanted * 0.6))
    kept = _same(made, whole) if named else _gave_up(refused) and _gave_up(made)
    outcome.case(kept, f"{model.options.name}, --tile 0: {refused}; {tile}: {_told(made, whole)}")


def _attempt(pixels: Pixels, model: Model, *, tile: int | None = None, memory: Capped) -> Pixels | Exception:
    try:
        return translate(pixels, model, tile=tile, memory=memory)
    except (ImageError, UsageError) as error:
        return error


def _same(made: Pixels | Exception, whole: Pixels) -> bool:
    """Equal, but for the rounding of a sample in 200,000 where torch takes another kernel for a small map."""
    if not isinstance(made, np.ndarray) or made.shape != whole.shape:
        return False
    apart = np.abs(made.astype(int) - whole)
    return bool(apart.max() <= 1 and (apart > 0).sum() <= max(1, whole.size // 200_000))


def _gave_up(made: Pixels | Exception) -> bool:
    return isinstance(made, ImageError) and "not enough memory" in str(made) and str(made).isprintable()


def _told(made: Pixels | Exception, whole: Pixels) -> str:
    return str(made) if isinstance(made, Exception) else f"{(made != whole).sum()} samples differ"


def seams(trial: Trial) -> Outcome:
    """Tiles against the whole picture: equal but for rounding; where there can be no tiles, one line says why."""
    outcome, rng = Outcome(), trial.random()
    differing = samples = 0
    for number, options in enumerate((*CUT, *GENERATORS)):
        model = opened(ground.save_weights(trial.folder / f"{number}.safetensors", options))
        found = [_seam(model, rng, seed) for seed in range(trial.count(2, 20))]
        for away in found:
            if isinstance(away, Exception):
                outcome.case(isinstance(away, UsageError) and options not in CUT, f"{options.name}: {away}")
            else:
                outcome.case(away.max() <= 1, f"{options.name}: {away.max()} steps of 8 bits")
        cut = np.concatenate([away.ravel() for away in found if not isinstance(away, Exception)] or [np.zeros(0, int)])
        if options in CUT:
            differing, samples = differing + int((cut > 0).sum()), samples + cut.size
        told = f"{(cut > 0).sum()} of {cut.size:,} samples differ" if cut.size else str(found[0])
        outcome.details.append(f"{options.name:20} {told}")
    # A tile may be convolved by another kernel than the whole; its last digit then rounds the other way, very rarely.
    outcome.case(differing <= samples / 2e5, f"{differing} of {samples} samples differ")
    outcome.figures["differing"] = f"{differing} of {samples:,}"
    return outcome


def _seam(model: Model, rng: random.Random, seed: int) -> Pixels | Exception:
    """How far apart a picture in tiles and as a whole are, in steps of 8 bits; or why it is not cut."""
    pixels = damage.photo(rng.randint(90, 200), rng.randint(90, 200), seed=seed)
    made = _attempt(pixels, model, tile=rng.choice((32, 48, 64)), memory=Capped(1 << 40))
    return made if isinstance(made, Exception) else np.abs(made.astype(int) - translate(pixels, model, tile=0))


@dataclass(frozen=True)
class Large:
    """A picture and a network: width and height, the network, and the MB allowed beside arrays and model."""

    width: int
    height: int
    options: GeneratorOptions
    scale: int
    allowed_mb: float

    @property
    def arrays_mb(self) -> float:
        return self.width * self.height * 3 * (1 + self.scale**2) / 2**20


def large(trial: Trial) -> Outcome:
    """Large pictures: input and output arrays, and a gigabyte above the model, over the whole of a run."""
    outcome = Outcome()
    restoration = CompactRestorationOptions(channels=(8, 8), scale_blocks=(1, 1))
    enlarging = CompactSROptions(channels=8, blocks=1, scale=4)
    short = (Large(2000, 1500, restoration, 1, 600), Large(600, 400, enlarging, 4, 600))
    long = (Large(12000, 8000, restoration, 1, 1024), Large(6000, 4000, enlarging, 4, 1024))
    for case in long if trial.long else short:
        name = f"{case.width}x{case.height}"
        weights = ground.save_weights(trial.folder / f"{name}.safetensors", case.options)
        writer.save(Image(damage.photo(64, 64)), trial.folder / "small.jpg")
        model_mb, _ = peak_mb(weights, "small.jpg", trial.folder)
        tile = cv2.resize(damage.photo(1000, 1000), (case.width, case.height), interpolation=cv2.INTER_LINEAR)
        writer.save(Image(tile), trial.folder / f"{name}.jpg")
        found_mb, code = peak_mb(weights, f"{name}.jpg", trial.folder)
        beside = found_mb - model_mb - case.arrays_mb
        outcome.case(code == 0 and beside < case.allowed_mb, f"{name}: exit {code}, {beside:.0f} MB beside the arrays")
        outcome.figures[f"{name} ×{case.scale}"] = f"arrays {case.arrays_mb:.0f} + {beside:.0f} MB"
    return outcome


def peak_mb(weights: Path, name: str, folder: Path) -> tuple[float, int]:
    """What a run and its decoders took at most, pages that they share counted once, and the exit code."""
    line = ground.command_line("infer", weights, name, "-o", f"out/{name}", "--overwrite", "-q")
    process = subprocess.Popen(line, cwd=folder, env=ground.environment(), stdout=subprocess.DEVNULL)
    most = 0.0
    while process.poll() is None:
        most = max(most, sum(map(_own_mb, (process.pid, *offspring(process.pid)))) + _shared_mb(process.pid))
        time.sleep(0.01)
    return most, process.returncode


def _own_mb(pid: int) -> float:
    return _status_mb(pid, "RssAnon")


def _shared_mb(pid: int) -> float:
    return _status_mb(pid, "RssShmem") + _status_mb(pid, "RssFile")


def _status_mb(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


ROWS = (
    Row("memory", "out of memory: smaller tiles, the same picture; else one line that names a tile", memory),
    Row("seams", "tiles = whole, but for the rounding of a sample in 200,000", seams),
    Row("large", "a large picture peaks at its arrays and 1 GB above the model", large),
)
