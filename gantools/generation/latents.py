"""Latent vectors of seeds: what is asked for as text becomes vectors and conditions. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gantools import text
from gantools.errors import UsageError
from gantools.registry import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from gantools.checkpoint.weights import Export, Latent

Vectors: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = Mapping[str, tuple[float, float]]
"""Code name, such as c2 → its first and last value."""

LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 1_000_000
ALL = "all"


def parse_seeds(given: str, before: str = "--seeds ") -> tuple[int, ...]:
    """Read ``0-15,85`` as the seeds 0 to 15 and 85, typed after ``before``. Raises UsageError."""
    seeds: list[int] = []
    for part in given.split(","):
        found = re.fullmatch(r"([0-9]{1,100})(?:-([0-9]{1,100}))?", part.strip())
        if not found:
            raise UsageError(f"{before}{given}: {part.strip()!r} is no number or range; give for example 0-15,85")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UsageError(f"{before}{given}: {part.strip()} goes backwards; write {last}-{first}")
        if last > LARGEST_SEED or len(seeds) + last - first >= MOST_SEEDS:
            raise UsageError(f"{before}{given}: seeds are below 2^32, and at most {MOST_SEEDS:,} at once")
        seeds += range(first, last + 1)
    return tuple(seeds)


def parse_codes(given: Sequence[str]) -> Codes:
    """Read ``c1=3`` and ``c2=-1:1`` (a range). Raises UsageError."""
    codes: dict[str, tuple[float, float]] = {}
    number = r"[-+]?[0-9]*\.?[0-9]+"
    for each in given:
        found = re.fullmatch(rf"(c[0-9]+)=({number})(?::({number}))?", each)
        if not found:
            raise UsageError(f"--code {each}: give a code and a value or a range, such as c1=3 or c2=-1:1")
        first = float(found[2])
        codes[found[1]] = (first, float(found[3]) if found[3] else first)
    return codes


@dataclass(frozen=True)
class Sample:
    """One image to be made. Shapes: ``latent`` [size], ``condition`` [K] or None. ``name`` is its file's stem.

    ``seed`` decides its random noise, where the network has some. ``styles``, [rows, style_size], are used as they are
    instead of the latent vector's, and ``planes``, [H, W] each, instead of the stored planes of noise.
    """

    name: str
    latent: Vectors
    condition: Vectors | None = None
    seed: int = 0
    styles: Vectors | None = None
    planes: tuple[Vectors, ...] = ()


def require_generator(path: Path, recipe: str, export: Export | None) -> Latent:
    """What a network makes images from. Raises UsageError where it makes none, or makes them from others."""
    if export is not None and export.takes == "latent" and export.latent is not None:
        return export.latent
    if export is not None and export.takes == "judged":
        raise UsageError(f"'{path}' ({recipe}): judges images and makes none; training starts from it by --init-from")
    raise UsageError(f"'{path}' ({recipe}) changes images; use: gantools infer {path} IMAGE")


def samples(
    latent: Latent, seeds: Sequence[int], labels: Sequence[str], texts: Sequence[str], codes: Codes
) -> list[Sample]:
    """An image for every label or text and seed, in this order. Raises UsageError for what the model does not know.

    A range of a code goes from its first to its last value over the seeds.
    """
    conditions = _conditions(latent, labels, texts)
    _require_codes(latent, codes)
    made = []
    for prefix, condition in conditions:
        for number, seed in enumerate(seeds):
            share = number / max(1, len(seeds) - 1)
            at = {name: first + share * (last - first) for name, (first, last) in codes.items()}
            vector = _with_codes(vector_of(latent, seed), latent, at)
            made.append(Sample(f"{prefix}seed{seed:04d}", vector, condition, seed))
    return made


def vector_of(latent: Latent, seed: int) -> Vectors:
    """The latent vector of a seed, as NVIDIA's tools draw theirs; codes are drawn after the noise. Shapes: [size]."""
    random = np.random.RandomState(seed)
    normal = latent.distribution == "normal"
    parts = [random.randn(latent.noise_size) if normal else random.uniform(-1, 1, latent.noise_size)]
    parts += [np.eye(size)[random.randint(size)] for size in latent.categorical]
    parts += [random.uniform(-1, 1, latent.continuous)]
    return np.concatenate(parts).astype(np.float32)


def _with_codes(vector: Vectors, latent: Latent, values: Mapping[str, float]) -> Vectors:
    """The vector with codes set: c1, c2 … are the categorical ones, then the continuous ones."""
    changed = vector.copy()
    at = latent.noise_size
    for number in range(len(latent.categorical) + latent.continuous):
        size = latent.categorical[number] if number < len(latent.categorical) else 1
        value = values.get(f"c{number + 1}")
        if value is not None:
            changed[at : at + size] = np.eye(size)[round(value)] if number < len(latent.categorical) else value
        at += size
    return changed


def _require_codes(latent: Latent, codes: Codes) -> None:
    count = len(latent.categorical) + latent.continuous
    for name, ends in codes.items():
        number = int(name[1:])
        if not 1 <= number <= count:
            known = f"c1 to c{count}" if count > 1 else "c1" if count else "none"
            raise UsageError(f"--code {name}: the model has {known}")
        if number <= len(latent.categorical):
            size = latent.categorical[number - 1]
            if any(end != int(end) or not 0 <= end < size for end in ends):
                raise UsageError(f"--code {name}: is one of the numbers 0 to {size - 1}")


def _conditions(latent: Latent, labels: Sequence[str], texts: Sequence[str]) -> list[tuple[str, Vectors | None]]:
    """Prefix of the file names and condition of every label or text."""
    if labels and not latent.classes:
        raise UsageError("--label: the model knows no classes; leave it out")
    if texts and not latent.text_size:
        raise UsageError("--text: the model reads no text; leave it out")
    if latent.classes:
        chosen = list(latent.classes) if ALL in labels or not labels else [known_class(latent, each) for each in labels]
        return [(f"{_plain(name)}-", _one_hot(latent, name)) for name in chosen]
    if latent.text_size:
        if not texts:
            raise UsageError(f'the model draws what a text says: give --text "…" of these words: {_some(latent)}')
        for each in texts:
            text.require_known(each, latent.vocabulary)
        single = len(texts) == 1
        return [("" if single else f"text{at}-", text.encode(each, latent.text_size)) for at, each in enumerate(texts)]
    return [("", None)]


def condition_of(latent: Latent, label: str | None) -> Vectors | None:
    """What a single label gives a network beside the latent vector. Raises UsageError where there must be one."""
    if latent.classes and (label is None or label == ALL):
        raise UsageError(f"--label: the model has classes; choose one, such as --label {latent.classes[0]}")
    return _conditions(latent, [] if label is None else [label], ())[0][1]


def known_class(latent: Latent, label: str) -> str:
    """The class of a name, or of its number. Raises UsageError with the nearest name."""
    if label in latent.classes:
        return label
    if label.isdigit() and int(label) < len(latent.classes):
        return latent.classes[int(label)]
    raise UsageError(f"--label {label}: the model knows no such class{did_you_mean(label, latent.classes)}")


def _one_hot(latent: Latent, name: str) -> Vectors:
    vector = np.zeros(len(latent.classes), np.float32)
    vector[latent.classes.index(name)] = 1
    return vector


def _plain(name: str) -> str:
    """A class's name as part of a file's."""
    return re.sub(r"[^\w.-]+", "_", f"label{name}" if name.isdigit() else name)


def _some(latent: Latent) -> str:
    shown = ", ".join(latent.vocabulary[:12])
    return shown + (f" … ({len(latent.vocabulary)} words)" if len(latent.vocabulary) > 12 else "")


def between(keys: Sequence[Sample], frames: int, *, normal: bool, loop: bool) -> list[Sample]:
    """A walk through samples, ``frames`` from each to the next: along the sphere for normal vectors, else straight.

    Styles, where the samples have them, follow a smooth curve. A loop returns to the first sample; its last frame is
    the one before that. All frames have the first sample's seed and planes, so that noise stands still.
    """
    stops = [*keys, keys[0]] if loop else list(keys)
    curve = _curve([key.styles for key in keys if key.styles is not None], loop=loop)
    walk: list[Sample] = []
    for number, (start, end) in enumerate(pairwise(stops)):
        for frame in range(frames):
            share = frame / frames
            latent = slerp(start.latent, end.latent, share) if normal else _lerp(start.latent, end.latent, share)
            condition = None
            if start.condition is not None and end.condition is not None:
                condition = _lerp(start.condition, end.condition, share)
            styles = curve(number + share) if curve else None
            walk.append(Sample("", latent, condition, styles=styles))
    shown = walk if loop else [*walk, stops[-1]]
    noise: Any = {"seed": keys[0].seed, "planes": keys[0].planes}
    return [replace(each, name=f"frame{number:05d}", **noise) for number, each in enumerate(shown)]


def _curve(points: Sequence[Vectors], *, loop: bool) -> Callable[[float], Vectors] | None:
    """Through points at 0, 1, 2, …: Catmull and Rom's cubic, whose slope at a point is half the way past it."""
    if not points:
        return None
    count = len(points)

    def at(number: int) -> Vectors:
        return points[number % count] if loop else points[min(max(number, 0), count - 1)]

    def curve(time: float) -> Vectors:
        number, share = int(time), time - int(time)
        before, start, end, after = (at(number + step) for step in (-1, 0, 1, 2))
        slopes = (end - before) / 2, (after - start) / 2
        weights = np.polyval((2, -3, 0, 1), share), np.polyval((-2, 3, 0, 0), share)
        bends = np.polyval((1, -2, 1, 0), share), np.polyval((1, -1, 0, 0), share)
        curved = weights[0] * start + weights[1] * end + bends[0] * slopes[0] + bends[1] * slopes[1]
        return np.asarray(curved, np.float32)

    return curve


def slerp(a: Vectors, b: Vectors, share: float) -> Vectors:
    """From a to b along the great circle, the length between theirs. Paper: White 2016, arXiv 1609.04468."""
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    cosine = float(np.clip(a @ b / max(lengths[0] * lengths[1], 1e-12), -1, 1))
    angle = np.arccos(cosine)
    if angle < 1e-4:
        return _lerp(a, b, share)
    direction = (np.sin((1 - share) * angle) * a / lengths[0] + np.sin(share * angle) * b / lengths[1]) / np.sin(angle)
    return np.asarray(direction * ((1 - share) * lengths[0] + share * lengths[1]), np.float32)


def _lerp(a: Vectors, b: Vectors, share: float) -> Vectors:
    return np.asarray((1 - share) * a + share * b, np.float32)
