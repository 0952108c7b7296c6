"""The precision and memory layout of a run whose settings say ``auto``.

On a CPU it is measured on steps of the run's own networks, or on a convolution where a step takes long; elsewhere
it follows from the device. A run keeps what it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from gantools import speed
from gantools.config.schema import RunConfig
from gantools.data.loading.batches import to_network
from gantools.data.loading.dataset import Dataset
from gantools.errors import NonFiniteError
from gantools.models.blocks import GLOBAL_NORMS
from gantools.models.generators.unet import UNet
from gantools.training.device import trial
from gantools.training.device.runtime import Precision, Runtime
from gantools.training.distributed import communicator
from gantools.training.recipe import Recipe, networks_of

CPU = torch.device("cpu")
_CPU_PRECISIONS: tuple[Precision, Precision] = ("fp32", "bf16")
_SHAPE = ("crop_px", "image_px", "channels", "scale", "batch_images")
LONG_STEP_SECONDS = 1.0
"""Longer steps are not timed: several of each would keep a run waiting."""


def settle(
    runtime: Runtime, recipe: Recipe[Any, Any], config: RunConfig, data: Dataset, before: Mapping[str, Any]
) -> tuple[Runtime, str | None]:
    """The runtime with what ``auto`` comes to, and one line where that was measured. The first rank decides for all.

    ``before`` is the ``run.json`` of a run that is resumed. What the settings ask for is not measured.
    """
    chosen, line = runtime.ranks.broadcast(lambda: _decide(runtime, recipe, config, data, before))
    return replace(runtime, precision=chosen.precision, channels_last=chosen.channels_last), line


class Choice(NamedTuple):
    """Precision and memory layout."""

    precision: Precision
    channels_last: bool

    def __str__(self) -> str:
        return f"{self.precision} channels_last" if self.channels_last else self.precision


def _decide(
    runtime: Runtime, recipe: Recipe[Any, Any], config: RunConfig, data: Dataset, before: Mapping[str, Any]
) -> tuple[Choice, str | None]:
    train, kept = config.train, before if before.get("device") == str(runtime.device) else {}
    precision = None if train.precision == "auto" else runtime.precision
    channels_last = None if train.memory_format == "auto" else runtime.channels_last
    if precision is None:
        precision = kept.get("precision")
    if channels_last is None and "memory_format" in kept:
        channels_last = kept["memory_format"] == "channels_last"
    if precision is not None or runtime.device.type != "cpu":
        usual = _usually_channels_last(recipe, runtime.device) if channels_last is None else channels_last
        return Choice(precision or runtime.precision, usual), None
    layouts = [False] if _has(recipe, *GLOBAL_NORMS) else [False, True]
    layouts = layouts if channels_last is None else [channels_last]
    choices = [Choice(precision, layout) for precision in _CPU_PRECISIONS for layout in layouts]
    if not speed.is_wanted():
        return choices[0], None
    with communicator.alone():
        found = _measured(choices, recipe, config, data)
    return next(choice for choice in choices if str(choice) == found.fastest), f"precision: {found}"


def _usually_channels_last(recipe: Recipe[Any, Any], device: torch.device) -> bool:
    """Where nothing is measured: norms over a whole image are slower with it, and Metal is wrong.

    So are U-Nets and transposed convolutions on a CPU. Tensor cores compute all convolutions in this layout.
    """
    slower = GLOBAL_NORMS if device.type == "cuda" else (*GLOBAL_NORMS, UNet, nn.ConvTranspose2d)
    return device.type != "mps" and not _has(recipe, *slower)


def _has(recipe: Recipe[Any, Any], *kinds: type[nn.Module]) -> bool:
    networks = networks_of(list(recipe.stages())).values()
    return any(isinstance(layer, kinds) for network in networks for layer in network.modules())


def _measured(choices: list[Choice], recipe: Recipe[Any, Any], config: RunConfig, data: Dataset) -> speed.Measured:
    shape = {key: value for key, value in config.data.model_dump(mode="json").items() if key in _SHAPE}
    options = {"model": config.model_dump(mode="json")["model"], "data": shape, "choices": list(map(str, choices))}

    def measure() -> Mapping[str, float]:
        return _ratios(choices, recipe, config, data)

    return speed.measured(f"training {config.recipe}", options, measure)[0]


def _ratios(choices: list[Choice], recipe: Recipe[Any, Any], config: RunConfig, data: Dataset) -> dict[str, float]:
    """Of steps of the run's last stage. Where bf16 gains nothing in a convolution, its ratio is reported.

    Where a step takes long the convolution decides between fp32 and bf16, in the usual layout.
    """
    plain = choices[0]
    general = _of_a_convolution(choices, plain)
    tried = [choice for choice in choices if choice.precision == "fp32" or general[str(choice)] >= speed.MARGIN]
    try:
        most_seconds = LONG_STEP_SECONDS * torch.get_num_threads()
        with torch.random.fork_rng(devices=[]):
            steps = speed.ratios(_contenders(tried, recipe, config, data), most_seconds=most_seconds)
    except (speed.TooSlow, NonFiniteError):
        usual = [choice for choice in choices if choice.channels_last == _usually_channels_last(recipe, CPU)] or choices
        return _of_a_convolution(usual, usual[0])
    return general | steps


def _of_a_convolution(choices: list[Choice], plain: Choice) -> dict[str, float]:
    general = speed.convolution().ratios
    return {str(choice): general.get(str(choice), 0.0) / general[str(plain)] for choice in choices}


def _contenders(
    choices: list[Choice], recipe: Recipe[Any, Any], config: RunConfig, data: Dataset
) -> dict[str, speed.Contender]:
    """Steps in which every player plays, of networks made for that, on the run's first images."""
    trainer = trial.trainer(type(recipe), config, Runtime(CPU, "fp32"))
    for optimizer in trainer.optimizers.values():  # they take as long in every precision, and much memory
        optimizer.step = lambda *_: None  # type: ignore[method-assign, assignment]
    images = trial.first_images(config, data)

    def contender(choice: Choice) -> speed.Contender:
        runtime = Runtime(CPU, choice.precision, choice.channels_last)

        def ready() -> Callable[[], object]:
            trial.place(trainer.recipe, networks_of([trainer.stage]), runtime)
            trainer.runtime = runtime
            batch = to_network(images, runtime.device, channels_last=runtime.channels_last)
            return lambda: trainer.step(0, [batch], 1.0)

        return ready

    return {str(choice): contender(choice) for choice in choices}
