"""ProGAN: networks that grow from 4 px, level by level (Karras et al. 2018, arXiv 1710.10196)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, SomeStages, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import WassersteinOptions
from gantools.models.latent.options import ProgressiveOptions
from gantools.training.latent import Drawn, LatentRecipe, with_logits
from gantools.training.recipe import LossTerms, Stage, StepInfo
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor

    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages
    from gantools.models.latent.progressive import ProgressiveGenerator

SIDES = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
PHASES = ("stay_4", *(f"{phase}_{side}" for side in SIDES[1:] for phase in ("fade", "stay")))
"""Names of the stages: every level but the first fades in, then stays."""


class ProganModel(Options):
    """Networks and losses of progan."""

    generator: ProgressiveOptions = setting(ProgressiveOptions(), "grows; the discriminator mirrors it")
    penalty_weight: float = setting(10.0, "weight of the gradient penalty (λ)", paper=10, ge=0)
    drift_weight: float = setting(0.001, "weight of the squared scores of real images", paper=0.001, ge=0)


class ProganStages(SomeStages):
    """Two stages a level, fade and stay, up to data.image_px; each starts with fresh optimizers, as the authors do."""

    stay_4: StageOptions[GanOptimizers] | None = setting(None, "4 px")
    fade_8: StageOptions[GanOptimizers] | None = setting(None, "8 px fades in")
    stay_8: StageOptions[GanOptimizers] | None = setting(None, "8 px")
    fade_16: StageOptions[GanOptimizers] | None = setting(None, "16 px fades in")
    stay_16: StageOptions[GanOptimizers] | None = setting(None, "16 px")
    fade_32: StageOptions[GanOptimizers] | None = setting(None, "32 px fades in")
    stay_32: StageOptions[GanOptimizers] | None = setting(None, "32 px")
    fade_64: StageOptions[GanOptimizers] | None = setting(None, "64 px fades in")
    stay_64: StageOptions[GanOptimizers] | None = setting(None, "64 px")
    fade_128: StageOptions[GanOptimizers] | None = setting(None, "128 px fades in")
    stay_128: StageOptions[GanOptimizers] | None = setting(None, "128 px")
    fade_256: StageOptions[GanOptimizers] | None = setting(None, "256 px fades in")
    stay_256: StageOptions[GanOptimizers] | None = setting(None, "256 px")
    fade_512: StageOptions[GanOptimizers] | None = setting(None, "512 px fades in")
    stay_512: StageOptions[GanOptimizers] | None = setting(None, "512 px")
    fade_1024: StageOptions[GanOptimizers] | None = setting(None, "1024 px fades in")
    stay_1024: StageOptions[GanOptimizers] | None = setting(None, "1024 px")


class ProganConfig(RunConfig):
    """A progan run."""

    recipe: Literal["progan"] = setting("progan", "this recipe")
    data: LabelledData = setting(LabelledData(), "images, square, of a side from 8 to 1024 that is a power of two")
    model: ProganModel = setting(ProganModel(), "networks and losses")
    stages: ProganStages = setting(..., "stages in the order they are trained")

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        height_px, width_px = self.data.image_px
        if height_px != width_px or height_px not in SIDES[1:]:
            raise ValueError(f"data.image_px: progan makes squares of {', '.join(map(str, SIDES[1:]))} px")
        wanted = PHASES[: PHASES.index(f"stay_{height_px}") + 1]
        given = [name for name, stage in self.stages if stage is not None]
        if given != list(wanted):
            raise ValueError(f"stages: {height_px} px have {', '.join(wanted)}")
        return self


class Progan(LatentRecipe):
    """A generator and a critic that grow together; each new level fades in, in real images too."""

    generator: ProgressiveGenerator

    config_type: ClassVar[type[RunConfig]] = ProganConfig
    default_preset = "shoes-64"
    drawings = "shoes"

    def __init__(self, config: ProganConfig) -> None:
        from gantools.models.latent.progressive import ProgressiveDiscriminator  # needs torch

        self.config, self.options = config, config.model
        options = config.model.generator
        shape = {
            "levels": SIDES.index(config.data.image_px[0]) + 1,
            "channel_base": options.channel_base,
            "max_channels": options.max_channels,
        }
        channels = config.data.channels
        self.build_generator("progressive", latent_size=options.latent_size, out_channels=channels, **shape)
        self.discriminator = ProgressiveDiscriminator(in_channels=channels, group_images=options.group_images, **shape)
        self.gan = ADVERSARIAL.build(WassersteinOptions())

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        return Latent(self.options.generator.latent_size, levels=self.generator.levels)

    def stages(self) -> Iterator[Stage]:
        for name, stage in self.config.stages:
            if stage is not None:
                players = self.players({"generator": self.generator}, {"discriminator": self.discriminator})
                yield Stage(name, Alternate("discriminator", "generator"), players)

    def begin_step(self, at: StepInfo) -> None:
        """Grow to the stage's level; a level that fades in does so linearly with the images seen."""
        phase, side_px = at.stage.split("_")
        alpha = at.stage_step / at.stage_steps if phase == "fade" else 1.0
        self.generator.grow(SIDES.index(int(side_px)), alpha)
        self.discriminator.grow(SIDES.index(int(side_px)), alpha)

    def real(self, batch: LabelledImages) -> Tensor:
        """Real images at the present size, faded like the generator's."""
        from torch.nn.functional import avg_pool2d  # recipes are listed and checked without torch

        from gantools.models.latent.progressive import faded

        image, (level, alpha) = batch.image, self.generator.grown
        shrink = self.config.data.image_px[0] // SIDES[level]
        image = avg_pool2d(image, shrink) if shrink > 1 else image
        return faded(image, alpha) if alpha < 1 else image

    def discriminator_loss(self, batch: LabelledImages, drawn: Drawn) -> LossTerms:
        from gantools.losses.penalties import gradient_penalty  # needs torch

        reals, fakes = self.real(batch), drawn.fake.detach()
        real, fake = self.discriminator(reals), self.discriminator(fakes)
        terms = LossTerms(
            adversarial=self.gan.judge(real, fake),
            penalty=self.options.penalty_weight * gradient_penalty(self.discriminator, reals, fakes),
            drift=self.options.drift_weight * real.float().square().mean(),
        )
        return with_logits(terms, real, fake)


RECIPE = Progan
