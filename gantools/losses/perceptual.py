"""Distance of two images as a frozen ImageNet network sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import torch
from torch import nn

from gantools.errors import ModelFileError, UsageError
from gantools.files import expanded
from gantools.losses.numerics import at_least_float32
from gantools.pretrained.feature_weights import find_feature_weights, read_state
from gantools.registry import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

NetworkName: TypeAlias = Literal["vgg16", "vgg19", "squeezenet1_0"]
Criterion: TypeAlias = Literal["mse", "l1"]

FEATURE_DISTANCE = tuple(f"features.{index}" for index in (1, 3, 4, 5, 7, 8, 9, 10, 12))
"""SqueezeNet's first ReLU and its eight fire modules: the layers of the project's ``feature_distance``."""

DEFAULT_LAYERS: Mapping[NetworkName, tuple[str, ...]] = {
    "vgg16": ("relu3_3",),
    "vgg19": ("relu5_4",),
    "squeezenet1_0": FEATURE_DISTANCE,
}

VGG_FEATURE_SCALE = 1 / 12.75
"""SRGAN's factor on VGG features, which brings their squared error to the size of the pixels' (Ledig 2017)."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

RANDOM_SEED = 0
CHANNEL_EPSILON = 1e-10


class PerceptualLoss(nn.Module):
    """Compare features of two batches: per layer ``criterion`` of the scaled features, summed over the layers.

    With ``normalise_channels`` each position's feature vector is brought to length 1 first and the differences are
    summed over channels and averaged over positions (LPIPS without its learnt weights); for SqueezeNet's default layers
    that is ``feature_distance``. The network is frozen and always in eval mode; gradients flow to ``fake`` only. It
    belongs to no network: a recipe names it as frozen, so that it is moved but neither trained nor saved.

    The strides of a feature network look at an image through a grid. A generator that enlarges by whole factors
    learns to please it at the grid's points, and leaves a lattice in flat areas. With ``shift_px`` both images lose
    that many rows and columns, a random part of them above and on the left, wherever ``fake`` has a gradient: the grid
    has no fixed place then.

    The network sees images normalised to ImageNet's mean and deviation, as it was trained. Without ``normalise_input``
    it sees them as they are, in [-1, 1], as the code of DeblurGAN has it: differences are then 0.45 times as large, and
    a squared distance is about a fifth.

    Shapes: two batches (N, 3, H, W), or (N, 1, H, W) taken as gray. Range: [-1, 1].
    Raises: UsageError for an unknown layer or missing weights, ModelFileError for an unfit weights file.
    Paper: Johnson 2016, arXiv 1603.08155; Ledig 2017, arXiv 1609.04802 (VGG54 = ``relu5_4``).
    """

    _mean: Tensor
    _deviation: Tensor

    def __init__(
        self,
        *,
        network: NetworkName = "vgg19",
        layers: Sequence[str] | None = None,
        weights: str | Path | None = None,
        criterion: Criterion = "mse",
        feature_scale: float | None = None,
        normalise_channels: bool | None = None,
        shift_px: int = 0,
        normalise_input: bool = True,
    ) -> None:
        super().__init__()
        self._shift_px, self._normalise_input = shift_px, normalise_input
        untrained = _untrained_features(network)
        self._taken = _layer_indices(untrained, network, _wanted_layers(network, layers))
        self._network = _with_weights(untrained[: max(self._taken) + 1], network, weights)
        self._normalise_channels = network == "squeezenet1_0" if normalise_channels is None else normalise_channels
        default_scale = 1.0 if self._normalise_channels else VGG_FEATURE_SCALE
        self._feature_scale = default_scale if feature_scale is None else feature_scale
        self._criterion = criterion
        self.register_buffer("_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, fake: Tensor, real: Tensor) -> Tensor:
        if self._shift_px and fake.requires_grad:
            top, left = torch.randint(self._shift_px + 1, (2,)).tolist()
            height, width = (side - self._shift_px for side in fake.shape[2:])
            fake, real = (image[..., top : top + height, left : left + width] for image in (fake, real))
        with torch.no_grad():
            targets = self.features(real)
        return self.compared(fake, targets)

    def compared(self, fake: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """The distance to an image of which the ``features`` are known."""
        distances = [self._distance(*pair) for pair in zip(self.features(fake), targets, strict=True)]
        return torch.stack(distances).sum()

    def features(self, image: Tensor) -> list[Tensor]:
        """The chosen layers' activations, scaled, in the network's order."""
        values = image.expand(-1, 3, -1, -1)
        if self._normalise_input:
            values = ((values + 1) / 2 - self._mean) / self._deviation
        taken = []
        for index, layer in enumerate(self._network):
            values = layer(values)
            if index in self._taken:
                taken.append(self._prepared(values))
        return taken

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002 (nn.Module's)
        """Stay in eval mode, whatever is asked."""
        return super().train(False)

    def _prepared(self, activations: Tensor) -> Tensor:
        wide = at_least_float32(activations)
        if self._normalise_channels:
            wide = wide / (torch.linalg.vector_norm(wide, dim=1, keepdim=True) + CHANNEL_EPSILON)
        return wide * self._feature_scale

    def _distance(self, fake: Tensor, real: Tensor) -> Tensor:
        difference = (fake - real).square() if self._criterion == "mse" else (fake - real).abs()
        return difference.sum(dim=1).mean() if self._normalise_channels else difference.mean()


def _untrained_features(network: NetworkName) -> nn.Sequential:
    """The convolutional part, on the meta device: no memory, no random numbers drawn."""
    from torchvision import models  # two seconds to import, so only where it is needed

    with torch.device("meta"):
        built = {"vgg16": models.vgg16, "vgg19": models.vgg19, "squeezenet1_0": models.squeezenet1_0}[network]()
    features: nn.Sequential = built.features
    for module in features.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # else a "conv" layer's features would be overwritten by the ReLU after it
    return features


def _wanted_layers(network: NetworkName, layers: Sequence[str] | None) -> Sequence[str]:
    if layers is None:
        return DEFAULT_LAYERS[network]
    if layers != "feature_distance":
        return layers
    if network != "squeezenet1_0":
        raise UsageError(f'layers: "feature_distance" belongs to squeezenet1_0, not to {network}')
    return FEATURE_DISTANCE


def _layer_indices(features: nn.Sequential, network: str, layers: Sequence[str]) -> frozenset[int]:
    known = _layer_names(features)
    for layer in layers:
        if layer not in known:
            raise UsageError(f'perceptual layers: {network} has no layer "{layer}"{did_you_mean(layer, known)}')
    return frozenset(known[layer] for layer in layers)


def _layer_names(features: nn.Sequential) -> dict[str, int]:
    """``features.N`` for every layer; for a VGG also conv3_1, relu3_1, …, pool3."""
    names = {f"features.{index}": index for index in range(len(features))}
    if any(not isinstance(layer, nn.Conv2d | nn.ReLU | nn.MaxPool2d) for layer in features):
        return names
    block, convolution = 1, 0
    for index, layer in enumerate(features):
        if isinstance(layer, nn.MaxPool2d):
            names[f"pool{block}"] = index
            block, convolution = block + 1, 0
        else:
            convolution += isinstance(layer, nn.Conv2d)
            names[f"{'conv' if isinstance(layer, nn.Conv2d) else 'relu'}{block}_{convolution}"] = index
    return names


def _with_weights(features: nn.Sequential, network: str, weights: str | Path | None) -> nn.Sequential:
    if weights == "random":
        _randomise(features.to_empty(device="cpu"))
    else:
        path = find_feature_weights(network) if weights is None else expanded(weights)
        _load(features, path, network)
    return features.requires_grad_(False).eval()


def _randomise(features: nn.Sequential) -> None:
    """Kaiming weights from a stream of their own: every dry run sees the same network."""
    stream = torch.Generator().manual_seed(RANDOM_SEED)
    for module in features.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=stream)
            nn.init.zeros_(module.bias)


def _load(features: nn.Sequential, path: Path, network: str) -> None:
    """Fill the layers that are used from a file in torchvision's layout; the rest of the file is not looked at."""
    state = read_state(path, "perceptual weights")
    wanted = {name: f"features.{name}" for name in features.state_dict()}
    missing = [key for key in wanted.values() if key not in state]
    if missing:
        raise ModelFileError(f"'{path}': no tensor {missing[0]}; need torchvision's {network}")
    try:
        features.load_state_dict({name: state[key].float() for name, key in wanted.items()}, assign=True)
    except RuntimeError as error:
        raise ModelFileError(f"'{path}': shapes are not those of torchvision's {network}") from error
