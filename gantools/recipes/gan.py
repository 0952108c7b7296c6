"""GAN: the first one, of fully connected layers (Goodfellow et al. 2014, arXiv 1406.2661)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import MlpOptions
from gantools.training.latent import LatentRecipe

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Latent


class GanModel(Options):
    """Networks and losses of gan."""

    generator: MlpOptions = setting(MlpOptions(), "from a latent vector to an image; the discriminator is its mirror")
    latent_distribution: Literal["normal", "uniform"] = setting(
        "normal", "what latent vectors are drawn from", paper="uniform", why="the everyday variant's"
    )
    adversarial: VanillaOptions = setting(VanillaOptions(), "the non-saturating objective", paper="vanilla")


class GanStages(Options):
    """Gan has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "discriminator and generator in turn")


class GanConfig(RunConfig):
    """A gan run."""

    recipe: Literal["gan"] = setting("gan", "this recipe")
    data: LabelledData = setting(LabelledData(image_px=(28, 28), channels=1), "images")
    model: GanModel = setting(GanModel(), "networks and losses")
    stages: GanStages = setting(..., "stages in the order they are trained")


class Gan(LatentRecipe):
    """Fully connected networks make small images from noise."""

    config_type: ClassVar[type[RunConfig]] = GanConfig
    default_preset = "mnist"
    drawings = "digits"

    def __init__(self, config: GanConfig) -> None:
        from gantools.models.latent.mlp import MlpDiscriminator  # needs torch

        self.config, self.options = config, config.model
        options, (height_px, width_px) = config.model.generator, config.data.image_px
        shape: dict[str, Any] = {"channels": config.data.channels, "height_px": height_px, "width_px": width_px}
        self.build_generator("mlp", latent_size=options.latent_size, variant=options.variant, **shape)
        self.discriminator = MlpDiscriminator(variant=options.variant, **shape)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        return Latent(self.options.generator.latent_size, self.options.latent_distribution)


RECIPE = Gan
