"""LAPGAN: one GAN for each level of a Laplacian pyramid (Denton et al. 2015, arXiv 1506.05751)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, SomeStages, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import LaplacianOptions
from gantools.models.options import Initialization
from gantools.training.latent import Drawn, LatentRecipe
from gantools.training.recipe import Stage, StepInfo, initialize
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages
    from gantools.models.latent.laplacian import LaplacianGenerator

LEVELS = ("coarse", "detail_1", "detail_2", "detail_3", "detail_4")
"""Names of the stages, the coarsest level first."""


class LapganModel(Options):
    """Networks and losses of lapgan."""

    generator: LaplacianOptions = setting(LaplacianOptions(), "one generator and one discriminator a level")
    conditional: bool = setting(False, "read the class label, where the data have one")
    initialization: Initialization = setting("default", "first weights", paper="normal", why="Adam, not SGD")
    adversarial: VanillaOptions = setting(VanillaOptions(), "adversarial objective of every level", paper="vanilla")


class LapganStages(SomeStages):
    """A stage a level; null leaves out the levels that model.generator.levels has not."""

    coarse: StageOptions[GanOptimizers] | None = setting(None, "the coarsest images")
    detail_1: StageOptions[GanOptimizers] | None = setting(None, "what the first enlargement lacks")
    detail_2: StageOptions[GanOptimizers] | None = setting(None, "what the second enlargement lacks")
    detail_3: StageOptions[GanOptimizers] | None = setting(None, "what the third enlargement lacks")
    detail_4: StageOptions[GanOptimizers] | None = setting(None, "what the fourth enlargement lacks")


class LapganConfig(RunConfig):
    """A lapgan run."""

    recipe: Literal["lapgan"] = setting("lapgan", "this recipe")
    data: LabelledData = setting(LabelledData(image_px=(32, 32)), "images")
    model: LapganModel = setting(LapganModel(), "networks and losses")
    stages: LapganStages = setting(..., "stages in the order they are trained")

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        levels = self.model.generator.levels
        given = [name for name, stage in self.stages if stage is not None]
        if given != list(LEVELS[:levels]):
            raise ValueError(f"stages: {levels} levels (model.generator.levels) have {', '.join(LEVELS[:levels])}")
        if any(side % 2 ** (levels - 1) for side in self.data.image_px):
            raise ValueError(f"data.image_px: both sides must be multiples of {2 ** (levels - 1)} for {levels} levels")
        return self


class Lapgan(LatentRecipe):
    """Every level learns alone, from real coarse images, what an enlargement lacks; only sampling chains them."""

    generator: LaplacianGenerator

    config_type: ClassVar[type[RunConfig]] = LapganConfig
    default_preset = "fashion-32"
    drawings = "shoes"

    def __init__(self, config: LapganConfig) -> None:
        from gantools.models.latent import laplacian  # needs torch

        self.config, self.options, self.level = config, config.model, 0
        options, channels = config.model.generator, config.data.channels
        shape = {"channels": channels, "condition_size": len(self.classes)}
        shift = options.levels - 1
        coarse_px = (config.data.image_px[0] >> shift, config.data.image_px[1] >> shift)
        self.build_generator(
            "laplacian",
            noise_size=options.noise_size,
            coarse_px=coarse_px,
            levels=options.levels,
            units=options.units,
            features=options.features,
            batch_norm=options.batch_norm,
            **shape,
        )
        self.discriminators: list[nn.Module] = [
            laplacian.CoarseDiscriminator(image_px=coarse_px, units=options.units // 2, **shape),
            *(
                laplacian.DetailDiscriminator(image_px=plane, features=options.features, **shape)
                for plane in self.generator.planes
            ),
        ]
        self.generators = [self.generator.coarse, *self.generator.details]
        initialize(self.options.initialization, self.generator, *self.discriminators)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def classes(self) -> tuple[str, ...]:
        return (self.config.data.classes or ()) if self.options.conditional else ()

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        levels = self.options.generator.levels
        return Latent(self.generator.latent_size, "uniform", classes=self.classes, levels=levels)

    def stages(self) -> Iterator[Stage]:
        for name, generator, discriminator in zip(LEVELS, self.generators, self.discriminators, strict=False):
            players = self.players({f"{name}_generator": generator}, {f"{name}_discriminator": discriminator})
            yield Stage(name, Alternate("discriminator", "generator"), players)

    def composed(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def begin_step(self, at: StepInfo) -> None:
        self.level = LEVELS.index(at.stage)

    def forward(self, batch: LabelledImages) -> Drawn:
        """The level's image from its own noise: beside a real coarse image, enlarged, for all but the coarsest."""
        import torch  # recipes are listed and checked without torch

        from gantools.models.latent.laplacian import enlarge

        condition, real = self.condition_of(batch), self.real(batch)
        if self.level == 0:
            noise = 2 * torch.rand(len(real), self.options.generator.noise_size, device=real.device) - 1
            return Drawn(self.generators[0](noise, condition), noise, condition)
        noise = 2 * torch.rand(len(real), 1, *real.shape[2:], device=real.device) - 1
        enlarged = enlarge(self._pyramid(batch)[self.level - 1])
        return Drawn(enlarged + self.generators[self.level](noise, enlarged, condition), noise, condition)

    def real(self, batch: LabelledImages) -> Tensor:
        return self._pyramid(batch)[self.level]

    def _pyramid(self, batch: LabelledImages) -> list[Tensor]:
        from gantools.models.latent.laplacian import pyramid  # needs torch

        return pyramid(batch.image, self.options.generator.levels)

    @property
    def discriminator(self) -> nn.Module:
        """The present level's: it sees sums of detail and enlarged image, the same coarse image for real and fake."""
        return self.discriminators[self.level]


RECIPE = Lapgan
