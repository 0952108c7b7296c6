"""Conditional GAN: images of a wanted class (Mirza and Osindero 2014, arXiv 1411.1784)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import AUGMENTATION, Augmentation, DenseConvOptions
from gantools.models.options import Initialization
from gantools.training.latent import Drawn, LatentRecipe
from gantools.training.recipe import initialize

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages


class CganModel(Options):
    """Networks and losses of cgan."""

    generator: DenseConvOptions = setting(
        DenseConvOptions(), "from noise and a one-hot label, joined to every layer; the discriminator mirrors it"
    )
    augmentation: Augmentation = AUGMENTATION
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", source="normal")
    adversarial: VanillaOptions = setting(VanillaOptions(), "adversarial objective", paper="vanilla")


class CganStages(Options):
    """Cgan has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "discriminator and generator in turn")


class CganConfig(RunConfig):
    """A cgan run."""

    recipe: Literal["cgan"] = setting("cgan", "this recipe")
    data: LabelledData = setting(
        LabelledData(image_px=(28, 28), channels=1, labels="required"),
        "images with labels, from class folders or a file",
    )
    model: CganModel = setting(CganModel(), "networks and losses")
    stages: CganStages = setting(..., "stages in the order they are trained")


class Cgan(LatentRecipe):
    """A generator and a discriminator that are given the class."""

    config_type: ClassVar[type[RunConfig]] = CganConfig
    default_preset = "mnist"
    drawings = "digits"

    def __init__(self, config: CganConfig) -> None:
        from gantools.models.latent.dense_conv import DenseConvDiscriminator  # needs torch

        self.config, self.options = config, config.model
        options, image_px = config.model.generator, config.data.image_px
        halvings, classes = len(options.channels), len(config.data.classes or ())
        shape = {"condition_size": classes, "dense_units": options.dense_units, "kernel_px": options.kernel_px}
        self.build_generator(
            "dense_conv",
            latent_size=options.noise_size,
            out_channels=config.data.channels,
            start=(image_px[0] >> halvings, image_px[1] >> halvings),
            channels=options.channels,
            **shape,
        )
        self.discriminator = DenseConvDiscriminator(
            in_channels=config.data.channels, image_px=image_px, channels=options.channels[::-1], **shape
        )
        initialize(self.options.initialization, self.generator, self.discriminator)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        return Latent(self.options.generator.noise_size, "uniform", classes=self.config.data.classes or ())

    def forward(self, batch: LabelledImages) -> Drawn:
        """Fakes get the batch's labels in another order: drawn from the data's own distribution."""
        return super().forward(batch.shuffled())


RECIPE = Cgan
