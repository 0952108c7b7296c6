"""A model runs in what this machine does fastest; in fp32 only by what is kept, so that results stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gantools import infer, speed
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.inference.kernels import select
from gantools.inference.kernels.select import fastest
from gantools.models.options import CompactSROptions, ResNetOptions, UNetOptions
from tests.inference.networks import CPU, image, opened
from tests.measuring import measuring

PLAIN = CompactSROptions(scale=1, channels=4, blocks=1)


@pytest.fixture(autouse=True)
def _all_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "is_supported", lambda _: True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_speed: None) -> Path:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(speed, "is_quiet", lambda: True)
    return tmp_path / "home" / "speed"


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "packed"])
def test_the_fastest_layout_is_taken_and_kept(save_weights: Any, home: Path, monkeypatch: Any, layout: str) -> None:
    model = opened(save_weights(PLAIN))
    asked = measuring(monkeypatch, **{layout: 1.5})
    made, line = fastest(model, fast=False)
    assert (made.layouts, made.autocast, line) == ({None: layout}, None, None)
    assert made.variants.layouts == {None: layout}
    measuring(monkeypatch, contiguous=1.0, channels_last=9.0, packed=9.0)  # another moment, another winner
    again, _ = fastest(opened(save_weights(PLAIN)), fast=False)
    assert again.layouts == made.layouts
    assert asked == [["packed", "contiguous", "channels_last"]]  # the usual one first


def test_what_cannot_be_kept_changes_no_fp32_result(
    save_weights: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("no folder")
    measuring(monkeypatch, contiguous=1.0, channels_last=9.0)
    assert fastest(opened(save_weights(PLAIN)), fast=False)[0].layouts == {}


def test_fast_takes_bf16_where_it_is_faster(save_weights: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch, bf16=2.0, bf16_packed=1.9, channels_last=1.2)
    model, line = fastest(opened(save_weights(PLAIN)), fast=True)
    assert (model.autocast, model.layouts) == (torch.bfloat16, {None: "channels_last", torch.bfloat16: "packed"})
    assert asked[-1] == ["fp32", "bf16 contiguous", "bf16 channels_last", "bf16 packed"]
    assert line is not None
    assert line.startswith("precision: bf16 packed (")
    assert "bf16 packed 1.90 times as fast as fp32" in line


@pytest.mark.parametrize("ratios", [{"bf16": 0.64, "bf16_channels_last": 0.6}, {"bf16": 1.3, "bf16_packed": 0.64}])
def test_fast_stays_in_fp32_where_bf16_is_slower(
    save_weights: Any, home: Path, monkeypatch: pytest.MonkeyPatch, ratios: dict[str, float]
) -> None:
    """Where a convolution gains nothing the network is not tried; where it gains, the network has the last word."""
    asked = measuring(monkeypatch, **ratios)
    model, line = fastest(opened(save_weights(PLAIN)), fast=True)
    assert model.autocast is None
    assert any("bf16 packed" in names for names in asked) == (ratios["bf16"] > 1)
    assert "precision: fp32 (" in str(line)
    assert "0.64 times as fast as fp32" in str(line)


def test_what_was_asked_for_is_not_measured(save_weights: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch, bf16=2.0)
    path = save_weights(PLAIN)
    for model in (opened(path, precision="bf16"), opened(path, precision="fp16"), opened(path, compile=True)):
        assert fastest(model, fast=False) == (model, None)
    assert not asked


@pytest.mark.parametrize(
    ("options", "layouts"),
    [
        (PLAIN, ("contiguous", "channels_last", "packed")),
        (ResNetOptions(base_channels=4, blocks=1), ("contiguous",)),
        (UNetOptions(downs=2, base_channels=4, norm="instance"), ("contiguous", "packed")),
    ],
)
def test_only_exact_layouts_are_tried_in_fp32(save_weights: Any, options: Any, layouts: tuple[str, ...]) -> None:
    """Norms over the whole image lose a digit on channels_last maps."""
    network = opened(save_weights(options)).network
    assert select.possible_layouts(network, None) == layouts
    assert select.usual_layout(network, CPU, None) in layouts
    assert select.possible_layouts(network.train(), None) == ("contiguous",), "dropout is kept: it runs as it is"


def test_every_contender_can_be_run(save_weights: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("GANTOOLS_HOME", str(home.parent))

    def run(contenders: dict[str, speed.Contender], **_: Any) -> dict[str, float]:
        for ready in contenders.values():
            ready()()
        return dict.fromkeys(contenders, 1.2)

    monkeypatch.setattr(speed, "ratios", run)
    for options in (PLAIN, UNetOptions(downs=2, base_channels=4), ResNetOptions(base_channels=4, blocks=1)):
        model, line = fastest(opened(save_weights(options)), fast=True)
        assert line is not None
        assert model.autocast in (None, torch.bfloat16)


def test_a_session_says_what_fast_came_to(
    save_weights: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(Image(image(16, 16)), tmp_path / "in.png")
    measuring(monkeypatch, bf16=0.7, bf16_channels_last=0.6)
    path = save_weights(PLAIN)
    with infer(path, tmp_path / "in.png", output=tmp_path / "out.png", device="cpu", fast=True, io_workers=0) as run:
        assert run.notes[-1] == "precision: fp32 (bf16 0.70 times as fast as fp32, measured on this CPU)"
        assert [result.status for result in run] == ["done"]
