"""``gantools project``: what is read and written, and by which networks, settled before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from gantools.data.prepare import faces
from gantools.data.prepare.tasks import settled
from gantools.devices import choose_device
from gantools.errors import UsageError
from gantools.generation import latents
from gantools.generation.model import open_model
from gantools.generation.projection.options import ProjectOptions
from gantools.generation.projection.run import Projected, Projections
from gantools.images.formats import FORMATS
from gantools.jobs import image_files, outputs
from gantools.jobs.plan import STANDARD, placed
from gantools.metrics.loading import FeatureFiles


def plan(path: Path, photos: Sequence[str], options: ProjectOptions) -> Projections:
    """Open the model and settle what is written. Raises UsageError and ModelFileError."""
    tasks = _tasks(photos, options)
    features = _features(options.feature_weights)
    detector = faces.installed_detector() if options.align == "face" else None
    model = open_model(path, options.export, choose_device(options.device))
    if not model.latent.rows:
        raise UsageError(f"'{path}' ({model.recipe}) has no styles as stylegan2 has, so nothing is projected to it")
    condition = latents.condition_of(model.latent, options.label)
    return Projections(path, model, tasks, options, condition, features, detector)


def _tasks(photos: Sequence[str], options: ProjectOptions) -> tuple[Projected, ...]:
    output = options.output
    if STANDARD in (*photos, output):
        raise UsageError("-: photos are read from files and folders and results written there, not through pipes")
    if output and Path(output).suffix.lstrip(".").lower() in {*FORMATS, "npz"} and not os.path.isdir(output):
        raise UsageError(f"-o {output}: each photo becomes several files; give a folder")
    if output and any(os.path.isdir(each) and os.path.realpath(each) == os.path.realpath(output) for each in photos):
        raise UsageError(f"-o {output}: photos are read from it, the next time results too; give another folder")
    jobs = placed(photos, "projected", output and os.path.join(output, ""), "png", recursive=options.recursive)
    endings = [".latent.npz", ".projected.png", *([f".projection.{options.video_format}"] if options.video else [])]
    tasks = []
    for job in jobs:
        source, place = cast(Path, job.source), cast(Path, job.output)
        made = tuple(place.with_name(image_files.stem(source) + ending) for ending in endings)
        tasks.append(Projected(job.input, (source,), made))
    existing = outputs.existing_policy(options.skip_existing, options.overwrite)
    return cast("tuple[Projected, ...]", settled(tasks, existing))


def _features(given: str | None) -> tuple[str, Path] | None:
    """The feature network that compares images: the one that was given, or installed. Raises UsageError."""
    if given == "none":
        return None
    found = FeatureFiles([Path(given)] if given else [])
    for network in ("vgg16", "squeezenet1_0"):
        if path := found.find(network):
            return network, path
    if given:
        raise UsageError(f"--feature-weights {given}: give weights of vgg16 or squeezenet1_0")
    return None
