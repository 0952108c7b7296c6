"""Pix2Pix: a conditional GAN from one image to its counterpart (Isola et al. 2017, arXiv 1611.07004)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data import DATASETS
from gantools.data.options.datasets import PairedData
from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import (
    HingeOptions,
    L1Options,
    LeastSquaresOptions,
    PerceptualOptions,
    ReconstructionOptions,
    VanillaOptions,
)
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    DiscriminatorOptions,
    GeneratorOptions,
    Initialization,
    PatchGanOptions,
    UNetOptions,
)
from gantools.training.recipe import (
    Best,
    EvalDefaults,
    Generated,
    Judged,
    LossTerms,
    Player,
    Recipe,
    Stage,
    describe_generator,
    initialize,
)
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import Paired
    from gantools.data.loading.dataset import Dataset


class Pix2PixModel(Options):
    """Networks and losses of pix2pix."""

    generator: GeneratorOptions = setting(UNetOptions(), "from the source image to the target")
    discriminator: DiscriminatorOptions = setting(PatchGanOptions(), "sees pairs: source and image, concatenated")
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", paper="normal", source="normal")
    adversarial: VanillaOptions | LeastSquaresOptions | HingeOptions = setting(
        LeastSquaresOptions(), "adversarial loss", paper="vanilla", source="lsgan", discriminator="name"
    )
    pixel: ReconstructionOptions = setting(L1Options(), "distance to the target", paper="l1", source="l1")
    pixel_weight: float = setting(
        100.0, "weight of the pixel distance (λ)", paper=100, source=100, ge=0, plausible=(0, 1000)
    )
    perceptual: PerceptualOptions | None = setting(
        None, "feature distance in validation; with it the best weights minimise L1 and feature distance together"
    )
    discriminator_weight: float = setting(
        1.0,
        "factor on the discriminator's loss, slows it relative to the generator",
        paper=0.5,
        source=1.0,
        gt=0,
        plausible=(0, 1000),
    )
    inference: Literal["eval", "train"] = setting(
        "eval",
        "the generator's mode at inference; train: dropout and batch statistics, as the authors test",
        paper="train",
        why="eval gives the same image every time",
    )


class Pix2PixStages(Options):
    """Pix2pix has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "generator and discriminator train in turn")


class Pix2PixConfig(RunConfig):
    """A pix2pix run."""

    recipe: Literal["pix2pix"] = setting("pix2pix", "this recipe")
    data: PairedData = setting(PairedData(), "pairs of images")
    model: Pix2PixModel = setting(Pix2PixModel(), "networks and losses")
    stages: Pix2PixStages = setting(..., "training stages, in order")


class Pix2Pix(Recipe["Paired", Generated]):
    """A U-Net draws the target; a PatchGAN sees it beside the source."""

    config_type: ClassVar[type[RunConfig]] = Pix2PixConfig
    default_preset = "edges2shoes"
    quick_preset = "shoes-64"
    metrics = ("l1_percent", "psnr_rgb")
    evaluation = EvalDefaults(
        metrics=("l1_percent", "psnr_rgb", "ab_l1", "colorfulness"),
        inputs="pairs as the weights' configuration makes them, resized to its crop",
    )
    drawings = "shoes"

    def __init__(self, config: Pix2PixConfig) -> None:
        self.config, self.options = config, config.model
        self.generator = GENERATORS.build(self.options.generator)
        channels = self.options.generator.in_channels + self.options.generator.out_channels
        self.discriminator = DISCRIMINATORS.build(self.options.discriminator, in_channels=channels)
        self._require_fit(config.data.crop_px)
        initialize(self.options.initialization, self.generator, self.discriminator)
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        self.pixel = RECONSTRUCTION.build(self.options.pixel)
        features = self.options.perceptual
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None

    def _require_fit(self, crop_px: int) -> None:
        from gantools.training import shape_check  # needs torch

        shape = (2, 3, crop_px, crop_px)
        shape_check.check_shapes("model.generator", self.generator, shape, wanted=shape)
        shape_check.check_shapes("model.discriminator", self.discriminator, (2, 6, crop_px, crop_px))

    def stages(self) -> Iterator[Stage]:
        yield Stage(
            "adversarial",
            Alternate("discriminator", "generator"),
            {
                "generator": Player({"generator": self.generator}, self.generator_loss),
                "discriminator": Player({"discriminator": self.discriminator}, self.discriminator_loss),
            },
            best=Best.by("l1_and_features" if self.perceptual else "l1_percent"),
        )

    def forward(self, batch: Paired) -> Generated:
        return Generated(self.generator(batch.source))

    def generator_loss(self, batch: Paired, made: Generated) -> LossTerms:
        return LossTerms(
            adversarial=self.gan.fool(self.judge(batch.source, made.fake)),
            pixel=self.options.pixel_weight * self.pixel(made.fake, batch.target),
        )

    def discriminator_loss(self, batch: Paired, made: Generated) -> LossTerms:
        real, fake = self.judge(batch.source, batch.target), self.judge(batch.source, made.fake.detach())
        judged = self.options.discriminator_weight * self.gan.judge(real, fake)
        return LossTerms(adversarial=judged).with_metrics(real_logit=real.mean(), fake_logit=fake.mean())

    def judge(self, source: Tensor, image: Tensor) -> Tensor:
        """Logits of a pair; the source always comes first."""
        from torch import cat  # recipes are listed and checked without torch

        logits: Tensor = self.discriminator(cat((source, image), dim=1))
        return logits

    def monitored_pairs(self, batch: Paired, outputs: Generated) -> Mapping[str, tuple[Tensor, Tensor]]:
        return {"fake": (outputs.fake, batch.target)}

    def exports(self) -> Mapping[str, Export]:
        options = self.options
        described = describe_generator(
            "generator",
            self.generator,
            options.generator,
            self.config.data.crop_px,
            options.inference,
            self.config.data,
        )
        return {"generator": replace(described, gray="color")}

    @classmethod
    def dataset(cls, config: Pix2PixConfig, split: Literal["training", "validation"]) -> Dataset:
        return DATASETS.factory("paired")(config.data, split=split, seed=config.seed)

    def validate(self, batch: Paired) -> Judged:
        """``input_l1_percent`` is the distance of the source itself to the truth.

        ``l1_and_features`` adds up the result's distance in percent and its feature distance: L1 alone prefers blur.
        """
        fake = self.generator(batch.source).float().clamp(-1, 1)
        metrics = {"input_l1_percent": _l1_percent(batch.source, batch.target)}
        if self.perceptual:
            metrics["perceptual"] = float(self.perceptual(fake, batch.target))
            metrics["l1_and_features"] = _l1_percent(fake, batch.target) + metrics["perceptual"]
        return Judged(fake, batch.target, metrics)

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    def preview(self, batch: Paired) -> Mapping[str, Tensor]:
        return {"source": batch.source, "generated": self.generator(batch.source), "truth": batch.target}


def _l1_percent(image: Tensor, truth: Tensor) -> float:
    """Mean absolute difference of images on [-1, 1], in percent of the range."""
    return 50 * float((image - truth).abs().mean())


RECIPE = Pix2Pix
