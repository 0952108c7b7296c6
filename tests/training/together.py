"""Trainings by two processes that meet once for all of them, because to start processes is what costs most.

``python -m tests.training.together FOLDER IMAGES SCENE…`` is what each of them runs; see ``SCENES``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gantools import api, recipes
from gantools.data.loading.batches import LabelledImages
from gantools.data.synthetic import drawing
from gantools.errors import TrainingError
from gantools.recipes.pix2pix import Pix2Pix
from gantools.training.ada import ADJUSTED_EVERY
from gantools.training.distributed.launch import environment, free_port
from gantools.training.latent import Drawn, LatentRecipe, fixed_latent
from gantools.training.recipe import LossTerms, networks_of
from tests.cli.conftest import SMALL, SMALL_PRESET
from tests.training import runs
from tests.training.listening import Listener

SHARED = (
    "data.workers=0",
    "data.batch_images=2",
    "data.validation_share=0.25",
    "train.precision=fp32",
    "train.ema_decay=0.9",
    "train.log_every_steps=1",
    "train.memory_format=contiguous",
)
LONGER = ("stages.adversarial.steps=4",)
BOTH = ("model.generator.norm=none", "model.discriminator.norm=none")
# Every recipe in a form in which no image meets another one: no batch statistics, dropout, pools or relativistic
# loss. (The restorer's encoder has batch norms: its statistics are shared.)
EQUAL = {
    "pix2pix/paper": (*LONGER, *BOTH, "model.generator.dropout=0"),
    "cyclegan/paper": (*LONGER, *BOTH, "model.pool_images=0"),
    "context_encoder/center": (*LONGER, *BOTH),
    "deblur/fpn": (*LONGER, *BOTH, "model.full_discriminator.norm=none", "model.adversarial={name: lsgan}"),
    "srgan/mse": BOTH,
    "restore/crappify-64": ("train.sync_batch_norm=true", "model.critic.dropout=0"),
    "dcgan/mnist-32": ("train.sync_batch_norm=true", "model.augmentation=[]"),
}

# Dropout, batch norms, pools.
RANDOM = ("model.generator.dropout=0.5", "model.generator.norm=batch", "model.pool_images=2")


def settings(spec: str, images: Path, *overrides: str) -> api.Settings:
    """A tiny configuration of ``spec`` on images that are drawn where they are not there."""
    recipe = spec.partition("/")[0]
    small = (*SMALL[recipe], *SMALL_PRESET.get(spec, ()))
    return api.configure(spec, data=[str(drawn(recipe, images))], overrides=[*SHARED, *small, *overrides])


def drawn(recipe: str, images: Path) -> Path:
    """The folder of a recipe's images, which are drawn where they are not there."""
    folder = images / recipe
    if not folder.exists():
        drawing.draw_dataset(recipes.find(recipe).drawings, folder, count=12, size_px=64, seed=1)
    return folder


def processes(count: int, arguments: Sequence[str]) -> list[subprocess.Popen[str]]:
    """Start Python ``count`` times, as ranks of one another."""
    port = free_port()
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment(rank, count, port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(count)
    ]


def latents_by_name(recipe: LatentRecipe, batch: LabelledImages) -> Drawn:
    """As ``LatentRecipe.forward``, but an image's name decides its latent vector, on whichever rank it is."""
    latent = fixed_latent(recipe.latent, batch.names, batch.image.device)
    return Drawn(recipe.make(latent, None), latent)


def equal(folder: Path, images: Path, spec: str) -> None:
    """Train what one process with the double batch trains as well."""
    LatentRecipe.forward = latents_by_name
    api.train(settings(spec, images, *EQUAL[spec]), run_dir=folder / spec, device="cpu")


def resumed(folder: Path, images: Path) -> None:
    """Train a run as a whole, and one in two parts."""
    tried = settings("cyclegan/paper", images, *LONGER, *RANDOM)
    api.train(tried, run_dir=folder / "whole", device="cpu")
    api.train(tried, run_dir=folder / "parts", device="cpu", max_steps=3)
    api.resume(folder / "parts", device="cpu")


def signalled(folder: Path, images: Path) -> None:
    """The second process gets a signal; both stop, at the same step."""
    rank = int(os.environ["RANK"])

    def act(done: int) -> None:
        if rank == 1 and done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    tried = settings("pix2pix/paper", images, "stages.adversarial.steps=1000")
    run = api.train(tried, run_dir=folder / "signalled", device="cpu", reporter=Listener(act))
    (folder / f"signalled-{rank}.json").write_text(json.dumps([run.ending, run.step, run.signal]))


def poisoned(folder: Path, images: Path) -> None:
    """The second process meets a loss that is no number; both fail. Nothing can come after it."""
    rank, original, calls = int(os.environ["RANK"]), Pix2Pix.generator_loss, []

    def spoilt(self: Pix2Pix, batch: Any, made: Any) -> LossTerms:
        calls.append(1)
        terms = original(self, batch, made).terms
        return LossTerms(**terms | ({"pixel": terms["pixel"] * float("nan")} if len(calls) == 3 and rank else {}))

    Pix2Pix.generator_loss = spoilt
    try:
        api.train(settings("pix2pix/paper", images, *LONGER), run_dir=folder / "poisoned", device="cpu")
    except TrainingError as error:
        (folder / f"poisoned-{rank}.txt").write_text(f"{type(error).__name__}: {error}")


def adaptive(folder: Path, images: Path) -> None:
    """Train stylegan2 with adaptive augmentation, then judge four batches; what each process holds in the end."""
    rank = int(os.environ["RANK"])
    own = (
        "model.ada_target=0.3",
        "model.augmentation=ada",
        "model.ada_kimg=0.1",
        "train.ema_decay=null",
        "stages.adversarial.kimg=null",
    )
    recipe = runs.trained(settings("stylegan2/shoes-32", images, *own, *LONGER), folder / "adaptive")
    recipe.ada.probability.zero_()
    for _ in range(ADJUSTED_EVERY):
        recipe.ada.adjust(torch.tensor([[1.0], [-1.0 if rank else 1.0]]))
    networks = {name: one.state_dict() for name, one in networks_of(list(recipe.stages())).items()}
    torch.save({**networks, "r1_weight": recipe.r1_weight}, folder / f"adaptive-{rank}.pt")


SCENES = {"adaptive": adaptive, "resumed": resumed, "signalled": signalled, "poisoned": poisoned}

if __name__ == "__main__":
    where, given = Path(sys.argv[1]), Path(sys.argv[2])
    for wanted in sys.argv[3:]:
        SCENES.get(wanted, partial(equal, spec=wanted))(where, given)
