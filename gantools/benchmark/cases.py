"""What is measured: a stage of each recipe at its paper's size and at one that takes a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gantools import api

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
        """The configuration, with the small sizes where asked for, on the pictures of a folder if one is given."""
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
