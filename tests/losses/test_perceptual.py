"""The perceptual loss: layers, weights, formula, frozenness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision import models

from gantools.errors import ModelFileError, UsageError
from gantools.losses.perceptual import FEATURE_DISTANCE, PerceptualLoss
from gantools.pretrained.feature_weights import find_feature_weights

SIDE_PX = 32


@pytest.fixture(autouse=True)
def _seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))


@pytest.fixture
def squeezenet_file(shared_data: Path) -> Path:
    return shared_data / "features" / "squeezenet1_0_imagenet.safetensors"


def images() -> tuple[Tensor, Tensor]:
    return torch.rand(2, 3, SIDE_PX, SIDE_PX) * 2 - 1, torch.rand(2, 3, SIDE_PX, SIDE_PX) * 2 - 1


def standardised(image: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((image + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


@pytest.mark.parametrize(
    ("network", "layer", "channels", "count"),
    [
        ("vgg19", "relu5_4", 512, 36),
        ("vgg19", "conv5_4", 512, 35),
        ("vgg19", "conv3_3", 256, 15),
        ("vgg19", "relu2_2", 128, 9),
        ("vgg16", "relu3_3", 256, 16),
        ("vgg16", "pool2", 128, 10),
        ("squeezenet1_0", "features.12", 512, 13),
    ],
)  # torchvision's indices, plus one: nothing deeper is kept
def test_layers_and_cut(network: Any, layer: str, channels: int, count: int) -> None:
    loss = PerceptualLoss(network=network, layers=[layer], weights="random", feature_scale=1, normalise_channels=False)
    (features,) = loss.features(images()[0])
    assert features.shape[1] == channels
    assert len(loss._network) == count
    assert (features.min() >= 0) == (not layer.startswith("conv"))


def test_layer_before_its_relu_is_not_overwritten() -> None:
    both = PerceptualLoss(layers=["conv1_1", "relu1_1"], weights="random")
    before, after = both.features(images()[0])
    assert before.min() < 0
    torch.testing.assert_close(before.relu(), after)


def test_the_formula_over_one_layer_and_several() -> None:
    """The default is SRGAN's VGG54."""
    fake, real = images()
    raw = PerceptualLoss(weights="random", layers=["relu5_4"], feature_scale=1.0)
    expected = (raw.features(fake)[0] - raw.features(real)[0]).square().mean() / 12.75**2
    torch.testing.assert_close(PerceptualLoss(weights="random")(fake, real), expected)
    loss = PerceptualLoss(network="vgg16", layers=["relu1_2", "relu2_2"], weights="random", criterion="l1")
    pairs = zip(loss.features(fake), loss.features(real), strict=True)
    torch.testing.assert_close(loss(fake, real), sum((one - other).abs().mean() for one, other in pairs))


def test_feature_distance_by_its_definition(squeezenet_file: Path) -> None:
    fake, real = images()
    network = models.squeezenet1_0().eval()
    network.load_state_dict(load_file(squeezenet_file))
    expected = torch.zeros(())
    one, other = standardised(fake), standardised(real)
    with torch.no_grad():
        for index, layer in enumerate(network.features):
            one, other = layer(one), layer(other)
            if index in (1, 3, 4, 5, 7, 8, 9, 10, 12):
                difference = one / one.norm(dim=1, keepdim=True) - other / other.norm(dim=1, keepdim=True)
                expected += difference.square().sum(dim=1).mean()
    for layers in (None, "feature_distance"):
        loss = PerceptualLoss(network="squeezenet1_0", layers=layers, weights=squeezenet_file)
        torch.testing.assert_close(loss(fake, real), expected, rtol=1e-4, atol=0)


def test_identical_images_are_no_distance_apart_and_gradients_stay_finite() -> None:
    loss = PerceptualLoss(network="squeezenet1_0", weights="random")
    black = torch.full((1, 3, SIDE_PX, SIDE_PX), -1.0, requires_grad=True)
    assert loss(black, black.detach()).item() == 0
    (gradient,) = torch.autograd.grad(loss(black, images()[1][:1]), black)
    assert torch.isfinite(gradient).all()


def test_only_the_fake_gets_a_gradient() -> None:
    fake, real = (image.requires_grad_() for image in images())
    loss = PerceptualLoss(layers=["relu2_2"], weights="random").train()
    torch.autograd.backward(loss(fake, real))
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert real.grad is None
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert not any(module.training for module in loss.modules())


def test_gray_images_are_taken_as_rgb() -> None:
    loss = PerceptualLoss(layers=["relu1_2"], weights="random")
    gray, other = (image[:, :1] for image in images())
    torch.testing.assert_close(loss(gray, other), loss(gray.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1)))


def test_random_weights_are_always_the_same_and_draw_nothing() -> None:
    state = torch.get_rng_state()
    one = PerceptualLoss(layers=["relu1_1"], weights="random")
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    two = PerceptualLoss(layers=["relu1_1"], weights="random")
    assert torch.equal(next(one.parameters()), next(two.parameters()))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_fetched_weights_are_found(tmp_path: Path, suffix: str) -> None:
    state = vgg_state()
    path = tmp_path / "home" / "weights" / f"vgg19{suffix}"
    path.parent.mkdir(parents=True)
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert find_feature_weights("vgg19") == path
    loss = PerceptualLoss(layers=["relu1_1"])
    torch.testing.assert_close(next(loss.parameters()).detach(), state["features.0.weight"].float())


def test_missing_and_unfit_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run `gantools weights fetch vgg19`, or set `weights: FILE`"):
        PerceptualLoss()
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    save_file(vgg_state() | {"features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "wrong.safetensors")
    for name in ("damaged.safetensors", "damaged.pth"):
        (tmp_path / name).write_bytes(b"not tensors")
    for name, message in (
        ("nowhere.safetensors", "no file"),
        ("foreign.safetensors", "no tensor features.0.weight"),
        ("wrong.safetensors", "shapes are not those"),
        ("damaged.safetensors", "damaged"),
        ("damaged.pth", "damaged"),
    ):
        with pytest.raises((UsageError, ModelFileError), match=message):
            PerceptualLoss(layers=["relu1_1"], weights=tmp_path / name)


def vgg_state() -> dict[str, Tensor]:
    """The first layer of a VGG, in half precision, as far as ``relu1_1`` needs it."""
    return {"features.0.weight": torch.randn(64, 3, 3, 3).half(), "features.0.bias": torch.zeros(64)}


def test_unknown_layers_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match='vgg16 has no layer "relu3_4"; did you mean'):
        PerceptualLoss(network="vgg16", layers=["relu3_4"], weights="random")
    with pytest.raises(UsageError, match="belongs to squeezenet1_0"):
        PerceptualLoss(network="vgg16", layers="feature_distance", weights="random")
    assert len(FEATURE_DISTANCE) == 9


def test_a_shifted_loss_sees_both_images_alike_and_only_where_it_teaches() -> None:
    fake, real = images()
    still, shifted = (PerceptualLoss(network="squeezenet1_0", weights="random", shift_px=px) for px in (0, 5))
    assert torch.equal(still(fake, real), shifted(fake, real)), "without a gradient it is a measurement"
    seen = {shifted(fake.requires_grad_(), real).item() for _ in range(40)}
    side = SIDE_PX - 5
    places = [(slice(y, y + side), slice(x, x + side)) for y in range(6) for x in range(6)]
    offsets = {still(fake[..., y, x], real[..., y, x]).item() for y, x in places}
    assert seen <= offsets
    assert len(seen) > 10
    assert shifted(real.clone().requires_grad_(), real).item() == 0


def test_without_normalising_the_network_is_given_images_as_they_are() -> None:
    """DeblurGAN's weight of 100 goes with images in [-1, 1]: a squared distance is σ² · 4 ≈ 0.21 of the usual one."""
    fake, real = images()
    plain = PerceptualLoss(layers=["conv1_1"], weights="random", feature_scale=1.0, normalise_input=False)
    usual = PerceptualLoss(layers=["conv1_1"], weights="random", feature_scale=1.0)
    layer = plain._network[0]
    expected = (layer(fake) - layer(real)).square().mean()
    torch.testing.assert_close(plain(fake, real), expected)
    assert 0.18 < float(plain(fake, real) / usual(fake, real)) < 0.24
