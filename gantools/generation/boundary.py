"""The plane between two sets of styles: a linear support vector machine, and what it is worth on others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gantools.errors import DataError
from gantools.generation.latents import Vectors

Scores: TypeAlias = npt.NDArray[np.float64]
TRAINING_SHARE = 0.7
LEAST = 3
"""Examples that each side needs: two to learn from, and one that is held out."""
FEW = 100
"""The extremes are at least so many a side, where there are as many samples."""
SEED = 0


@dataclass(frozen=True, eq=False)
class Boundary:
    """A plane's unit normal, where it crosses that, and how often it is right.

    ``accuracy`` is on held-out examples, ``accuracy_rest`` on the samples between the extremes (None: there are none).
    ``deviation`` is the standard deviation of the styles along the normal. Shapes: ``normal`` [style_size].
    """

    normal: Vectors
    offset: float
    accuracy: float
    accuracy_rest: float | None
    examples: int
    deviation: float


def between(styles: Vectors, scores: Scores, extremes: float) -> Boundary:
    """The plane between the styles of the lowest and of the highest scores, a share ``extremes`` each.

    70 % of them are learnt from. Shapes: [N, style_size], [N]. Raises DataError where the scores are too much alike.
    Paper: Shen 2020, arXiv 1907.10786.
    """
    order = np.random.default_rng(SEED).permutation(len(scores))  # so that equal scores are taken from all over
    order = order[np.argsort(scores[order], kind="stable")]
    above, below = int((scores > scores.min()).sum()), int((scores < scores.max()).sum())
    wanted = max(round(extremes * len(scores)), FEW)
    count = min(wanted, len(scores) // 2, above, below)
    low, high = order[:count], order[len(order) - count :]
    middle = float(np.median(scores[low]) + np.median(scores[high])) / 2 if count else 0.0
    low, high = low[scores[low] < middle], high[scores[high] > middle]
    if min(len(low), len(high)) < LEAST:
        raise DataError(f"of {len(scores)} scores {len(low)} are low and {len(high)} high; at least {LEAST} are needed")
    rest = np.setdiff1d(order, np.concatenate([low, high]))
    return _measured(styles, low, high, rest, scores[rest] > middle)


def of_examples(negative: Vectors, positive: Vectors) -> Boundary:
    """The plane between two sets of styles. Shapes: [N, style_size], [M, style_size]. Raises DataError for few."""
    if min(len(negative), len(positive)) < LEAST:
        raise DataError(f"{len(positive)} and {len(negative)} examples; at least {LEAST} of each are needed")
    order = np.random.default_rng(SEED).permutation(len(negative) + len(positive))
    low, high = order[order < len(negative)], order[order >= len(negative)]
    nothing = np.zeros(0, np.int64)
    return _measured(np.concatenate([negative, positive]), low, high, nothing, nothing)


def _measured(
    styles: Vectors, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64], rest: npt.NDArray[np.int64], truth: object
) -> Boundary:
    """The plane of 70 % of both sides, right on so many of the others and of the rest."""
    cuts = [min(round(TRAINING_SHARE * len(side)), len(side) - 1) for side in (low, high)]
    learnt = np.concatenate([low[: cuts[0]], high[: cuts[1]]])
    held_out = np.concatenate([low[cuts[0] :], high[cuts[1] :]])
    normal, offset = separate(styles[learnt], np.arange(len(learnt)) >= cuts[0])
    at = styles @ normal - offset
    right = (at[held_out] > 0) == (np.arange(len(held_out)) >= len(low) - cuts[0])
    right_rest = float(((at[rest] > 0) == truth).mean()) if len(rest) else None
    return Boundary(normal, offset, float(right.mean()), right_rest, len(low) + len(high), float(at.std()))


def separate(vectors: Vectors, positive: npt.NDArray[np.bool_], cost: float = 1.0) -> tuple[Vectors, float]:
    """Unit normal n and offset b of the plane n · x = b between two sets of vectors, the positive ones above.

    ½|n|² + ``cost`` · Σ max(0, 1 − y(n · x − b))² is minimised by L-BFGS in float64 (a linear support vector machine
    with squared hinge). Shapes: [N, size], [N].
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    inputs = torch.from_numpy(vectors - mean)
    signs = torch.from_numpy(np.where(positive, 1.0, -1.0))
    normal = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    offset = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [normal, offset], max_iter=1000, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        slack = (1 - signs * (inputs @ normal - offset)).clamp_min(0)
        value = normal.square().sum() / 2 + cost * slack.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    length = float(normal.detach().norm())
    if length < 1e-12:
        raise DataError("the two sides have the same mean and no plane between them")
    unit = (normal.detach() / length).numpy()
    return unit.astype(np.float32), float(offset.detach()) / length + float(unit @ mean)
