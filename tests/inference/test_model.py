from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gantools.devices import choose_device, set_speed
from gantools.errors import ModelFileError, UsageError
from gantools.inference import model as models
from gantools.inference.model import Blend
from gantools.models import GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    MSRResNetOptions,
    ResNetOptions,
    ResNetUNetOptions,
    RRDBOptions,
    SRResNetOptions,
    SRVGGOptions,
    UNetOptions,
)
from tests.inference.networks import CPU, opened

SMALL = {
    "unet": UNetOptions(downs=3, base_channels=4, max_channels=8),
    "resnet": ResNetOptions(base_channels=4, blocks=1),
    "srresnet": SRResNetOptions(channels=4, blocks=1),
    "rrdb": RRDBOptions(channels=4, growth_channels=2, blocks=1),
    "msrresnet": MSRResNetOptions(channels=4, blocks=1),
    "srvgg": SRVGGOptions(channels=4, blocks=1),
    "compact_sr": CompactSROptions(channels=4, blocks=1),
    "compact_restoration": CompactRestorationOptions(channels=(4, 4, 4), scale_blocks=(1, 1, 1)),
    "fpn": FPNOptions(base_channels=4, max_channels=8, blocks=1, pyramid_channels=4, head_channels=4),
    "resnet_unet": ResNetUNetOptions(encoder="resnet18", base_channels=8),
    "context_encoder": ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8),
}


@pytest.mark.parametrize("kind", SMALL)
def test_opened_weights_compute_what_the_saved_network_did(save_weights: Any, kind: str) -> None:
    path = save_weights(SMALL[kind])
    torch.manual_seed(0)
    saved = GENERATORS.build(SMALL[kind]).eval()
    model = opened(path)
    image = torch.rand(1, 3, 32, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(model.network(image), saved(image))
    assert not model.network.training
    assert not any(tensor.is_meta for tensor in model.network.state_dict().values())
    assert model.recipe == "demo"


def test_the_table_of_small_networks_is_complete() -> None:
    assert set(SMALL) == set(GENERATORS.names())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_computed_with_in_float32(save_weights: Any, dtype: torch.dtype) -> None:
    model = opened(save_weights(SMALL["srresnet"], dtype=dtype))
    assert {value.dtype for value in model.network.state_dict().values()} == {torch.float32, torch.int64}


def test_the_export_decides_the_mode(save_weights: Any) -> None:
    assert opened(save_weights(SMALL["unet"], mode="train")).network.training


def test_one_of_several_networks_must_be_chosen(two_exports: Path) -> None:
    with pytest.raises(UsageError, match="holds 2 networks; choose with --export: a2b, b2a"):
        opened(two_exports)
    with pytest.raises(UsageError, match=r'--export a2c: .* did you mean "a2b"'):
        opened(two_exports, export="a2c")
    assert opened(two_exports, export="b2a").export.network == "b2a"


BIAS = "generator/head.bias"


@pytest.mark.parametrize(
    ("export", "options", "tensors", "reason"),
    [
        ({}, {}, {f"generator/more.{each}": torch.zeros(1) for each in "ab"}, r"2 tensors \(first 'more.a'\)"),
        ({}, {}, {BIAS: None}, r"does not fit the compact_sr .* lacks 1 tensor \(first 'head.bias'\)$"),
        ({}, {}, {BIAS: torch.zeros(4, dtype=torch.int32)}, "'head.bias' is stored as torch.int32"),
        ({}, {"channels": 8}, {}, "has in another shape 9 tensors"),
        ({}, {"blocks": 10**9}, {}, "too few for the compact_sr"),
        ({}, {"channels": 10**12}, {}, "compact_sr"),
        ({}, {"name": "transformer"}, {}, "describes no network of gantools"),
        ({}, {"channels": "many"}, {}, "describes no network of gantools: .*channels: Input should be a valid integer"),
        ({"scale": 2}, {}, {}, "does not fit its compact_sr"),
        ({"mode": "dream"}, {}, {}, "does not fit its compact_sr"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    save_weights: Any, export: dict[str, Any], options: dict[str, Any], tensors: dict[str, Any], reason: str
) -> None:
    path = save_weights(SMALL["compact_sr"])
    with safe_open(path, framework="pt") as stored:
        header = json.loads(stored.metadata()["gantools"])
        held = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - safe_open is no mapping
    header["exports"]["generator"] |= export
    header["exports"]["generator"]["options"] |= options
    held = {key: value for key, value in {**held, **tensors}.items() if value is not None}
    save_file(held, path, metadata={"format": "pt", "gantools": json.dumps(header)})
    with pytest.raises(ModelFileError, match=reason) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{str(path)!r}: ")


def test_devices_that_are_not_here_are_refused() -> None:
    for name in ("gpu", "cuda:99", "meta", "cuda:x"):
        with pytest.raises(UsageError, match=f"--device {name}: "):
            choose_device(name)
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_a_numbered_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams, graphs and compiled kernels are made on the current device, whatever tensors they are given."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    choose_device("cuda")
    assert current == [torch.device("cuda", 1)]


@pytest.fixture
def _kept_flags() -> Iterator[None]:
    flags = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = flags


@pytest.mark.usefixtures("_kept_flags")
@pytest.mark.parametrize("fast", [False, True])
def test_float32_on_a_gpu_is_tf32_only_where_speed_was_asked_for(fast: bool) -> None:
    torch.backends.cudnn.allow_tf32 = True  # as torch has it
    set_speed(CPU, fast=fast)
    assert torch.backends.cudnn.allow_tf32
    set_speed(torch.device("cuda"), fast=fast)
    precisions = [torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision]
    assert [precision == "tf32" for precision in precisions] == [fast] * 2
    assert torch.backends.cudnn.benchmark == torch.backends.cudnn.allow_tf32 == fast


@pytest.mark.parametrize("fast", [False, True])
def test_every_network_is_opened_with_the_speed_that_was_asked_for(
    fast: bool, save_weights: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(models, "set_speed", lambda _device, *, fast: asked.append(fast))
    opened(save_weights(SMALL["srresnet"]), fast=fast)
    assert asked == [fast]


# Blending.

SR = CompactSROptions(channels=4, blocks=1)


@pytest.fixture
def two(save_weights: Any) -> Any:
    return [save_weights(SR, seed=seed, name=f"{seed}.safetensors") for seed in (0, 1)]


def state(path: Any, blend: Blend | None = None) -> dict[str, torch.Tensor]:
    return dict(opened(path, blend=blend).network.state_dict())


def test_the_ends_are_the_two_files_and_half_way_is_their_mean(two: Any) -> None:
    one, other = state(two[0]), state(two[1])
    for share, wanted in ((0.0, other), (1.0, one), (0.5, {key: (one[key] + other[key]) / 2 for key in one})):
        made = state(two[0], Blend(two[1], share))
        torch.testing.assert_close(made, wanted, rtol=0 if share != 0.5 else None, atol=0 if share != 0.5 else None)


def test_other_networks_are_refused(two: Any, save_weights: Any) -> None:
    for other in (SRResNetOptions(channels=4, blocks=1), CompactSROptions(channels=8, blocks=1)):
        path = save_weights(other, name="c.safetensors")
        with pytest.raises(UsageError, match=r"--blend: .*c\.safetensors' holds no network like that of"):
            state(two[0], Blend(path, 0.5))
