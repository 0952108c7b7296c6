"""The photos of ``gantools project``, one after the other: read, projected, written."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

import numpy as np
import torch
from PIL import Image as PillowImage
from PIL.Image import Resampling

from gantools import files
from gantools.data.prepare import align, faces
from gantools.data.prepare.tasks import Task
from gantools.data.transforms import centre
from gantools.errors import ImageError
from gantools.generation import style_files, walk
from gantools.generation.latents import Sample, Vectors
from gantools.generation.model import LatentModel
from gantools.generation.projection import state
from gantools.generation.projection.options import ProjectOptions
from gantools.generation.projection.search import Distance, Projection, Search, Statistics, statistics
from gantools.images import ranges
from gantools.images.image import Image, Pixels
from gantools.images.io import reader, writer
from gantools.images.ops.color import as_rgb, gray
from gantools.jobs.result import Result, failed, untouched
from gantools.metrics import pixels as metrics
from gantools.training.distributed.communicator import ProcessGroup
from gantools.training.stopping import Limits, Stopping

if TYPE_CHECKING:
    from gantools.losses.perceptual import NetworkName, PerceptualLoss
    from gantools.models.latent.style import StyleGenerator

LPIPS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
FRAMES = 100
"""About how many frames a video has."""
FPS = 24.0


class Watcher(Protocol):
    """Sees a run's progress."""

    def photo(self, name: str, done: int, steps: int) -> None:
        """The search for a photo's styles begins, or goes on."""

    def step(self, done: int, distance: float) -> None:
        """So many steps are done."""

    def message(self, text: str) -> None:
        """One line for the user."""


class Unwatched:
    """Shows nothing."""

    def photo(self, name: str, done: int, steps: int) -> None: ...

    def step(self, done: int, distance: float) -> None: ...

    def message(self, text: str) -> None: ...


@dataclass(frozen=True)
class Projected(Task):
    """A photo and the files made of it: ``outputs`` are latent, image and, where asked for, video."""

    @property
    def state(self) -> Path:
        """The file from which a stopped search goes on."""
        return self.output.with_name(self.output.name.removesuffix(".latent.npz") + ".project-state")


@dataclass(frozen=True)
class Projections:
    """A planned run: the model is open, nothing was written.

    ``features`` are the network that compares and its file; ``detector`` finds the faces that are taken of photos.
    """

    weights: Path
    model: LatentModel
    tasks: tuple[Projected, ...]
    options: ProjectOptions
    condition: Vectors | None
    features: tuple[str, Path] | None
    detector: Path | None

    @property
    def notes(self) -> list[str]:
        """Lines about how it is done."""
        if self.features:
            return [f"images are compared by {self.features[0]} ({self.features[1]})"]
        better = "; --feature-weights FILE, or `gantools weights fetch squeezenet1_0`, compares them as a network does"
        return [f"images are compared by their pixels alone{better if self.options.feature_weights is None else ''}"]

    def run(self, watcher: Watcher | None = None) -> Iterator[Result]:
        """Project what is planned; one result for each photo, in order.

        A first signal to stop ends the search at its next step, with its state stored: KeyboardInterrupt, SystemExit.
        """
        files.remove_abandoned({task.output.parent for task in self.tasks})
        for task in self.tasks:
            if task.skip:
                yield untouched(task)
                continue
            began = time.perf_counter()
            try:
                facts = self._project(task, watcher or Unwatched())
            except Exception as error:
                yield failed(task, error, time.perf_counter() - began, None)
                continue
            side = self.network.out_px[0]
            yield Result(
                task.input,
                task.output,
                "done",
                time.perf_counter() - began,
                output_size=(side, side),
                more_outputs=task.outputs[1:],
                facts=facts,
                note=_said(facts),
            )

    @property
    def network(self) -> StyleGenerator:
        return cast("StyleGenerator", self.model.network)

    def _project(self, task: Projected, watcher: Watcher) -> dict[str, Any]:
        target = self.target(task.sources[0])
        options = self.options
        search = Search(options.space, options.steps, options.lr, options.stay, options.seed)
        distance = Distance(ranges.to_tensor(target, self.model.device), self._perceptual)
        projection = Projection(self.network, self._known, distance, search)
        with Stopping(Limits(), ProcessGroup(), watcher.message) as stopping:
            frames = self._search(projection, task, self._key(target, search), stopping, watcher)
            facts = self._write(task, target, projection, frames)
            task.state.unlink(missing_ok=True)
            if stopping.reason(projection.done) is not None:
                _end(stopping)
        return facts

    def _search(
        self, projection: Projection, task: Projected, key: str, stopping: Stopping, watcher: Watcher
    ) -> list[torch.Tensor]:
        """Take all steps that are left; styles on the way, for a video."""
        frames: list[torch.Tensor] = []
        if (held := state.stored(task.state, key, watcher.message)) is not None:
            projection.resume(held["state"])
            frames = held["frames"]
        steps, saved = self.options.steps, time.monotonic()
        every = max(1, steps // FRAMES)
        watcher.photo(task.input, projection.done, steps)
        while projection.done < steps:
            if self.options.video and projection.done % every == 0:
                frames.append(projection.styles.detach().cpu().clone())
            watcher.step(projection.done + 1, projection.step())
            stops = stopping.reason(projection.done) is not None
            if stops or time.monotonic() - saved >= self.options.save_every_seconds:
                state.store(task.state, {"key": key, "state": projection.state(), "frames": frames})
                saved = time.monotonic()
            if stops:
                _end(stopping)
        return frames

    def _write(
        self, task: Projected, target: Pixels, projection: Projection, frames: Sequence[torch.Tensor]
    ) -> dict[str, Any]:
        latent, image, *video = task.outputs
        made = ranges.from_tensor(projection.image())
        facts = {**self._measured(target, made, projection), "steps": self.options.steps, "space": self.options.space}
        latent.parent.mkdir(parents=True, exist_ok=True)
        writer.write(Image(as_rgb(made), gray=made.shape[2] == 1), image)
        planes = [plane.detach().cpu().numpy()[0, 0] for plane in projection.planes]
        if video:
            walk.write(self._frames(target, [*frames, projection.styles], planes), video[0], fps=FPS, loop=False)
        styles = projection.styles.detach().cpu().numpy().repeat(self.network.rows // projection.styles.shape[1], 1)
        style_files.write(latent, styles, planes, {**facts, **self._about, "photo": task.sources[0].name})
        return facts

    def _frames(self, target: Pixels, styles: Sequence[torch.Tensor], planes: Sequence[Vectors]) -> Iterator[Pixels]:
        """The photo beside the image on the way to it, all with the last planes of noise."""
        for each in styles:
            rows = each.detach().cpu().numpy()[0].repeat(self.network.rows // each.shape[1], 0)
            made = self.model.images([Sample("", np.zeros(0, np.float32), styles=rows, planes=tuple(planes))])[0]
            yield np.hstack([target, made])

    def _measured(self, target: Pixels, made: Pixels, projection: Projection) -> dict[str, Any]:
        """How far the image is from the photo, as both are stored."""
        a, b = as_rgb(made), as_rgb(target)
        values: dict[str, Any] = {"psnr_rgb": metrics.psnr_rgb(a, b), "l1_percent": metrics.l1_percent(a, b)}
        if self.features:
            values["feature_distance"] = projection.distance.perceived(ranges.to_tensor(made, self.model.device))
            values["feature_network"] = self.features[0]
        return values

    def target(self, source: Path) -> Pixels:
        """The part of a photo that is projected, at the model's size. Shapes: uint8 [side, side, C]."""
        photo = reader.read_rgb8(source)
        short_px, side_px = min(photo.shape[:2]), self.network.out_px[0]
        if self.detector is not None:
            found = faces.find(photo, self.detector)
            if not found:
                raise ImageError("no face found; --align off takes the middle of the photo")
            target = align.aligned(photo, max(found, key=align.side_px), side_px)
        else:
            square = PillowImage.fromarray(np.ascontiguousarray(centre(photo, short_px, short_px)))
            target = np.asarray(square.resize((side_px, side_px), Resampling.LANCZOS))
        return gray(target)[..., None] if self.model.export.options.get("out_channels") == 1 else target

    @cached_property
    def _known(self) -> Statistics:
        return statistics(self.network, self.condition)

    @cached_property
    def _perceptual(self) -> PerceptualLoss | None:
        if self.features is None:
            return None
        from gantools.losses.perceptual import PerceptualLoss

        name, path = cast("tuple[NetworkName, Path]", self.features)
        layers = LPIPS_LAYERS if name == "vgg16" else None
        loss = PerceptualLoss(network=name, layers=layers, weights=path, normalise_channels=True, feature_scale=1.0)
        return loss.to(self.model.device)

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What a file of styles says of how it was made, besides the photo."""
        chosen = {"seed": self.options.seed, "lr": self.options.lr, "stay": self.options.stay}
        label = {} if self.options.label is None else {"label": self.options.label}
        return {**chosen, **label, "recipe": self.model.recipe, "weights_sha256": files.sha256(self.weights)}

    def _key(self, target: Pixels, search: Search) -> str:
        """What a stored state must be of: all that its steps depend on."""
        features = self.features and (self.features[0], files.sha256(self.features[1]))
        condition = None if self.condition is None else self.condition.tolist()
        photo = hashlib.sha256(target.tobytes()).hexdigest()
        described = [self._about["weights_sha256"], photo, asdict(search), features, condition]
        return json.dumps([*described, self.options.video])


def _end(stopping: Stopping) -> NoReturn:
    """End as the signal wants that was received."""
    raise KeyboardInterrupt if stopping.signal == signal.SIGINT else SystemExit(128 + (stopping.signal or 0))


def _said(facts: Mapping[str, Any]) -> str:
    psnr, seen = facts["psnr_rgb"], facts.get("feature_distance")
    perceived = "" if seen is None else f", feature distance {seen:.4f}"
    return f"PSNR {float(psnr):.2f} dB, L1 {facts['l1_percent']:.2f} %{perceived} in {facts['space'].upper()}"
