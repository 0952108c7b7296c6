from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gantools.devices import choose_device, set_speed
from gantools.errors import ModelFileError, UsageError
from gantools.inference import model as models
from gantools.inference.model import Blend, open_model
from gantools.models import GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)

CPU = torch.device("cpu")
SMALL = {
    "unet": UNetOptions(downs=3, base_channels=4, max_channels=8),
    "resnet": ResNetOptions(base_channels=4, blocks=1),
    "srresnet": SRResNetOptions(channels=4, blocks=1),
    "compact_sr": CompactSROptions(channels=4, blocks=1),
    "compact_restoration": CompactRestorationOptions(channels=(4, 4, 4), scale_blocks=(1, 1, 1)),
    "fpn": FPNOptions(base_channels=4, max_channels=8, blocks=1, pyramid_channels=4, head_channels=4),
    "resnet_unet": ResNetUNetOptions(encoder="resnet18", base_channels=8),
    "context_encoder": ContextEncoderOptions(region="full", downs=3, base_channels=4, bottleneck_channels=8),
}

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]


def changed(path: Path, change: Change) -> Path:
    """Rewrite weights with a changed description (its only export) and changed tensors."""
    with safe_open(path, framework="pt") as stored:
        header = json.loads(stored.metadata()["gantools"])
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - safe_open is no mapping
    change(header["exports"]["generator"], tensors)
    save_file(tensors, path, metadata={"format": "pt", "gantools": json.dumps(header)})
    return path


@pytest.mark.parametrize("kind", SMALL)
def test_opened_weights_compute_what_the_saved_network_did(save_weights: Any, kind: str) -> None:
    path = save_weights(SMALL[kind])
    torch.manual_seed(0)
    saved = GENERATORS.build(SMALL[kind]).eval()
    model = open_model(path, export=None, device=CPU)
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
    model = open_model(save_weights(SMALL["srresnet"], dtype=dtype), export=None, device=CPU)
    assert {value.dtype for value in model.network.state_dict().values()} == {torch.float32, torch.int64}


def test_the_export_decides_the_mode(save_weights: Any) -> None:
    assert open_model(save_weights(SMALL["unet"], mode="train"), export=None, device=CPU).network.training


def test_one_of_several_networks_must_be_chosen(two_exports: Path) -> None:
    with pytest.raises(UsageError, match="holds 2 networks; choose with --export: a2b, b2a"):
        open_model(two_exports, export=None, device=CPU)
    with pytest.raises(UsageError, match=r'--export a2c: .* did you mean "a2b"'):
        open_model(two_exports, export="a2c", device=CPU)
    assert open_model(two_exports, export="b2a", device=CPU).export.network == "b2a"


def _surplus(_: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors |= {f"generator/more.{name}": torch.zeros(1) for name in "ab"}


def _missing(_: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del tensors["generator/head.bias"]


def _other_shape(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["options"]["channels"] = 8


def _integers(_: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["generator/head.bias"] = torch.zeros(4, dtype=torch.int32)


def _endless(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["options"]["blocks"] = 10**9


def _enormous(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["options"]["channels"] = 10**12


def _unknown(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["options"]["name"] = "transformer"


def _ill_typed(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["options"]["channels"] = "many"


def _other_scale(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["scale"] = 2


def _other_mode(export: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    export["mode"] = "dream"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_surplus, r"does not fit the compact_sr that it describes: has too many 2 tensors \(first 'more.a'\)"),
        (_missing, r"lacks 1 tensor \(first 'head.bias'\)$"),
        (_other_shape, "has in another shape 9 tensors"),
        (_integers, "'head.bias' is stored as torch.int32"),
        (_endless, "too few for the compact_sr"),
        (_enormous, "compact_sr"),
        (_unknown, "describes no network of gantools"),
        (_ill_typed, "describes no network of gantools: .*channels: Input should be a valid integer"),
        (_other_scale, "does not fit its compact_sr"),
        (_other_mode, "does not fit its compact_sr"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(save_weights: Any, change: Change, reason: str) -> None:
    path = changed(save_weights(SMALL["compact_sr"]), change)
    with pytest.raises(ModelFileError, match=reason) as caught:
        open_model(path, export=None, device=CPU)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{str(path)!r}: ")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "cuda:x"])
def test_devices_that_are_not_here_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--device {name}: "):
        choose_device(name)


def test_the_cpu_is_always_here() -> None:
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
    open_model(save_weights(SMALL["srresnet"]), export=None, device=CPU, fast=fast)
    assert asked == [fast]


# Blending.

SR = CompactSROptions(channels=4, blocks=1)


@pytest.fixture
def two(save_weights: Any) -> Any:
    return save_weights(SR, seed=0, name="a.safetensors"), save_weights(SR, seed=1, name="b.safetensors")


def state(path: Any, blend: Blend | None = None) -> dict[str, torch.Tensor]:
    return dict(open_model(path, export=None, device=CPU, blend=blend).network.state_dict())


def test_the_ends_are_the_two_files_and_half_way_is_their_mean(two: Any) -> None:
    one, other = two
    ends = state(other), state(one)
    for share, wanted in ((0.0, ends[0]), (1.0, ends[1])):
        assert all(torch.equal(value, wanted[key]) for key, value in state(one, Blend(other, share)).items())
    for key, value in state(one, Blend(other, 0.5)).items():
        torch.testing.assert_close(value, (ends[0][key] + ends[1][key]) / 2)


def test_other_networks_are_refused(two: Any, save_weights: Any) -> None:
    for other in (SRResNetOptions(channels=4, blocks=1), CompactSROptions(channels=8, blocks=1)):
        path = save_weights(other, name="c.safetensors")
        with pytest.raises(UsageError, match=r"--blend: .*c\.safetensors' holds no network like that of"):
            state(two[0], Blend(path, 0.5))
