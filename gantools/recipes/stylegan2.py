"""StyleGAN2: a style for every layer (Karras et al. 2020, arXiv 1912.04958; with few images 2006.06676, 2006.10738)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data.options.labelled import LabelledData
from gantools.losses import ADVERSARIAL
from gantools.losses.options import VanillaOptions
from gantools.models.latent.options import Augmentation, StyleOptions
from gantools.training.latent import Drawn, LatentRecipe, draw_latent, with_logits
from gantools.training.recipe import LossTerms, Player, StepInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Latent
    from gantools.data.loading.batches import LabelledImages
    from gantools.data.loading.dataset import Dataset
    from gantools.models.latent.style import StyleDiscriminator, StyleGenerator

SIDES = (8, 16, 32, 64, 128, 256, 512, 1024)
FEW_IMAGES = 5000
"""Below this many training images, ``auto`` augments what the discriminator sees."""


class Stylegan2Model(Options):
    """Networks, losses and penalties of stylegan2."""

    generator: StyleOptions = setting(StyleOptions(), "from a latent vector by way of styles to an image")
    group_images: int = setting(4, "images whose deviation the discriminator sees", paper=4, ge=1)
    freeze_levels: int = setting(
        0, "largest sizes of the discriminator that do not learn (Freeze-D, arXiv 2002.10964); with --init-from", ge=0
    )
    mixing: float = setting(0.9, "share of the batches whose rows of styles come from two latent vectors", ge=0, le=1)
    r1_weight: float | None = setting(
        None, "γ of R1; null: 0.0002 · side² / batch, as in NVIDIA's auto", paper=10, ge=0, plausible=(1e-4, 1000)
    )
    r1_every_steps: int = setting(16, "steps between R1 penalties, which are multiplied by it", paper=16, ge=1)
    path_weight: float = setting(2.0, "weight of the path length penalty; 0: none", paper=2, ge=0)
    path_every_steps: int = setting(4, "steps between path length penalties, multiplied by it", paper=4, ge=1)
    augmentation: Literal["auto", "ada"] | Augmentation = setting(
        "auto",
        "what is done at random to images before the discriminator sees them: DiffAugment's color, translation, "
        f"cutout; ada: as often as overfitting asks for; auto: DiffAugment below {FEW_IMAGES} images, else nothing",
        paper=(),
    )
    ada_target: float = setting(0.6, "ada: wanted mean sign of the scores of real images", source=0.6, gt=0, lt=1)
    ada_kimg: float = setting(500.0, "ada: thousands of images in which the probability may rise from 0 to 1", gt=0)


class Stylegan2Stages(Options):
    """Stylegan2 has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "discriminator and generator in turn")


class Stylegan2Config(RunConfig):
    """A stylegan2 run."""

    recipe: Literal["stylegan2"] = setting("stylegan2", "this recipe")
    data: LabelledData = setting(LabelledData(), "images, square, of a side from 8 to 1024 that is a power of two")
    model: Stylegan2Model = setting(Stylegan2Model(), "networks and losses")
    stages: Stylegan2Stages = setting(..., "stages in the order they are trained")

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        height_px, width_px = self.data.image_px
        if height_px != width_px or height_px not in SIDES:
            raise ValueError(f"data.image_px: stylegan2 makes squares of {', '.join(map(str, SIDES))} px")
        levels = SIDES.index(height_px) + 1
        if self.model.freeze_levels > levels:
            raise ValueError(f"model.freeze_levels: at {height_px} px the discriminator has {levels} above 4 px")
        return self


class Stylegan2(LatentRecipe):
    """Styles modulate the convolutions of a skip generator against a residual discriminator.

    Differs from NVIDIA's code: lazy penalties are terms of the ordinary steps, not steps of their own, so that learning
    rates need no correction; both players see the same fakes; R1 is taken at what the discriminator sees.
    """

    generator: StyleGenerator
    discriminator: StyleDiscriminator

    config_type: ClassVar[type[RunConfig]] = Stylegan2Config
    default_preset = "auto"
    quick_preset = "shoes-32"
    drawings = "captioned-shoes"

    def __init__(self, config: Stylegan2Config) -> None:
        from gantools.losses.penalties import PathLength  # needs torch
        from gantools.models.latent.style import StyleDiscriminator
        from gantools.training.ada import AdaptiveAugmentation

        self.config, self.options = config, config.model
        options, side_px = config.model.generator, config.data.image_px[0]
        shape: dict[str, Any] = {
            "image_px": side_px,
            "channel_base": options.channel_base or (32768 if side_px >= 512 else 16384),
            "max_channels": options.max_channels,
            "condition_size": len(self.classes),
            "clamp": options.clamp,
        }
        self.build_generator(
            "style",
            latent_size=options.latent_size,
            style_size=options.style_size,
            mapping_layers=options.mapping_layers,
            out_channels=config.data.channels,
            **shape,
        )
        self.discriminator = StyleDiscriminator(
            in_channels=config.data.channels, group_images=config.model.group_images, **shape
        )
        self.gan = ADVERSARIAL.build(VanillaOptions())
        self.path_length, self.step = PathLength(), 0
        self.ada = AdaptiveAugmentation(self.options.ada_target, self.options.ada_kimg)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that images are made of."""
        return self.config.data.classes or ()

    @property
    def latent(self) -> Latent:
        from gantools.checkpoint.weights import Latent  # needs torch

        return Latent(self.options.generator.latent_size, classes=self.classes, rows=self.generator.rows)

    @classmethod
    def completed(cls, config: Any, training: Dataset) -> Any:
        """Also settles ``auto``, so that a run keeps what it began with."""
        config = super().completed(config, training)
        model = config.model
        if model.augmentation == "auto":
            few = len(training) < FEW_IMAGES
            model = model.model_copy(update={"augmentation": ("color", "translation", "cutout") if few else ()})
        return config.model_copy(update={"model": model})

    def players(
        self, generator: Mapping[str, nn.Module], discriminator: Mapping[str, nn.Module]
    ) -> Mapping[str, Player]:
        """What the penalties and the augmentation remember belongs to the players, so that it is saved with them."""
        return super().players({**generator, "path_length": self.path_length}, {**discriminator, "ada": self.ada})

    def begin_step(self, at: StepInfo) -> None:
        self.step = at.stage_step

    def forward(self, batch: LabelledImages) -> Drawn:
        """Fakes get the batch's labels in another order: drawn from the data's own distribution."""
        batch = batch.shuffled() if self.classes else batch
        condition, count = self.condition_of(batch), len(batch.image)
        styles = self.drawn_styles(condition, count, batch, follow=True)
        return Drawn(self.generator.synthesis(styles, "random"), styles, condition)

    def drawn_styles(
        self, condition: Tensor | None, count: int, batch: LabelledImages, *, follow: bool = False
    ) -> Tensor:
        """Rows of styles of random latents, often of two: one up to a random row, the other from there on.

        Shapes: (count, rows, style_size). ``follow`` lets the mean style learn from them.
        """
        from torch import cat, rand, randint

        mapping, rows, device = self.generator.mapping, self.generator.rows, batch.image.device
        style: Tensor = mapping(draw_latent(self.latent, count, device), condition)
        if follow:
            mapping.follow(style)
        first = style[:, None].expand(-1, rows, -1)
        if float(rand(())) >= self.options.mixing:
            return first
        cut = int(randint(1, rows, ()))
        second = mapping(draw_latent(self.latent, count, device), condition)[:, None].expand(-1, rows, -1)
        return cat((first[:, :cut], second[:, cut:]), dim=1)

    def generator_loss(self, batch: LabelledImages, drawn: Drawn) -> LossTerms:
        terms = super().generator_loss(batch, drawn)
        every, weight = self.options.path_every_steps, self.options.path_weight
        if not weight or self.step % every:
            return terms
        count = max(1, len(drawn.fake) // 2)
        condition = None if drawn.condition is None else drawn.condition[:count]
        styles = self.drawn_styles(condition, count, batch)
        penalty = self.path_length(lambda rows: self.generator.synthesis(rows, "random"), styles)
        return LossTerms(**terms.terms, path_length=weight * every * penalty)

    def augmented(self, image: Tensor) -> Tensor:
        changed: Tensor = self.ada(image) if self.options.augmentation == "ada" else super().augmented(image)
        return changed

    def discriminator_loss(self, batch: LabelledImages, drawn: Drawn) -> LossTerms:
        from gantools.losses.penalties import r1_penalty  # needs torch

        self.discriminator.freeze(self.options.freeze_levels)
        condition = self.condition_of(batch)
        seen = self.augmented(self.real(batch))
        real = self.discriminator(seen, condition)
        fake = self.scores(drawn.fake.detach(), drawn.condition)
        terms = {"adversarial": self.gan.judge(real, fake)}
        every = self.options.r1_every_steps
        if self.step % every == 0:
            penalty = r1_penalty(lambda image: self.discriminator(image, condition), seen)
            terms["r1"] = self.r1_weight / 2 * every * penalty
        shown = with_logits(LossTerms(**terms), real, fake)
        if self.options.augmentation == "ada":
            self.ada.adjust(real)
            shown = shown.with_metrics(augmented_share=self.ada.probability.clone())
        return shown

    @property
    def r1_weight(self) -> float:
        """γ: the one that is set, or NVIDIA's rule of thumb, of the batch of all processes together."""
        from gantools.training.distributed import communicator  # needs torch

        if self.options.r1_weight is not None:
            return self.options.r1_weight
        config: Stylegan2Config = self.config
        batches = config.stages.adversarial.accumulate_batches or config.train.accumulate_batches
        batch_images = config.data.batch_images * batches * communicator.current().world_size
        return 0.0002 * config.data.image_px[0] ** 2 / batch_images


RECIPE = Stylegan2
