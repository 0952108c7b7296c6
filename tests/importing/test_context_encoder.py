"""Context encoders of context_encoder_pytorch: the same middle as theirs, and what is not one of ours."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gantools.errors import ModelFileError
from gantools.images.ops.masks import MEAN_RGB
from gantools.importing import context_encoder
from tests.importing.states import first_found, lively, outcome, state_of, unreadable


class Middle(nn.Module):
    """Their network under the name that they give it: the whole image in, its middle out."""

    def __init__(self, downs: int = 5, base: int = 2, bottleneck: int = 20, decoder: int = 2) -> None:
        super().__init__()
        wide = [base << max(0, level - 1) for level in range(downs)]
        layers: list[nn.Module] = [nn.Conv2d(3, base, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for given, made in pairwise(wide):
            layers += [nn.Conv2d(given, made, 4, 2, 1, bias=False), nn.BatchNorm2d(made), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(wide[-1], bottleneck, 4, bias=False), nn.BatchNorm2d(bottleneck), nn.LeakyReLU(0.2)]
        narrow = [decoder << level for level in reversed(range(downs - 1))]
        layers += [nn.ConvTranspose2d(bottleneck, narrow[0], 4, bias=False)]
        for given, made in zip(narrow, [*narrow[1:], 3], strict=True):
            layers += [nn.BatchNorm2d(given), nn.ReLU(), nn.ConvTranspose2d(given, made, 4, 2, 1, bias=False)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.main(image)
        return made


@pytest.mark.parametrize("downs", [3, 5])
@pytest.mark.parametrize("old", [False, True], ids=["", "before-0.4"])
def test_networks_come_across(downs: int, old: bool) -> None:
    """Their script tests in evaluation mode and puts what it predicts into the image."""
    theirs = lively(Middle(downs)).eval()
    state = state_of(theirs, without="num_batches_tracked" if old else "nothing")
    name, found = first_found(context_encoder.FAMILIES, state)
    assert found is not None
    assert (name, found.export.mode, found.export.takes) == ("context encoder", "eval", "masked")
    side_px = 4 << downs
    assert found.export.trained_px == side_px
    assert found.export.options["overlap_px"] == 4
    image = torch.rand(2, 3, side_px, side_px) * 2 - 1
    middle = slice(side_px // 4, side_px // 4 * 3)
    expected = image.clone()
    expected[..., middle, middle] = theirs(image)
    torch.testing.assert_close(found.network()(image), expected, atol=1e-5, rtol=0)


def test_missing_pixels_have_their_colour() -> None:
    """Their scripts set the channels to 2 * 117 / 255 - 1, 2 * 104 / 255 - 1 and 2 * 123 / 255 - 1."""
    assert MEAN_RGB == (117, 104, 123)


def discriminator() -> nn.Module:
    layers: list[nn.Module] = []
    for given, made in ((3, 4), (4, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(given, made, 4, 2, 1, bias=False), *[nn.BatchNorm2d(made)] * (given > 3), nn.LeakyReLU()]
    theirs = nn.Module()
    theirs.main = nn.Sequential(*layers, nn.Conv2d(32, 1, 4, bias=False))
    return theirs


def test_their_discriminator_is_none_of_these() -> None:
    assert context_encoder.found(state_of(discriminator())) is None


def test_near_misses_are_named() -> None:
    with pytest.raises(ModelFileError, match=r"^looks like a context encoder, but its decoder begins with 24 channels"):
        context_encoder.found(state_of(Middle(decoder=3)))
    with pytest.raises(ModelFileError, match=r"^looks like a context encoder, but gantools has none with downs 9"):
        context_encoder.found(state_of(Middle(9, 1, 1, 1)))
    other = {"model.14.weight": (4000, 512, 1, 1), "model.15.weight": (4000, 512, 4, 4)}
    with pytest.raises(ModelFileError, match="of PyTorch-GAN, but its bottleneck is a 1×1 convolution"):
        context_encoder.found(unreadable(other))


@pytest.mark.parametrize("shape", [(), (0,), (1 << 40, 1, 1, 1), (65536, 65536, 4, 4), (1, 1, 1, 1)], ids=str)
def test_impossible_shapes_are_refused_unread(shape: tuple[int, ...]) -> None:
    shapes = {name: stored.shape for name, stored in state_of(Middle(3)).items()}
    for name in (name for name in shapes if shapes[name] != shape):
        assert "\n" not in outcome(context_encoder.FAMILIES, unreadable({**shapes, name: shape}))
