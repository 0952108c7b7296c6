"""StackGAN: a sketch from a sentence, then a larger image that reads it again (Zhang et al. 2017, arXiv 1612.03242)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, SomeStages, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import AUGMENTATION, Augmentation, StackOptions
from gantools.models.options import Initialization
from gantools.text import VECTOR_SIZE
from gantools.training.latent import Drawn, LatentRecipe, draw_latent, with_logits
from gantools.training.recipe import LossTerms, Player, Stage, StepInfo, initialize
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages
    from gantools.models.latent.stack import Code, StackGenerator


class StackganModel(Options):
    """Networks and losses of stackgan."""

    generator: StackOptions = setting(StackOptions(), "both stages and their discriminators")
    augmentation: Augmentation = AUGMENTATION
    divergence_weight: float = setting(
        2.0, "weight of the codes' divergence from N(0, 1)", paper=1.0, source=2.0, ge=0, why="as in the authors' code"
    )
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", source="normal")
    adversarial: VanillaOptions = setting(VanillaOptions(), "adversarial objective", paper="vanilla")


class StackganStages(SomeStages):
    """The sketch, then the larger image; null leaves the second out."""

    sketch: StageOptions[GanOptimizers] | None = setting(None, "the small image")
    refine: StageOptions[GanOptimizers] | None = setting(None, "the large image; the first stage's network is frozen")


class StackganConfig(RunConfig):
    """A stackgan run."""

    recipe: Literal["stackgan"] = setting("stackgan", "this recipe")
    data: LabelledData = setting(LabelledData(captions="required"), "images with captions")
    model: StackganModel = setting(StackganModel(), "networks and losses")
    stages: StackganStages = setting(..., "stages in the order they are trained")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        options = self.model.generator
        side_px = (
            1 << options.first_doublings << options.second_doublings
            if options.second_doublings
            else (4 << options.first_doublings)
        )
        if tuple(self.data.image_px) != (side_px, side_px):
            raise ValueError(f"data.image_px: model.generator makes {side_px}x{side_px} px")
        if (self.stages.refine is None) != (options.second_doublings == 0):
            raise ValueError("stages.refine belongs to model.generator.second_doublings above 0")
        return self


@dataclass(frozen=True)
class Described(Drawn):
    """Images with the code of the sentence that they were drawn from."""

    code: Code = field(kw_only=True)


class Stackgan(LatentRecipe):
    """Two GANs that read a sentence; the second sees the first one's image."""

    generator: StackGenerator

    config_type: ClassVar[type[RunConfig]] = StackganConfig
    default_preset = "shoes-64"
    drawings = "captioned-shoes"

    def __init__(self, config: StackganConfig) -> None:
        from gantools.models.latent.stack import StackDiscriminator  # needs torch

        self.config, self.options, self.level = config, config.model, 0
        options = config.model.generator
        self.build_generator(
            "stack",
            text_size=VECTOR_SIZE,
            noise_size=options.noise_size,
            first_doublings=options.first_doublings,
            second_doublings=options.second_doublings,
            base_channels=options.base_channels,
            residual_blocks=options.residual_blocks,
        )
        sides = [self.generator.first.out_px[0], *([config.data.image_px[0]] if options.second_doublings else [])]
        width = options.discriminator_channels
        self.discriminators = [
            StackDiscriminator(image_px=side_px, text_size=VECTOR_SIZE, base_channels=width) for side_px in sides
        ]
        initialize(self.options.initialization, self.generator, *self.discriminators)
        self.gan = ADVERSARIAL.build(config.model.adversarial)

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        vocabulary = self.config.data.vocabulary or ()
        levels = 2 if self.generator.second is not None else 1
        return Latent(self.generator.latent_size, text_size=VECTOR_SIZE, vocabulary=vocabulary, levels=levels)

    def stages(self) -> Iterator[Stage]:
        first, second = self.generator.first, self.generator.second
        if self.config.stages.sketch is not None:
            yield Stage("sketch", Alternate("discriminator", "generator"), self._players("sketch", first, 0))
        if self.config.stages.refine is not None and second is not None:
            players = self._players("refine", second, 1)
            yield Stage("refine", Alternate("discriminator", "generator"), players, frozen={"sketch_generator": first})

    def _players(self, stage: str, generator: nn.Module, level: int) -> Mapping[str, Player]:
        discriminator = self.discriminators[level]
        return self.players({f"{stage}_generator": generator}, {f"{stage}_discriminator": discriminator})

    def composed(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def begin_step(self, at: StepInfo) -> None:
        self.level = int(at.stage == "refine")

    @property
    def discriminator(self) -> nn.Module:
        """The present stage's."""
        return self.discriminators[self.level]

    def forward(self, batch: LabelledImages) -> Described:
        from gantools.models.latent.stack import CODE_SIZE  # needs torch

        text, generator = batch.condition, self.generator
        latent = draw_latent(self.latent, len(text), text.device)
        image, code = generator.first.draw(latent[:, : generator.first.latent_size], text)
        if self.level and generator.second is not None:
            image, code = generator.second(image.detach(), latent[:, -CODE_SIZE:], text)
        return Described(image, latent, text, code=code)

    def real(self, batch: LabelledImages) -> Tensor:
        """Real images at the present stage's size."""
        from torch.nn.functional import avg_pool2d  # recipes are listed and checked without torch

        shrink = 1 if self.level else batch.image.shape[-1] // self.generator.first.out_px[0]
        return avg_pool2d(batch.image, shrink) if shrink > 1 else batch.image

    def generator_loss(self, batch: LabelledImages, described: Described) -> LossTerms:  # noqa: ARG002 (a player's)
        return LossTerms(
            adversarial=self.gan.fool(self.scores(described.fake, described.condition)),
            divergence=self.options.divergence_weight * divergence(described.code),
        )

    def discriminator_loss(self, batch: LabelledImages, described: Described) -> LossTerms:
        """Matching-aware: a real image with another's sentence counts as fake, with half the weight."""
        image, (other, differs) = self.real(batch), mismatched(batch.condition)
        real = self.scores(image, batch.condition)
        fake = self.scores(described.fake.detach(), described.condition)
        terms = {"adversarial": self.gan.judge(real, fake) / 2}
        if len(image) == 1:
            return with_logits(LossTerms(**terms), real, fake)
        mismatched_logit = self.scores(image, other)
        terms["mismatch"] = differs * self.gan.judge(real, mismatched_logit) / 2
        return with_logits(LossTerms(**terms), real, fake).with_metrics(mismatch_logit=mismatched_logit.detach().mean())


def mismatched(condition: Tensor) -> tuple[Tensor, Tensor]:
    """For each text the next one of the batch that differs, and whether there are such: 0 where all are the same.

    Shapes: (N, K) → (N, K), ().
    """
    from torch import arange  # recipes are listed and checked without torch

    count = arange(len(condition), device=condition.device)
    differs = (condition[:, None] != condition).any(dim=2)
    after = (count[:, None] + count).remainder(len(condition))
    nearest = differs.gather(1, after).float().argmax(dim=1, keepdim=True)
    return condition[after.gather(1, nearest)[:, 0]], differs.any().float()


def divergence(code: Code) -> Tensor:
    """Kullback-Leibler divergence of the codes' Gaussians from N(0, 1), the mean over batch and values."""
    variance = (2 * code.log_deviation).exp()
    return 0.5 * (code.mean.square() + variance - 1 - 2 * code.log_deviation).mean()


RECIPE = Stackgan
