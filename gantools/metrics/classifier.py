"""A small classifier that is trained on a labelled set in a minute: it judges what conditional models draw.

Its last hidden layer has 84 features, as LeNet's: ``frechet`` compares sets of images by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 84
SEED = 0
MOST_MATCHED = 16
SHIFT_PX = 2
"""Training images are shifted by up to this many pixels: 98 % instead of 97 % on MNIST's digits."""


class Classifier(nn.Module):
    """Convolutions and pools down to at most 8 px, then dense layers of 120 and 84 units.

    Shapes: (N, channels, H, W) → (N, classes). Range: [-1, 1] in, logits out.
    Source: LeNet-5 (LeCun 1998), with ReLU, max pools and more channels.
    """

    def __init__(self, channels: int, image_px: tuple[int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs, size = channels, 16, image_px
        while max(size) > 8:
            layers += [nn.Conv2d(inputs, outputs, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
            inputs, outputs, size = outputs, min(2 * outputs, 64), (max(1, size[0] // 2), max(1, size[1] // 2))
        flat = inputs * size[0] * size[1]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(flat, 120), nn.ReLU(), nn.Linear(120, FEATURES), nn.ReLU()
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.layers(image)))


@dataclass(frozen=True)
class Trained:
    """A trained classifier and how often it is right on images that it was not trained on."""

    network: Classifier
    accuracy: float

    @torch.inference_mode()
    def features(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
        """Shapes: N images uint8 (H, W, C) → (N, 84)."""
        parts = [self.network.layers(_batch(images[at : at + 256])) for at in range(0, len(images), 256)]
        return np.asarray(torch.cat(parts).double().numpy())

    @torch.inference_mode()
    def logits(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
        """Shapes: N images uint8 (H, W, C) → (N, classes)."""
        parts = [self.network(_batch(images[at : at + 256])) for at in range(0, len(images), 256)]
        return np.asarray(torch.cat(parts).double().numpy())

    def classes(self, images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.int64]:
        """The class of each image. Shapes: N images uint8 (H, W, C) → (N)."""
        return np.asarray(self.logits(images).argmax(axis=1))


def train(
    images: Sequence[npt.NDArray[np.uint8]],
    labels: Sequence[int],
    test_images: Sequence[npt.NDArray[np.uint8]],
    test_labels: Sequence[int],
    *,
    epochs: int = 8,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Trained:
    """Train on images of one size; the same images give the same classifier on one computer.

    Shapes: uint8 (H, W, C) each. Raises ValueError for no images.
    """
    if not len(images) or len(images) != len(labels):
        raise ValueError("a classifier needs images, and a label for each")
    with torch.random.fork_rng([]):
        torch.manual_seed(SEED)
        count = max(max(labels), *test_labels, 0) + 1
        network = Classifier(images[0].shape[2], images[0].shape[:2], count)
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        everything, wanted = _batch(images), torch.tensor(labels)
        steps = max(1, len(images) // 64)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * steps)
        for epoch in range(epochs):
            progress(epoch, epochs)
            order = torch.randperm(len(images))
            for step in range(steps):
                chosen = order[step * 64 : step * 64 + 64]
                loss = functional.cross_entropy(network(_shifted(everything[chosen])), wanted[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    trained = Trained(network.eval(), 0.0)
    right = trained.classes(test_images) == np.asarray(test_labels) if len(test_images) else np.zeros(1)
    return Trained(network, float(right.mean()))


def _shifted(images: Tensor) -> Tensor:
    """Each batch by the same random number of pixels, its edges repeated."""
    padded = functional.pad(images, (SHIFT_PX,) * 4, mode="replicate")
    down, right = torch.randint(2 * SHIFT_PX + 1, (2,)).tolist()
    return padded[:, :, down : down + images.shape[2], right : right + images.shape[3]]


def _batch(images: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def match(classes: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> float:
    """How often a code means one class, by the best one-to-one assignment of codes to classes. Shapes: (N), (N).

    Range: 0 to 1. Raises ValueError for more than 16 codes or classes. Source: how unsupervised classification is
    scored (Chen 2016: 95 % on MNIST, the best run).
    """
    size = int(max(classes.max(), codes.max())) + 1
    if size > MOST_MATCHED:
        raise ValueError(f"{size} codes or classes: at most {MOST_MATCHED} are matched")
    table = np.zeros((size, size), int)
    np.add.at(table, (codes, classes), 1)

    @cache
    def best(code: int, taken: int) -> int:
        """The most images that fit from this code on, where the bits of ``taken`` are classes that are given away."""
        free = [number for number in range(size) if not taken >> number & 1]
        return max((int(table[code, each]) + best(code + 1, taken | 1 << each) for each in free), default=0)

    return best(0, 0) / len(classes)
