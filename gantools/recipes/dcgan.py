"""DCGAN: the first convolutional GAN that trained well (Radford et al. 2016, arXiv 1511.06434)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import HingeOptions, LeastSquaresOptions, VanillaOptions
from gantools.models.latent.options import AUGMENTATION, Augmentation, DcganOptions
from gantools.models.options import Initialization
from gantools.training.latent import LatentRecipe
from gantools.training.recipe import initialize

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Latent


class DcganModel(Options):
    """Networks and losses of dcgan."""

    generator: DcganOptions = setting(DcganOptions(), "from a latent vector to an image; the discriminator mirrors it")
    latent_distribution: Literal["normal", "uniform"] = setting(
        "normal", "what latent vectors are drawn from", paper="uniform", why="as in pytorch/examples"
    )
    augmentation: Augmentation = AUGMENTATION
    initialization: Initialization = setting(
        "normal", "first weights: N(0, 0.02); BatchNorm N(1, 0.02)", paper="normal"
    )
    adversarial: VanillaOptions | LeastSquaresOptions | HingeOptions = setting(
        VanillaOptions(), "adversarial objective", paper="vanilla", discriminator="name"
    )


class DcganStages(Options):
    """Dcgan has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "discriminator and generator in turn")


class DcganConfig(RunConfig):
    """A dcgan run."""

    recipe: Literal["dcgan"] = setting("dcgan", "this recipe")
    data: LabelledData = setting(LabelledData(), "images; sides are model.generator.start · 2^k")
    model: DcganModel = setting(DcganModel(), "networks and losses")
    stages: DcganStages = setting(..., "stages in the order they are trained")

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        doublings(self.data.image_px, self.model.generator.start)
        return self


def doublings(image_px: tuple[int, int], start: tuple[int, int]) -> int:
    """How often ``start`` is doubled to give ``image_px``. Raises ValueError with the nearest sides that fit."""
    level = max(1, round(image_px[0] / start[0]).bit_length() - 1)
    if (start[0] << level, start[1] << level) != tuple(image_px):
        near = f"{start[0] << level}x{start[1] << level} or {start[0] << level + 1}x{start[1] << level + 1}"
        raise ValueError(
            f"data.image_px: {image_px[0]}x{image_px[1]} is not {start[0]}x{start[1]} (model.generator.start) times a "
            f"power of two; nearest are {near}"
        )
    return level


class Dcgan(LatentRecipe):
    """Transposed convolutions make images from noise."""

    config_type: ClassVar[type[RunConfig]] = DcganConfig
    default_preset = "paper-64"
    drawings = "digits"

    def __init__(self, config: DcganConfig) -> None:
        from gantools.models.latent.dcgan import DcganDiscriminator  # needs torch

        self.config, self.options = config, config.model
        options, channels = config.model.generator, config.data.channels
        shape: dict[str, Any] = {"start": options.start, "base_channels": options.base_channels}
        levels = doublings(config.data.image_px, options.start)
        self.build_generator("dcgan", latent_size=options.latent_size, out_channels=channels, doublings=levels, **shape)
        self.discriminator = DcganDiscriminator(in_channels=channels, halvings=levels, **shape)
        initialize(self.options.initialization, self.generator, self.discriminator)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        return Latent(self.options.generator.latent_size, self.options.latent_distribution)


RECIPE = Dcgan
