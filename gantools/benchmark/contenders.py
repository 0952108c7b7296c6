"""Those that are timed against each other: the hand-written loop and ours in each arithmetic and layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from gantools import api
from gantools.benchmark import noise, plain
from gantools.data.loading.batches import Batch
from gantools.devices import has_bf16
from gantools.training import rng
from gantools.training.device import compile
from gantools.training.device.compile import CompileName
from gantools.training.device.runtime import Machine
from gantools.training.recipe import Recipe, Stage, networks_of
from gantools.training.step import StagePlay

Step = Callable[[], Mapping[str, Tensor]]
PLAIN = "plain fp32"


@dataclass(frozen=True)
class Mode:
    """Arithmetic and memory layout of our loop."""

    precision: Literal["fp32", "bf16"]
    channels_last: bool
    compiled: CompileName = "off"

    @property
    def name(self) -> str:
        compiled = {"off": "", "networks": " compiled", "graphs": " compiled, graphs"}[self.compiled]
        return f"{self.precision}{' channels_last' if self.channels_last else ''}{compiled}"

    def machine(self, device: torch.device) -> Machine:
        """What the loop computes with in this mode."""
        return Machine(device, self.precision, self.channels_last, compiled=self.compiled)


FP32 = Mode("fp32", channels_last=False)
_COMPILED: tuple[CompileName, CompileName] = ("networks", "graphs")


def modes(device: torch.device) -> tuple[Mode, ...]:
    """The modes that make sense on a device: bf16 only where it is computed in hardware."""
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16") if has_bf16(device) else ("fp32",)
    found = [Mode(precision, layout) for precision in precisions for layout in (False, True)]
    if compile.obstacle(device) is None:
        found += [replace(mode, compiled=how) for mode in found for how in _COMPILED]
    return tuple(found)


def plain_step(settings: api.Settings, stage_name: str, device: torch.device) -> Step:
    """A step of the hand-written loop, on the same batch again and again."""
    recipe, stage = built(settings, stage_name, FP32.machine(device))
    for player in stage.players.values():
        for network in player.networks.values():
            network.train()
    step = plain.step_of(recipe, stage_name, optimizers_of(settings, stage_name))
    batch = noise.batch(settings, device, channels_last=False)
    return lambda: step(batch)


def our_step(settings: api.Settings, stage_name: str, device: torch.device, mode: Mode) -> Step:
    """A step as the loop plays it, on the same batch."""
    play, batch = our_play(settings, stage_name, mode.machine(device))
    return lambda: {name: terms.total for name, terms in play.step(0, [batch], 1.0).items()}


def our_play(settings: api.Settings, stage_name: str, machine: Machine) -> tuple[StagePlay, Batch]:
    """Our stage being played from its first weights on, and a batch for it."""
    recipe, stage = built(settings, stage_name, machine)
    play = StagePlay(recipe, stage, optimizers_of(settings, stage_name), machine)
    return play, noise.batch(settings, machine.device, channels_last=machine.channels_last)


def built(settings: api.Settings, stage_name: str, machine: Machine) -> tuple[Recipe[Any, Any], Stage]:
    """The recipe with its first weights, the same every time, on its machine."""
    rng.seed(settings.config.seed)
    recipe = settings.recipe(settings.config)
    stages = list(recipe.stages())
    for network in (*networks_of(stages).values(), *recipe.frozen().values()):
        machine.place(network)
    machine.compile(networks_of(stages), recipe.composed())
    return recipe, next(stage for stage in stages if stage.name == stage_name)


def optimizers_of(settings: api.Settings, stage_name: str) -> Any:
    """The options of a stage's optimizers."""
    return dict(settings.config.stages)[stage_name].optimizers
