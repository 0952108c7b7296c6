"""FID's network: torchvision's blocks with the pooling of 2015. Weights are random, the arithmetic is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import inception_v3
from torchvision.models.inception import InceptionA, InceptionE

from gantools.errors import ModelFileError, UsageError
from gantools.metrics import protocols
from gantools.metrics.features import recognise
from gantools.metrics.inception import CLASSES, InceptionVectors, Repooled, _average_of_what_is_there, _maximum, layers
from gantools.metrics.loading import FeatureFiles, prepare


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    network = inception_v3(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
    torch.save(network.half().state_dict(), path)
    return path


@pytest.mark.parametrize(("block", "pool"), [(InceptionA(8, 4), "average"), (InceptionE(8), "maximum")])
@torch.inference_mode()
def test_only_the_pooling_branch_is_another(block, pool):
    values = torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    block.eval()
    ours = Repooled(block, _average_of_what_is_there if pool == "average" else _maximum)(values)
    theirs = block(values)
    width = 4 if pool == "average" else 192
    torch.testing.assert_close(ours[:, :-width], theirs[:, :-width])
    pooled = functional.max_pool2d(values, 3, 1, 1) if pool == "maximum" else _by_hand(values)
    torch.testing.assert_close(ours[:, -width:], block.branch_pool(pooled))
    assert not torch.allclose(ours[:, -width:], theirs[:, -width:])


def _by_hand(values: torch.Tensor) -> torch.Tensor:
    """Means over those of the nine neighbours that lie within."""
    made = torch.empty_like(values)
    for y in range(5):
        for x in range(5):
            made[..., y, x] = values[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean((2, 3))
    return made


def test_every_pooling_block_is_replaced_and_the_classifier_left_out():
    with torch.device("meta"):
        network = inception_v3(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
    found = layers(network)
    assert sum(isinstance(layer, Repooled) for layer in found) == 9
    assert not [layer for layer in found if isinstance(layer, nn.Linear | nn.AdaptiveAvgPool2d)]
    kept = [layer.block if isinstance(layer, Repooled) else layer for layer in found]
    pools_otherwise = [layer for layer in kept if hasattr(layer, "branch_pool")]
    assert len(pools_otherwise) == 9


def test_images_of_any_size_become_2048_values(weights):
    assert recognise(weights) == "inception_fid"
    loaded = prepare([protocols.find("fid")], FeatureFiles([weights]), "cpu")
    vector = loaded.embedders["fid"].embed(np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8))
    assert vector.shape == (2048,)
    assert np.isfinite(vector).all()
    assert vector.std() > 0
    assert "299×299" in loaded.lines()[0]


def test_other_weights_are_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"fid looks through inception_fid: give its weights with --feature-weights FILE$"
    ):
        prepare([protocols.find("fid")], FeatureFiles(), "cpu")
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="FID's Inception"):
        InceptionVectors(tmp_path / "w.pth", "inception_fid")
