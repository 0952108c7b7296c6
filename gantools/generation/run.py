"""``gantools generate`` from what was asked to its files."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gantools import files
from gantools.checkpoint import weights
from gantools.checkpoint.weights import Latent
from gantools.errors import UsageError
from gantools.generation import latents, numpy_files, style_files
from gantools.generation.latents import Sample, Vectors
from gantools.generation.options import GenerateOptions
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.images.ops.color import as_rgb
from gantools.images.ops.grid import grid
from gantools.jobs import outputs
from gantools.jobs.result import Result, failed

if TYPE_CHECKING:
    from gantools.generation.model import LatentModel


@dataclass(frozen=True)
class Output:
    """A file to be written and the samples that it shows."""

    input: str
    output: Path
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Generation:
    """A planned run: the weights' header was read, nothing was written."""

    weights: Path
    recipe: str
    outputs: tuple[Output, ...]
    options: GenerateOptions
    kept: frozenset[Path]

    def run(self) -> Iterator[Result]:
        """Make and write what is planned; one result for each file, in order."""
        from gantools.devices import choose_device
        from gantools.generation.model import open_model

        files.remove_abandoned({each.output.parent for each in self.outputs})
        wanted = [each for each in self.outputs if each.output not in self.kept]
        yield from (Result(each.input, each.output, "skipped") for each in self.outputs if each.output in self.kept)
        if wanted:
            model = replace(
                open_model(self.weights, self.options.export, choose_device(self.options.device)),
                truncation=1.0 if self.options.truncation is None else self.options.truncation,
                truncated_rows=self.options.truncated_rows,
                noise=self.options.noise,
            )
            if self.options.latents is not None:
                for sample in [sample for each in wanted for sample in each.samples if sample.styles is not None]:
                    style_files.require_fitting(model, sample, self.options.latents)
            make = self._moving if self.options.interpolate else self._still
            yield from make(model, wanted)

    def _still(self, model: LatentModel, wanted: Sequence[Output]) -> Iterator[Result]:
        size = 1 if self.options.grid else self.options.batch
        for number in range(0, len(wanted), size):
            batch = wanted[number : number + size]
            began = time.perf_counter()
            for each, pixels in zip(batch, self._shown(model, batch), strict=True):
                yield _written(each, pixels, (time.perf_counter() - began) / len(batch))

    def _shown(self, model: LatentModel, batch: Sequence[Output]) -> list[Pixels]:
        """What each file shows: a sheet of all its samples, a sample at every level, or one image."""
        if self.options.grid:
            _, columns = self.options.grid
            images = [as_rgb(model.images([sample])[0]) for sample in batch[0].samples]
            return [grid([images[at : at + columns] for at in range(0, len(images), columns)])]
        if self.options.steps:
            return [grid([[as_rgb(image) for image in model.steps(each.samples[0])]]) for each in batch]
        return model.images([each.samples[0] for each in batch])

    def _moving(self, model: LatentModel, wanted: Sequence[Output]) -> Iterator[Result]:
        from gantools.generation import walk

        (only,) = wanted
        began = time.perf_counter()
        frames = (model.images([sample])[0] for sample in self._walk(model, only.samples))
        first = next(frames)
        try:
            walk.write(itertools.chain([first], frames), only.output, fps=self.options.fps, loop=self.options.loop)
        except Exception as error:
            yield failed(only, error, time.perf_counter() - began, None)
            return
        yield _done(only, first, time.perf_counter() - began)

    def _walk(self, model: LatentModel, keys: Sequence[Sample]) -> list[Sample]:
        """The frames of a walk: through styles where the network has some, unless latent vectors are asked for."""
        if model.latent.rows and self.options.space != "z":
            keys = [replace(key, styles=styles) for key, styles in zip(keys, model.styles(keys), strict=True)]
        normal = model.latent.distribution == "normal"
        return latents.between(keys, self.options.frames, normal=normal, loop=self.options.loop)


def plan(path: Path, label: str, options: GenerateOptions) -> Generation:
    """Settle what is made and where it goes. Raises UsageError, and ModelFileError for other files."""
    described = weights.describe(path)
    if options.export and options.export not in described.exports:
        raise UsageError(f"--export {options.export}: '{path}' holds {', '.join(described.exports)}")
    export = described.exports.get(options.export or next(iter(described.exports), ""))
    latent = latents.require_generator(path, described.recipe, export)
    _require_together(options)
    chosen = _samples(latent, options)
    _require_styles(latent, described.recipe, options)
    if options.steps and latent.levels == 1:
        raise UsageError(f"--steps: the network of {described.recipe} has a single level; leave it out")
    planned = _outputs(chosen, label, options)
    claims = [(each.input, each.output) for each in planned]
    existing = outputs.existing_policy(options.skip_existing, options.overwrite)
    return Generation(path, described.recipe, tuple(planned), options, outputs.settle(claims, (), existing))


def _require_together(options: GenerateOptions) -> None:
    """Raise UsageError for options that change nothing beside the others."""
    usual = GenerateOptions()
    of_walks = ("frames", "fps", "space", "loop")
    idle = [f"--{name}" for name in of_walks if getattr(options, name) != getattr(usual, name)]
    if idle and not options.interpolate:
        raise UsageError(f"{', '.join(idle)}: belongs to a walk; add --interpolate")
    if options.seeds and options.count != usual.count:
        raise UsageError(f"--seeds: names {len(options.seeds)} images; leave out -n {options.count}")


def _require_styles(latent: Latent, recipe: str, options: GenerateOptions) -> None:
    """Raise UsageError where options of styles are given for a network that has none, or has fewer rows."""
    rows = options.truncated_rows
    given = {
        "--truncation": options.truncation is not None,
        "--truncated-rows": rows is not None,
        "--noise": options.noise != "const",
        "--space w": options.space == "w",
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong and not latent.rows:
        raise UsageError(f"{', '.join(wrong)}: {recipe} has no styles as stylegan2 has; leave it out")
    if rows is not None and options.truncation is None:
        raise UsageError("--truncated-rows: says which rows --truncation moves; give that too")
    if rows is not None and rows > latent.rows:
        raise UsageError(f"--truncated-rows {rows}: the model has {latent.rows} rows of styles")


def _samples(latent: Latent, options: GenerateOptions) -> list[Sample]:
    texts = [*(options.text or ()), *(_lines(options.texts) if options.texts else ())]
    if options.latents is not None:
        if options.seeds or options.code:
            raise UsageError("--latents: the file holds the vectors; leave out --seeds and --code")
        return _stored(latent, Path(options.latents), options, texts)
    codes = latents.parse_codes(options.code or ())
    several = any(first != last for first, last in codes.values())
    seeds = options.seeds or tuple(range(options.count))
    if several and not options.seeds:
        seeds = (0,) * options.count  # a range of a code is shown on one seed
    found = latents.samples(latent, seeds, options.label or (), texts, codes)
    if several and not options.seeds:
        found = [Sample(f"{each.name}-{at:02d}", each.latent, each.condition) for at, each in enumerate(found)]
    return found


def _stored(latent: Latent, path: Path, options: GenerateOptions, texts: Sequence[str]) -> list[Sample]:
    """Vectors from a NumPy file: ``z`` or styles ``w`` of an .npz, or a .npy of either. Raises UsageError."""
    arrays = numpy_files.read(path)
    held = arrays.get("z", arrays.get(""))
    if latent.rows and ("w" in arrays or (held is not None and held.ndim == 3)):
        return _stored_styles(latent, path, options)
    if held is None:
        wanted = "z or w" if latent.rows else "z"
        raise UsageError(f"--latents {path}: has no array {wanted}, only {', '.join(arrays) or 'nothing'}")
    try:
        vectors = np.asarray(held, np.float32)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--latents {path}: holds no numbers ({numpy_files.reason(error)})") from error
    if vectors.ndim != 2 or vectors.shape[1] != latent.size:
        wanted = f"(N, {latent.size})" + (f", styles (N, {latent.rows}, size)" if latent.rows else "")
        raise UsageError(f"--latents {path}: has the shape {vectors.shape}, the model takes {wanted}")
    if not vectors.size or not np.isfinite(vectors).all():
        raise UsageError(f"--latents {path}: {'has NaN or infinite values' if vectors.size else 'is empty'}")
    template = latents.samples(latent, (0,), options.label or (), texts, {})
    return [
        Sample(f"{each.name.removesuffix('seed0000')}latent{at:04d}", vector, each.condition)
        for each in template
        for at, vector in enumerate(vectors)
    ]


def _stored_styles(latent: Latent, path: Path, options: GenerateOptions) -> list[Sample]:
    """The styles in a file, which are used as they are; one row stands for all. Raises UsageError."""
    settled = {"--label": options.label, "--truncation": options.truncation, "--truncated-rows": options.truncated_rows}
    if given := [name for name, value in settled.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: --latents {path} holds styles, in which that is settled; leave it out")
    found = style_files.read(path)
    rows = len(cast(Vectors, found[0].styles))
    if rows not in (1, latent.rows):
        raise UsageError(f"--latents {path}: has {rows} rows of styles, the model {latent.rows}")
    return [
        replace(each, name=f"latent{at:04d}", styles=np.tile(cast(Vectors, each.styles), (latent.rows // rows, 1)))
        for at, each in enumerate(found)
    ]


def _lines(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--texts {path}: cannot be read ({error})") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"--texts {path}: holds no text; write one in every line")
    return texts


def _outputs(chosen: Sequence[Sample], label: str, options: GenerateOptions) -> list[Output]:
    given = Path(options.output) if options.output else None
    if options.interpolate:
        return _walk_outputs(chosen, given or Path(f"{label}-walk.webp"), options)
    if options.grid:
        rows, columns = options.grid
        path = given or Path(f"{label}-grid.png")
        if len(chosen) > rows * columns:
            raise UsageError(f"--grid {rows}x{columns}: has {rows * columns} places for {len(chosen)} images")
        return [Output(f"{len(chosen)} images", image_path(path), tuple(chosen))]
    if len(chosen) == 1 and (given is None or given.suffix):
        path = given or Path(f"{label}-{chosen[0].name}.png")
        return [Output(chosen[0].name, image_path(path), (chosen[0],))]
    folder = given or Path(f"{label}-images")
    if given is not None and given.suffix and not given.is_dir():
        raise UsageError(f"-o {given}: is one image, and there are {len(chosen)}; give a folder, or --grid RxC")
    return [Output(each.name, folder / f"{each.name}.{options.format}", (each,)) for each in chosen]


def _walk_outputs(chosen: Sequence[Sample], path: Path, options: GenerateOptions) -> list[Output]:
    from gantools.generation import walk

    if options.grid or options.steps:
        raise UsageError("--interpolate shows one image at a time; leave out --grid and --steps")
    if len(chosen) < 2:
        raise UsageError("--interpolate: goes from one image to another; give at least two seeds, labels or texts")
    frames = options.frames * (len(chosen) if options.loop else len(chosen) - 1) + (not options.loop)
    if path.suffix:
        walk.require_format(path)
        return [Output(f"{frames} frames", path, tuple(chosen))]
    raise UsageError(f"-o {path}: a walk is one file; name it with one of {', '.join(walk.SUFFIXES)}")


def image_path(path: Path) -> Path:
    from gantools.images.formats import FORMATS

    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise UsageError(f"-o {path}: no image format has this suffix; use one such as .png")
    return path


def _written(output: Output, pixels: Pixels, seconds: float) -> Result:
    try:
        output.output.parent.mkdir(parents=True, exist_ok=True)
        writer.write(Image(as_rgb(pixels), gray=pixels.shape[2] == 1), output.output)
    except Exception as error:
        return failed(output, error, seconds, None)
    return _done(output, pixels, seconds)


def _done(output: Output, pixels: Pixels, seconds: float) -> Result:
    return Result(output.input, output.output, "done", seconds, output_size=(pixels.shape[1], pixels.shape[0]))
