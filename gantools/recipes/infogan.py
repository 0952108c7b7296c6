"""InfoGAN: codes that show in the image, found without labels (Chen et al. 2016, arXiv 1606.03657)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import DenseConvOptions
from gantools.models.options import Initialization
from gantools.training.latent import Drawn, LatentRecipe, fixed_latent, with_logits
from gantools.training.recipe import Judged, LossTerms, Stage, initialize
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor

    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages

LEAK = 0.1
"""Slope of the discriminator's LeakyReLU: the paper's appendix; OpenAI's code has 0.01."""


class InfoGanModel(Options):
    """Networks and losses of infogan."""

    generator: DenseConvOptions = setting(
        DenseConvOptions(noise_size=62, kernel_px=4), "from noise and codes; the discriminator mirrors it", paper=62
    )
    categorical: tuple[int, ...] = setting((10,), "sizes of the categorical codes", paper=(10,))
    continuous: int = setting(2, "number of continuous codes, uniform on [-1, 1]", paper=2, ge=0)
    code_weight: float = setting(1.0, "weight of the information about the codes (λ)", paper=1.0, ge=0)
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", source="normal")
    adversarial: VanillaOptions = setting(VanillaOptions(), "adversarial objective", paper="vanilla")


class InfoGanStages(Options):
    """Infogan has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "discriminator and generator in turn")


class InfoGanConfig(RunConfig):
    """An infogan run."""

    recipe: Literal["infogan"] = setting("infogan", "this recipe")
    data: LabelledData = setting(LabelledData(image_px=(28, 28), channels=1), "images; labels are not used")
    model: InfoGanModel = setting(InfoGanModel(), "networks and losses")
    stages: InfoGanStages = setting(..., "stages in the order they are trained")


class InfoGan(LatentRecipe):
    """A generator whose codes can be read from its images, by a head that shares the discriminator's layers."""

    config_type: ClassVar[type[RunConfig]] = InfoGanConfig
    default_preset = "mnist"
    drawings = "digits"

    def __init__(self, config: InfoGanConfig) -> None:
        from gantools.models.latent.dense_conv import CodeReader, DenseConvDiscriminator  # needs torch

        self.config, self.options = config, config.model
        options, image_px, halvings = config.model.generator, config.data.image_px, len(config.model.generator.channels)
        codes = sum(config.model.categorical) + config.model.continuous
        shape = {"dense_units": options.dense_units, "kernel_px": options.kernel_px}
        self.build_generator(
            "dense_conv",
            latent_size=options.noise_size + codes,
            out_channels=config.data.channels,
            start=(image_px[0] >> halvings, image_px[1] >> halvings),
            channels=options.channels,
            **shape,
        )
        self.discriminator = DenseConvDiscriminator(
            in_channels=config.data.channels, image_px=image_px, channels=options.channels[::-1], leak=LEAK, **shape
        )
        self.reader = CodeReader(feature_size=options.dense_units, outputs=codes, leak=LEAK)
        initialize(self.options.initialization, self.generator, self.discriminator, self.reader)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        categorical, continuous = self.options.categorical, self.options.continuous
        size = self.options.generator.noise_size + sum(categorical) + continuous
        return Latent(size, "uniform", categorical, continuous)

    def stages(self) -> Iterator[Stage]:
        judges = {"discriminator": self.discriminator, "reader": self.reader}
        players = self.players({"generator": self.generator}, judges)
        yield Stage("adversarial", Alternate("discriminator", "generator"), players)

    def generator_loss(self, batch: LabelledImages, drawn: Drawn) -> LossTerms:  # noqa: ARG002 (a player's)
        fake, read = self.read(drawn.fake)
        return LossTerms(adversarial=self.gan.fool(fake), codes=self.code_loss(read, drawn.latent))

    def discriminator_loss(self, batch: LabelledImages, drawn: Drawn) -> LossTerms:
        """The shared layers learn to read the codes, too, as in OpenAI's code."""
        real, (fake, read) = self.discriminator(batch.image), self.read(drawn.fake.detach())
        terms = LossTerms(adversarial=self.gan.judge(real, fake), codes=self.code_loss(read, drawn.latent))
        return with_logits(terms, real, fake)

    def validate(self, batch: LabelledImages) -> Judged:
        """With how well the codes are read from images made of fixed vectors: c1_read is the share of right ones."""
        judged = super().validate(batch)
        _, read = self.read(judged.fake)
        latent, noise_size = fixed_latent(self.latent, batch.names, read.device), self.latent.noise_size
        at, found = noise_size, {}
        for number, size in enumerate(self.options.categorical):
            made, wanted = read[:, at - noise_size :][:, :size], latent[:, at : at + size]
            found[f"c{number + 1}_read"] = float((made.argmax(1) == wanted.argmax(1)).float().mean())
            at += size
        return replace(judged, metrics=found)

    def read(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of images, and what is read of their codes."""
        features = self.discriminator.features(image)
        return self.discriminator.logit(features), self.reader(features)

    def code_loss(self, read: Tensor, latent: Tensor) -> Tensor:
        """λ times cross-entropy of categorical codes and Gaussian error of variance 1 of continuous ones, per image."""
        first, *others = self.code_errors(read, latent).values()
        return self.options.code_weight * sum(others, first)

    def code_errors(self, read: Tensor, latent: Tensor) -> Mapping[str, Tensor]:
        from torch import split  # recipes are listed and checked without torch
        from torch.nn.functional import cross_entropy, mse_loss

        sizes = [*self.options.categorical, self.options.continuous]
        codes = latent[:, latent.shape[1] - sum(sizes) :]
        pairs = list(zip(split(read.float(), sizes, dim=1), split(codes, sizes, dim=1), strict=True))
        errors = {f"c{number + 1}": cross_entropy(*pair) for number, pair in enumerate(pairs[:-1])}
        if self.options.continuous:
            made, wanted = pairs[-1]
            errors["continuous"] = mse_loss(made, wanted) * self.options.continuous / 2
        return errors


RECIPE = InfoGan
