"""What the benchmarks compute: a stage of each recipe, by hand and as gantools trains it, on batches of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks import by_hand
from gantools import api
from gantools.data.loading import batches
from gantools.data.loading.batches import Batch, to_network
from gantools.devices import has_bf16
from gantools.training import rng
from gantools.training.device import compile
from gantools.training.device.compile import CompileName
from gantools.training.device.runtime import Runtime
from gantools.training.recipe import Recipe, Stage, networks_of
from gantools.training.step import StageTrainer

RANDOM_FEATURES = "model.perceptual.weights=random"
"""Speed does not depend on the weights of a feature network, and nobody has to fetch them for it."""


@dataclass(frozen=True)
class Case:
    """A preset, the stage that is played and what is changed: always, and to make it small."""

    name: str
    preset: str
    stage: str
    always: tuple[str, ...] = ()
    small: tuple[str, ...] = ()

    def settings(self, *, small: bool, data: str | None = None) -> api.Settings:
        """The configuration, with the small sizes where asked for, on the images of a folder if one is given."""
        overrides = [*self.always, *(self.small if small else ())]
        return api.configure(self.preset, data=[data] if data else (), overrides=overrides)


CASES = (
    Case("pix2pix", "pix2pix/paper", "adversarial", small=("data.crop_px=256",)),
    Case(
        "cyclegan",
        "cyclegan/paper",
        "adversarial",
        small=("data.crop_px=64", "data.load_px=72", "model.generator.blocks=6"),
    ),
    Case(
        "srresnet",
        "srgan/paper",
        "pretraining",
        always=(RANDOM_FEATURES, "model.perceptual.network=squeezenet1_0", "model.perceptual.layers=null"),
        small=("data.batch_images=8",),
    ),
    Case(
        "srgan",
        "srgan/paper",
        "adversarial",
        always=(RANDOM_FEATURES,),
        small=("data.batch_images=2",),
    ),
    Case(
        "compact_sr",
        "srgan/compact",
        "pretraining",
        always=(RANDOM_FEATURES,),
        small=("data.batch_images=4",),
    ),
    Case("context_encoder", "context_encoder/center", "adversarial", small=("data.batch_images=8",)),
    Case("deblur", "deblur/compact", "content", small=("data.batch_images=2",)),
    Case("restore", "restore/crappify-64", "generator_pretraining", small=("data.batch_images=4",)),
)


def chosen(names: list[str] | None) -> Iterator[Case]:
    """The cases of these names, or all. Raises KeyError for an unknown name."""
    known = {case.name: case for case in CASES}
    return iter([known[name] for name in names] if names else CASES)


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

    def machine(self, device: torch.device) -> Runtime:
        """What the loop computes with in this mode."""
        return Runtime(device, self.precision, self.channels_last, compiled=self.compiled)


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
    step = by_hand.step_of(recipe, stage_name, optimizers_of(settings, stage_name))
    batch = noise_batch(settings, device, channels_last=False)
    return lambda: step(batch)


def our_step(settings: api.Settings, stage_name: str, device: torch.device, mode: Mode) -> Step:
    """A step as the loop plays it, on the same batch."""
    play, batch = our_play(settings, stage_name, mode.machine(device))
    return lambda: {name: terms.total for name, terms in play.step(0, [batch], 1.0).items()}


def our_play(settings: api.Settings, stage_name: str, machine: Runtime) -> tuple[StageTrainer, Batch]:
    """Our stage being played from its first weights on, and a batch for it."""
    recipe, stage = built(settings, stage_name, machine)
    play = StageTrainer(recipe, stage, optimizers_of(settings, stage_name), machine)
    return play, noise_batch(settings, machine.device, channels_last=machine.channels_last)


def built(settings: api.Settings, stage_name: str, machine: Runtime) -> tuple[Recipe[Any, Any], Stage]:
    """The recipe with its first weights, the same every time, on its machine."""
    rng.seed(settings.config.seed)
    recipe = settings.recipe(settings.config)
    stages = list(recipe.stages())
    for network in networks_of(stages).values():
        machine.place(network)
    for network in recipe.frozen().values():
        machine.place_frozen(network)
    machine.compile(networks_of(stages), recipe.composed())
    return recipe, next(stage for stage in stages if stage.name == stage_name)


def optimizers_of(settings: api.Settings, stage_name: str) -> Any:
    """The options of a stage's optimizers."""
    return dict(settings.config.stages)[stage_name].optimizers


_BATCHES: Mapping[str, type[Batch]] = {
    "pix2pix": batches.Paired,
    "cyclegan": batches.Unpaired,
    "srgan": batches.LowHigh,
    "context_encoder": batches.Masked,
    "deblur": batches.Restoration,
    "restore": batches.Restoration,
}


def noise_batch(settings: api.Settings, device: torch.device, *, channels_last: bool) -> Batch:
    """The same noise every time, as the loop gives it to networks; what is missing is the middle."""
    data: Any = settings.config.data
    kind, stream = _BATCHES[settings.config.recipe], torch.Generator().manual_seed(0)
    images = {}
    for name in (field.name for field in fields(kind) if field.name != "names"):
        side_px = data.crop_px // data.scale if name == "low" else data.crop_px
        shape = (data.batch_images, side_px, side_px, 3)
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=stream)
        images[name] = _middle(noise) if name == "mask" else noise
    made: Batch = kind(**images, names=("noise",) * data.batch_images)  # type: ignore[call-arg]
    return to_network(made, device, channels_last=channels_last)


def _middle(images: Tensor) -> Tensor:
    """The mask of the middle. Shapes: (N, H, H, 3) → (N, H, H, 1) uint8."""
    side_px = images.shape[1]
    mask = torch.zeros_like(images[..., :1])
    mask[:, side_px // 4 : -side_px // 4, side_px // 4 : -side_px // 4] = 255
    return mask
