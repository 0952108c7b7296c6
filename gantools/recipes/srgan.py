"""SRGAN: ×4 super-resolution, first by pixel distance, then adversarially (Ledig et al. 2017, arXiv 1609.04802)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, GeneratorOnly, RunConfig, SomeStages, StageOptions
from gantools.data import open_distillable
from gantools.data.options.datasets import ResolutionData
from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import (
    AdversarialOptions,
    MseOptions,
    PerceptualOptions,
    ReconstructionOptions,
    VanillaOptions,
)
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    CompactSROptions,
    DiscriminatorOptions,
    Initialization,
    MSRResNetOptions,
    RRDBOptions,
    SrganDiscriminatorOptions,
    SRResNetOptions,
    SRVGGOptions,
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
from gantools.training.turns import Alternate, Solo

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import LowHigh
    from gantools.data.loading.dataset import Dataset


class SrganModel(Options):
    """Networks and losses of SRGAN."""

    generator: SRResNetOptions | CompactSROptions | RRDBOptions | MSRResNetOptions | SRVGGOptions = setting(
        SRResNetOptions(), "from the small image to the large one", discriminator="name"
    )
    discriminator: DiscriminatorOptions = setting(SrganDiscriminatorOptions(), "sees large images")
    initialization: Initialization = setting("default", "first weights of the discriminator and an SRResNet")
    pixel: ReconstructionOptions = setting(MseOptions(), "distance to the original in pretraining", paper="mse")
    pixel_weight: float = setting(
        0.0, "weight of the pixel distance in adversarial training", paper=0, ge=0, plausible=(0, 1000)
    )
    perceptual: PerceptualOptions | None = setting(
        PerceptualOptions(), "feature distance in adversarial training; null leaves it out", paper="VGG19 relu5_4"
    )
    perceptual_weight: float = setting(1.0, "weight of the feature distance", paper=1.0, ge=0, plausible=(0, 1000))
    lattice_weight: float = setting(
        0.0,
        "weight of the error that repeats in each cell of scale × scale px (checkerboard), in adversarial training",
        paper=0,
        ge=0,
        plausible=(0, 1e5),
    )
    adversarial: AdversarialOptions = setting(VanillaOptions(), "adversarial loss", paper="vanilla")
    adversarial_weight: float = setting(1e-3, "weight of the adversarial term", paper=1e-3, ge=0, plausible=(0, 1000))

    @model_validator(mode="after")
    def _content(self) -> Self:
        if self.pixel_weight == 0 and (self.perceptual is None or self.perceptual_weight == 0):
            raise ValueError(
                "adversarial training needs a content loss: set pixel_weight, or perceptual and its weight"
            )
        return self


class SrganStages(SomeStages):
    """SRResNet by pixel distance, by several distances if wanted, then adversarial training that starts from it."""

    pretraining: StageOptions[GeneratorOnly] | None = setting(
        None, "the generator alone, by pixel distance; null: adversarial training at once"
    )
    content: StageOptions[GeneratorOnly] | None = setting(
        None, "the generator alone, by the weighted distances of adversarial training; null: left out"
    )
    adversarial: StageOptions[GanOptimizers] | None = setting(
        None, "generator and discriminator train in turn; null: no adversarial training"
    )


class SrganConfig(RunConfig):
    """An SRGAN run."""

    recipe: Literal["srgan"] = setting("srgan", "this recipe")
    data: ResolutionData = setting(ResolutionData(), "photos; their small versions are made by the loader")
    model: SrganModel = setting(SrganModel(), "networks and losses")
    stages: SrganStages = setting(..., "training stages, in order")

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        if self.data.scale != self.model.generator.scale:
            raise ValueError(
                f"data.scale ({self.data.scale}) and model.generator.scale ({self.model.generator.scale}) must be equal"
            )
        return self


class Srgan(Recipe["LowHigh", Generated]):
    """A generator enlarges; in adversarial training a discriminator distinguishes its images from originals."""

    config_type: ClassVar[type[RunConfig]] = SrganConfig
    default_preset = "compact"
    bench_settings = ("model.perceptual.weights=random",)
    metrics = ("psnr_y", "ssim_y")
    evaluation = EvalDefaults(
        metrics=("psnr_y", "ssim_y", "psnr_rgb"),
        inputs="center-cropped to a multiple of the scale, shrunk by antialiased bicubic (a = -0.5), rounded to 8 bits",
        ready_pairs=True,
        realistic_jpeg=(80,),
    )

    def __init__(self, config: SrganConfig) -> None:
        self.config, self.options = config, config.model
        self.generator = GENERATORS.build(self.options.generator)
        self.discriminator = DISCRIMINATORS.build(self.options.discriminator, in_channels=3)
        self._require_fit(config.data.crop_px, config.data.scale)
        if self.options.generator.name == "srresnet":  # the others start as their papers or codes say
            initialize(self.options.initialization, self.generator)
        initialize(self.options.initialization, self.discriminator)
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        self.pixel = RECONSTRUCTION.build(self.options.pixel)
        features = self.options.perceptual if config.stages.content or config.stages.adversarial else None
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None

    def _require_fit(self, crop_px: int, scale: int) -> None:
        from gantools.training import shape_check  # needs torch

        high, low = (2, 3, crop_px, crop_px), (2, 3, crop_px // scale, crop_px // scale)
        shape_check.check_shapes("model.generator", self.generator, low, wanted=high)
        if self.config.stages.adversarial is not None:
            shape_check.check_shapes("model.discriminator", self.discriminator, high)

    def stages(self) -> Iterator[Stage]:
        generator = {"generator": self.generator}
        if self.config.stages.pretraining is not None:
            players = {"generator": Player(generator, self.pretraining_loss)}
            yield Stage("pretraining", Solo("generator"), players, best=Best.by("psnr_y"))
        best = Best.by("perceptual") if self.perceptual else Best.by("psnr_y")
        if self.config.stages.content is not None:
            yield Stage("content", Solo("generator"), {"generator": Player(generator, self.content_loss)}, best=best)
        if self.config.stages.adversarial is not None:
            yield Stage(
                "adversarial",
                Alternate("discriminator", "generator"),
                {
                    "generator": Player(generator, self.generator_loss),
                    "discriminator": Player({"discriminator": self.discriminator}, self.discriminator_loss),
                },
                best=best,
            )

    def forward(self, batch: LowHigh) -> Generated:
        return Generated(self.generator(batch.low))

    def pretraining_loss(self, batch: LowHigh, made: Generated) -> LossTerms:
        return LossTerms(pixel=self.pixel(made.fake, batch.high))

    def content_loss(self, batch: LowHigh, made: Generated) -> LossTerms:
        return LossTerms(**self._content(batch, made))

    def generator_loss(self, batch: LowHigh, made: Generated) -> LossTerms:
        # Only a relativistic objective reads the real logits.
        real = self.discriminator(batch.high) if self.options.adversarial.name == "relativistic" else None
        adversarial = self.options.adversarial_weight * self.gan.fool(self.discriminator(made.fake), real)
        return LossTerms(adversarial=adversarial, **self._content(batch, made))

    def _content(self, batch: LowHigh, made: Generated) -> dict[str, Tensor]:
        from gantools.losses.reconstruction import lattice  # needs torch

        options = self.options
        terms = {
            "pixel": (options.pixel_weight, self.pixel),
            "perceptual": (options.perceptual_weight, self.perceptual),
            "lattice": (options.lattice_weight, partial(lattice, cell_px=self.config.data.scale)),
        }
        return {
            name: weight * distance(made.fake, batch.high)
            for name, (weight, distance) in terms.items()
            if weight and distance is not None
        }

    def discriminator_loss(self, batch: LowHigh, made: Generated) -> LossTerms:
        real, fake = self.discriminator(batch.high), self.discriminator(made.fake.detach())
        terms = LossTerms(adversarial=self.gan.judge(real, fake))
        return terms.with_metrics(real_logit=real.mean(), fake_logit=fake.mean())

    def monitored_pairs(self, batch: LowHigh, outputs: Generated) -> Mapping[str, tuple[Tensor, Tensor]]:
        return {"fake": (outputs.fake, batch.high)}

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    def exports(self) -> Mapping[str, Export]:
        options, data = self.options.generator, self.config.data
        described = describe_generator("generator", self.generator, options, data.crop_px // data.scale, data=data)
        return {"generator": described}

    @classmethod
    def dataset(cls, config: SrganConfig, split: Literal["training", "validation"]) -> Dataset:
        return open_distillable(config.data, split, config.seed)

    def validate(self, batch: LowHigh) -> Judged:
        """``perceptual`` is the adversarial stage's feature distance, where it has one."""
        fake = self.generator(batch.low).float().clamp(-1, 1)
        metrics = {"perceptual": float(self.perceptual(fake, batch.high))} if self.perceptual else {}
        return Judged(fake, batch.high, metrics)

    def preview(self, batch: LowHigh) -> Mapping[str, Tensor]:
        return {"low": batch.low, "generated": self.generator(batch.low), "truth": batch.high}


RECIPE = Srgan
