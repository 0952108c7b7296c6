"""Games of other shapes run on the same loop: what the coming recipes need is there, without a case of its own.

A miniature CycleGAN (four networks, two players, an image pool that resumes), a Wasserstein critic with gradient
penalty and five turns to one, an adaptive switch whose resting player is in eval mode, and pretraining before the game.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from gantools.checkpoint import state
from gantools.checkpoint.weights import Export
from gantools.config.options import Options, setting
from gantools.config.schema import DataSection, GanOptimizers, GeneratorOnly, RunConfig, StageOptions
from gantools.config.source import Tree
from gantools.data.loading import sampler
from gantools.data.loading.batches import Unpaired
from gantools.data.loading.sampler import SampleKey
from gantools.losses.penalties import gradient_penalty
from gantools.training import setup
from gantools.training.recipe import Judged, LossTerms, Player, Recipe, Stage
from gantools.training.run import metrics_log
from gantools.training.stopping import Limits
from gantools.training.turns import Alternate, CriticRatio, Solo, ThresholdSwitch

SIDE_PX = 8


class Item(NamedTuple):
    name: str
    files: tuple = ()


class Noise:
    """Two domains of random pictures."""

    max_unreadable_share = 0.0

    def __init__(self) -> None:
        self.items = tuple(Item(f"{number}.png") for number in range(6))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: SampleKey) -> tuple[np.ndarray, np.ndarray, str]:
        rng = sampler.sample_rng(0, key.epoch, key.index)
        a, b = rng.integers(0, 256, (2, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        return a, b, self.items[key.index].name

    def collate(self, samples: Sequence[Any]) -> Unpaired:
        a, b, names = zip(*samples, strict=True)
        return Unpaired(torch.from_numpy(np.stack(a)), torch.from_numpy(np.stack(b)), names)

    def divide_cache(self, processes: int) -> None:
        pass

    def describe(self) -> str:
        return "6 pairs of noise"


class ToyData(DataSection):
    batch_images: int = setting(2, "images in a batch")
    workers: Literal[0] = setting(0, "none")  # type: ignore[assignment]


class ToyStages(Options):
    game: StageOptions[GanOptimizers] = setting(..., "the game")


class TwoStages(Options):
    pretraining: StageOptions[GeneratorOnly] = setting(..., "the generator alone")
    game: StageOptions[GanOptimizers] = setting(..., "the game")


class ToyConfig(RunConfig):
    data: ToyData = setting(ToyData(), "noise")
    model: Options = setting(Options(), "nothing to set")
    stages: ToyStages | TwoStages = setting(..., "stages")


def picture_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))


def judge_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))


class Toy(Recipe[Unpaired, Any]):
    """What the toys below share."""

    config_type = ToyConfig
    default_preset = "toy"

    def __init__(self, config: Any) -> None:
        self.generator, self.critic = picture_net(), judge_net()

    @classmethod
    def dataset(cls, config: Any, split: Literal["training", "validation"]) -> Any:
        return Noise()

    def forward(self, batch: Unpaired) -> Any:
        return self.generator(batch.a)

    def exports(self) -> dict[str, Export]:
        return {"generator": Export("generator", {"name": "toy"}, scale=1, size_multiple=1)}

    def validate(self, batch: Unpaired) -> Judged:
        return Judged(self.generator(batch.a), batch.b, {})

    def preview(self, batch: Unpaired) -> dict[str, torch.Tensor]:
        return {"a": batch.a, "fake": self.generator(batch.a)}

    def l1(self, batch: Unpaired, fake: torch.Tensor) -> LossTerms:
        return LossTerms(pixel=(fake - batch.b).abs().mean())


class Pool:
    """Hands back old fakes half of the time."""

    def __init__(self, size: int) -> None:
        self.size, self.images, self.stream = size, [], torch.Generator().manual_seed(0)

    def swap(self, fakes: torch.Tensor) -> torch.Tensor:
        out = []
        for fake in fakes:
            if len(self.images) < self.size:
                self.images.append(fake.clone())
                out.append(fake)
            elif torch.rand(1, generator=self.stream) < 0.5:
                out.append(fake)
            else:
                index = int(torch.randint(self.size, (1,), generator=self.stream))
                out.append(self.images[index])
                self.images[index] = fake.clone()
        return torch.stack(out)


@dataclass(frozen=True)
class Fakes:
    a: torch.Tensor
    b: torch.Tensor
    back_a: torch.Tensor
    back_b: torch.Tensor


class MiniatureCycleGan(Toy):
    def __init__(self, config: Any) -> None:
        self.a_to_b, self.b_to_a, self.judge_a, self.judge_b = picture_net(), picture_net(), judge_net(), judge_net()
        self.pool = Pool(3)

    def stages(self):
        yield Stage(
            "game",
            Alternate("generator", "discriminator"),
            {
                "generator": Player({"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}, self.generator_loss),
                "discriminator": Player({"judge_a": self.judge_a, "judge_b": self.judge_b}, self.judge_loss),
            },
        )

    def forward(self, batch: Unpaired) -> Fakes:
        fake_a, fake_b = self.b_to_a(batch.b), self.a_to_b(batch.a)
        return Fakes(fake_a, fake_b, self.b_to_a(fake_b), self.a_to_b(fake_a))

    def generator_loss(self, batch: Unpaired, fake: Fakes) -> LossTerms:
        cycle = (fake.back_a - batch.a).abs().mean() + (fake.back_b - batch.b).abs().mean()
        fooled = ((self.judge_a(fake.a) - 1) ** 2).mean() + ((self.judge_b(fake.b) - 1) ** 2).mean()
        return LossTerms(adversarial=fooled, cycle=10 * cycle)

    def judge_loss(self, batch: Unpaired, fake: Fakes) -> LossTerms:
        old_a = self.pool.swap(fake.a.detach())
        a = ((self.judge_a(batch.a) - 1) ** 2).mean() + (self.judge_a(old_a) ** 2).mean()
        b = ((self.judge_b(batch.b) - 1) ** 2).mean() + (self.judge_b(fake.b.detach()) ** 2).mean()
        return LossTerms(a=0.5 * a, b=0.5 * b)

    def exports(self) -> dict[str, Export]:
        return {name: Export(name, {"name": "toy"}, scale=1, size_multiple=1) for name in ("a_to_b", "b_to_a")}

    def validate(self, batch: Unpaired) -> Judged:
        return Judged(self.a_to_b(batch.a), batch.b, {})

    def preview(self, batch: Unpaired) -> dict[str, torch.Tensor]:
        return {"a": batch.a, "fake": self.a_to_b(batch.a)}

    def extra_state(self) -> dict[str, Any]:
        return {"images": list(self.pool.images), "stream": self.pool.stream.get_state()}

    def load_extra_state(self, state: Any) -> None:
        self.pool.images = list(state["images"])
        self.pool.stream.set_state(state["stream"])


class WassersteinToy(Toy):
    def stages(self):
        yield Stage(
            "game",
            CriticRatio(5),
            {
                "generator": Player(
                    {"generator": self.generator},
                    lambda batch, fake: LossTerms(adversarial=-self.critic(fake).mean(), **self.l1(batch, fake).terms),
                ),
                "discriminator": Player({"critic": self.critic}, self.critic_loss),
            },
        )

    def critic_loss(self, batch: Unpaired, fake: torch.Tensor) -> LossTerms:
        assert not fake.requires_grad or fake.grad_fn is not None
        distance = self.critic(fake.detach()).mean() - self.critic(batch.b).mean()
        return LossTerms(distance=distance, penalty=10 * gradient_penalty(self.critic, batch.b, fake.detach()))


class AdaptiveToy(Toy):
    def stages(self):
        generator = {"generator": self.generator}
        yield Stage("pretraining", Solo("generator"), {"generator": Player(generator, self.l1)})
        yield Stage(
            "game",
            ThresholdSwitch(0.65),
            {
                "generator": Player(generator, self.l1, frozen_mode="eval"),
                "discriminator": Player({"critic": self.critic}, self.critic_loss, frozen_mode="eval"),
            },
        )

    def critic_loss(self, batch: Unpaired, fake: torch.Tensor) -> LossTerms:
        bce = nn.functional.binary_cross_entropy_with_logits
        real, made = self.critic(batch.b), self.critic(fake.detach())
        return LossTerms(critic=(bce(real, torch.ones_like(real)) + bce(made, torch.zeros_like(made))) / 2)


STAGE = {"steps": 12, "optimizers": {"generator": {"name": "adam"}, "discriminator": {"name": "adam", "lr": 0.02}}}
ONLY = {"steps": 2, "optimizers": {"generator": {"name": "adam"}}}


def run(kind: type[Toy], folder, *, max_steps: int | None = None, resume: bool = False) -> setup.Outcome:
    stages = {"pretraining": ONLY, "game": STAGE} if kind is AdaptiveToy else {"game": STAGE}
    train = {"precision": "fp32", "log_every_steps": 1, "preview_every_steps": 12}
    values = {"recipe": "toy", "data": {}, "model": {}, "stages": stages, "train": train}
    config = ToyConfig.model_validate(values, strict=False)
    prepared = setup.prepare(kind, config, "cpu")
    limits = Limits(max_steps=max_steps)
    if resume:
        return setup.resume(prepared, setup.RunDirectory.open(folder), limits, None)
    return setup.start(prepared, Tree(values), folder, limits, None)


@pytest.mark.parametrize("kind", [MiniatureCycleGan, WassersteinToy, AdaptiveToy])
def test_a_game_of_another_shape_trains_and_resumes_bit_for_bit(kind, tmp_path):
    whole = run(kind, tmp_path / "whole")
    run(kind, tmp_path / "part", max_steps=7)
    resumed = run(kind, tmp_path / "part", resume=True)
    assert whole.ending == resumed.ending == "finished"
    last = [state.newest(tmp_path / name / "checkpoints")[1] for name in ("whole", "part")]
    for name, weights in last[0]["networks"].items():
        for key, value in weights.items():
            assert torch.equal(value, last[1]["networks"][name][key]), f"{name}.{key}"


def players(folder) -> list[set[str]]:
    rows = [row for row in metrics_log.read(folder / "metrics.jsonl") if "images_per_second" in row]
    return [{key.split("/")[1] for key in row if key.startswith("loss/")} for row in rows]


def test_the_critic_plays_five_times_as_often(tmp_path):
    run(WassersteinToy, tmp_path / "run")
    assert [len(names) for names in players(tmp_path / "run")] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1]


def test_the_switch_gives_the_generator_a_turn_when_the_critic_wins(tmp_path):
    run(AdaptiveToy, tmp_path / "run")
    game = players(tmp_path / "run")[2:]
    assert game[0] == {"discriminator"}
    assert {"generator"} in game
    assert all(len(names) == 1 for names in game)
    first = game.index({"generator"})
    assert game[first + 1 : first + 2] in ([{"discriminator"}], [])


def test_both_directions_of_a_cycle_are_exported(tmp_path):
    from gantools.checkpoint import weights

    run(MiniatureCycleGan, tmp_path / "run")
    stored = weights.describe(tmp_path / "run" / "weights" / "last.safetensors")
    assert sorted(stored.exports) == ["a_to_b", "b_to_a"]
