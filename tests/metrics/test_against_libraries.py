"""The same metrics as torchmetrics and scipy give for the same images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional import image as functional
from torchmetrics.functional.image.lpips import _LPIPS

from gantools.errors import ImageError
from gantools.metrics import pair_metric
from gantools.metrics.features import recognise
from gantools.metrics.frechet import FrechetDistance, frechet
from gantools.metrics.loading import FeatureFiles, prepare
from gantools.metrics.lpips import Lpips
from gantools.metrics.protocols import find

RNG = np.random.default_rng(11)


def images(side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image and a noisy version of it."""
    coarse = RNG.integers(0, 256, (8, 9, 3), np.uint8)
    truth = np.kron(coarse, np.ones((side_px // 8, side_px // 8, 1))).astype(np.uint8)
    made = np.clip(truth + RNG.normal(0, 12, truth.shape), 0, 255).astype(np.uint8)
    return made, truth


def batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].double()


def test_psnr_ssim_and_ms_ssim():
    """torchmetrics counts mirrored edges too, in SSIM and on the last scale of MS-SSIM: they are taken out here."""
    made, truth = images(192)
    x, y = batch(made), batch(truth)
    psnr = functional.peak_signal_noise_ratio(x, y, data_range=255.0)
    scales = functional.multiscale_structural_similarity_index_measure(x, y, data_range=255.0)
    coarse = [torch.nn.functional.avg_pool2d(values, 16) for values in (x, y)]
    whole, valid = their_ssim(*coarse)
    assert pair_metric("psnr_rgb")(made, truth) == pytest.approx(float(psnr), abs=1e-5)  # added up in float32
    assert pair_metric("ssim_rgb")(made, truth) == pytest.approx(their_ssim(x, y)[1], abs=1e-6)
    assert pair_metric("ms_ssim")(made, truth) == pytest.approx(float(scales) * (valid / whole) ** 0.1333, abs=1e-6)


def their_ssim(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """The mean over the whole image, and over the windows that lie within it."""
    options = {"data_range": 255.0, "return_full_image": True}
    mean, full = functional.structural_similarity_index_measure(x, y, **options)
    return float(mean), float(full[..., 5:-5, 5:-5].mean())


@pytest.fixture(scope="module")
def backbones(tmp_path_factory) -> dict[str, Path]:
    """Files of untrained networks: the arithmetic is the same as with trained ones."""
    from torchvision import models

    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(5)
    for name in ("alexnet", "squeezenet1_1"):
        torch.save(getattr(models, name)(weights=None).state_dict(), folder / f"{name}.pth")
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize(("short", "network"), [("alex", "alexnet"), ("squeeze", "squeezenet1_1")])
def test_lpips(short, network, backbones, monkeypatch):
    made, truth = images(64)
    assert recognise(backbones[network]) == network
    function = prepare([find(f"lpips_{short}")], FeatureFiles([backbones[network]]), "cpu").functions[f"lpips_{short}"]
    theirs = _LPIPS(net=short, pnet_rand=True)
    state = torch.load(backbones[network], weights_only=True)
    ordered = [value for key, value in state.items() if key.startswith("features.")]
    theirs.net.load_state_dict(dict(zip(theirs.net.state_dict(), ordered, strict=True)))
    expected = float(theirs(batch(made).float() / 127.5 - 1, batch(truth).float() / 127.5 - 1))
    assert expected > 0
    assert function(made, truth, None) == pytest.approx(expected, rel=1e-4)
    assert function(truth, truth, None) == 0


def test_lpips_with_its_authors_own_weights(shared_data, backbones):
    heads = shared_data / "weights_lpips_heads" / "squeeze.pth"
    assert recognise(heads) == "lpips_squeeze"
    made, truth = images(64)
    ours = Lpips(backbones["squeezenet1_1"], heads, "squeezenet1_1")
    given = FeatureFiles([backbones["squeezenet1_1"], heads])
    assert given.heads("squeezenet1_1") == heads
    prepared = prepare([find("lpips_squeeze")], given, "cpu").functions["lpips_squeeze"]
    assert 0 < ours(made, truth) == prepared(made, truth, None)


@pytest.mark.parametrize(("count_a", "count_b", "width"), [(40, 55, 6), (5, 7, 12), (3, 30, 12)])
def test_the_frechet_distance_is_the_matrix_formula(count_a, count_b, width):
    from scipy.linalg import sqrtm

    mixing = RNG.normal(size=(width, width))
    a, b = RNG.normal(size=(count_a, width)) @ mixing, RNG.normal(1, 2, size=(count_b, width))
    covariances = [np.cov(vectors, rowvar=False) for vectors in (a, b)]
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet(a, b) == pytest.approx(expected, rel=1e-3 if min(count_a, count_b) < width else 1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-8)


def test_sets_are_compared_by_any_of_the_networks(backbones):
    embedder = FrechetDistance(backbones["squeezenet1_1"], "squeezenet1_1")
    sets = [np.stack([embedder.embed(images(64)[side]) for _ in range(6)]) for side in (0, 1)]
    assert sets[0].shape == (6, 512)
    assert frechet(*sets) > frechet(sets[0], sets[0])
    with pytest.raises(ValueError, match="fewer than two"):
        frechet(sets[0][:1], sets[1])
    with pytest.raises(ImageError, match="too small"):
        embedder.embed(np.zeros((31, 80, 3), np.uint8))
