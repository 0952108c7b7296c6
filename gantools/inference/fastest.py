"""A model computed as this processor does it fastest, by measurement: its layouts, and with ``--fast`` its arithmetic.

In fp32 a layout changes last bits, so that only what is kept for all later runs is followed: a picture comes out the
same today and tomorrow, alone and in a folder. Where nothing can be kept the usual layout is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias, cast

import torch
from torch import Tensor

from gantools import speed
from gantools.inference.bundle import Model
from gantools.inference.optimise import Layout, Runnable, possible_layouts, usual_layout

Choice: TypeAlias = tuple[torch.dtype | None, Layout]

SIDE_PX = 64
"""Pictures are timed at this size, brought to one that the network takes."""


def fastest(model: Model, *, fast: bool) -> tuple[Model, str | None]:
    """The model as it is fastest, and one line on its arithmetic where ``fast`` leaves that open.

    A model that is not on a processor, is compiled, or was opened in 16 bits comes back as it is.
    """
    if model.device.type != "cpu" or model.compile or model.autocast is not None:
        return model, None
    usual = usual_layout(model.network, model.device, None)  # gives way only to what is clearly faster
    layouts = sorted(possible_layouts(model.network, None), key=lambda layout: layout != usual)
    if len(layouts) > 1:
        found, kept = _measured(model, "fp32", {layout: (None, layout) for layout in layouts})
        if kept:
            model = replace(model, layouts={None: cast(Layout, found.fastest)})
    return _fast(model) if fast else (model, None)


def _fast(model: Model) -> tuple[Model, str]:
    """In bf16 where that is clearly faster than fp32 as it is computed anyway; it is not where no convolution gains."""
    general = speed.convolution().ratios
    gains = max(general.get("bf16", 0), general.get("bf16 channels_last", 0))
    if gains < speed.MARGIN:
        return model, f"precision: {speed.Measured('', {'fp32': 1, 'bf16': gains})}"
    layout = model.layouts.get(None) or usual_layout(model.network, model.device, None)
    choices: dict[str, Choice] = {"fp32": (None, layout)}
    for each in possible_layouts(model.network, torch.bfloat16):
        choices[f"bf16 {each}"] = (torch.bfloat16, each)
    found, _ = _measured(model, f"fp32 {layout} and bf16", choices)
    dtype, layout = choices[found.fastest]
    return replace(model, autocast=dtype, layouts={**model.layouts, dtype: layout}), f"precision: {found}"


def _measured(model: Model, what: str, choices: Mapping[str, Choice]) -> tuple[speed.Measured, bool]:
    """How fast the network is in each of ``choices``, on noise of one size; and whether that is kept."""

    def measure() -> Mapping[str, float]:
        multiple = model.generator.size_multiple
        side_px = max(-(-SIDE_PX // multiple) * multiple, model.generator.minimum_size_px)
        noise = (
            torch.rand(1, model.options.in_channels, side_px, side_px, generator=torch.Generator().manual_seed(0)) * 2
            - 1
        )
        return speed.ratios({name: _contender(model, choice, noise) for name, choice in choices.items()})

    options = {"network": model.export.options, "mode": model.export.mode, "side_px": SIDE_PX, "choices": [*choices]}
    return speed.measured(f"inference {model.options.name}, {what}", options, measure)


def _contender(model: Model, choice: Choice, noise: Tensor) -> speed.Contender:
    dtype, layout = choice
    runnable = Runnable(model.network, model.device, layouts={dtype: layout})

    def run() -> None:
        with torch.inference_mode():
            runnable(noise, dtype)

    return lambda: run
