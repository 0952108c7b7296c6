"""Context encoder: fills missing parts of an image from their surroundings (Pathak et al. 2016, arXiv 1604.07379)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data import DATASETS
from gantools.data.options.datasets import MaskedData
from gantools.losses import ADVERSARIAL, PERCEPTUAL
from gantools.losses.options import AdversarialOptions, PerceptualOptions, VanillaOptions
from gantools.metrics.example import MODEL, Example
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    ContextEncoderOptions,
    DiscriminatorOptions,
    Initialization,
    InpaintingOptions,
    RegionDiscriminatorOptions,
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
from gantools.training.turns import Alternate, CriticRatio

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import Masked
    from gantools.data.loading.dataset import Dataset
    from gantools.training.recipe import RunModel


RGB = 3
"""Channels of an image."""


class ContextEncoderModel(Options):
    """Networks and losses of the context encoder."""

    generator: InpaintingOptions = setting(
        ContextEncoderOptions(), "from the masked image to the whole one; in_channels 4: it sees the mask, too"
    )
    discriminator: DiscriminatorOptions = setting(
        RegionDiscriminatorOptions(), "sees the predicted middle, or the whole filled image"
    )
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", paper="normal", source="normal")
    adversarial: AdversarialOptions = setting(VanillaOptions(), "adversarial loss", paper="vanilla", source="vanilla")
    adversarial_weight: float = setting(
        0.001, "weight of the adversarial term", paper=0.001, source=0.001, ge=0, plausible=(0, 1000)
    )
    critic_turns: int = setting(
        1, "updates of the discriminator per generator update (Wasserstein: 5)", paper=1, source=1, ge=1
    )
    penalty_weight: float = setting(0.0, "weight of the gradient penalty (Wasserstein: 10)", ge=0, plausible=(0, 1000))
    pixel: Literal["l2", "l1"] = setting("l2", "squared or absolute error", paper="l2", source="l2")
    pixel_weight: float = setting(0.999, "weight of that error", paper=0.999, source=0.999, ge=0, plausible=(0, 1000))
    overlap_weight: float = setting(
        10.0,
        "weight of the known border inside the predicted middle, against 1 where pixels are missing",
        paper=10,
        source=10,
        ge=0,
        plausible=(0, 1000),
    )
    perceptual: PerceptualOptions | None = setting(
        None, "feature distance of the filled image; null leaves it out, weight 0 measures it in validation"
    )
    perceptual_weight: float = setting(
        0.0, "weight of the feature distance", paper=0, source=0, ge=0, plausible=(0, 1000)
    )

    focus_px: int | None = setting(
        None,
        "the discriminator and the feature distance see a square of this side around a random missing pixel of each "
        "image (full networks); null: all that is predicted",
        ge=16,
    )

    @model_validator(mode="after")
    def _penalty_fits(self) -> Self:
        if self.penalty_weight and getattr(self.discriminator, "norm", None) == "batch":
            raise ValueError("penalty_weight: a penalty per image needs a discriminator without BatchNorm; set norm")
        if self.perceptual_weight and self.perceptual is None:
            raise ValueError("perceptual_weight: there is no feature distance to weigh; give perceptual")
        return self


class ContextEncoderStages(Options):
    """The context encoder has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "generator and discriminator train in turn")


class ContextEncoderConfig(RunConfig):
    """A context encoder run."""

    recipe: Literal["context_encoder"] = setting("context_encoder", "this recipe")
    data: MaskedData = setting(MaskedData(), "photos and their masks")
    model: ContextEncoderModel = setting(ContextEncoderModel(), "networks and losses")
    stages: ContextEncoderStages = setting(..., "training stages, in order")

    @model_validator(mode="after")
    def _mask_fits(self) -> Self:
        mask, generator = self.data.mask, self.model.generator
        if generator.out_channels != RGB or generator.in_channels not in (RGB, RGB + 1):
            raise ValueError("model.generator: out_channels is 3; in_channels is 3, or 4 with the mask")
        if self.model.focus_px is not None and self.model.focus_px > self.data.crop_px:
            raise ValueError("model.focus_px: must not exceed data.crop_px")
        if not isinstance(generator, ContextEncoderOptions):
            return self
        if self.data.batch_images == 1 and generator.norm == "batch":
            raise ValueError("data.batch_images: the bottleneck is one pixel, whose BatchNorm needs 2 images or more")
        if generator.region == "full":
            return self
        if self.model.focus_px is not None:
            raise ValueError("model.focus_px: belongs to networks that predict every pixel; make region full")
        if mask.name != "center":
            raise ValueError(
                f"model.generator.region: center fills the middle, but data.mask is {mask.name}; take full"
            )
        if (mask.region_share, mask.overlap_px) != (0.5, generator.overlap_px):
            raise ValueError("data.mask: region_share must be 0.5 and overlap_px that of model.generator")
        if 2 * generator.overlap_px * 2 >= self.data.crop_px:
            raise ValueError("model.generator.overlap_px: leaves nothing to fill at this data.crop_px")
        return self


@dataclass(frozen=True)
class Filled(Generated):
    """What was made, and where it is looked at: the first row and column of a square for each image, or everywhere.

    Shapes: ``windows`` (N, 2), whole numbers.
    """

    windows: Tensor | None = None


class ContextEncoder(Recipe["Masked", Filled]):
    """An encoder-decoder guesses what is missing; a discriminator distinguishes its guesses from real pixels."""

    config_type: ClassVar[type[RunConfig]] = ContextEncoderConfig
    default_preset = "center"
    quick_preset = "center-64"
    metrics = ("l1_percent", "l2_percent")
    evaluation = EvalDefaults(
        metrics=("hole_psnr", "hole_l1_percent", "l1_percent"),
        inputs="the middle square of the resized photo, masked as the weights' configuration says",
    )

    def __init__(self, config: ContextEncoderConfig) -> None:
        self.config, self.options = config, config.model
        self.generator = GENERATORS.build(self.options.generator)
        self.discriminator = DISCRIMINATORS.build(self.options.discriminator, in_channels=3)
        self._require_fit(config.data.crop_px)
        compact = isinstance(self.options.generator, CompactRestorationOptions)  # starts as its input
        initialize(self.options.initialization, *(() if compact else (self.generator,)), self.discriminator)
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        features = self.options.perceptual
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None

    def _require_fit(self, crop_px: int) -> None:
        from gantools.training import shape_check  # needs torch

        given = (2, self.options.generator.in_channels, crop_px, crop_px)
        side_px = crop_px // 2 if self.overlapping else self.options.focus_px or crop_px
        shape_check.check_shapes("model.generator", self.generator, given, wanted=(2, RGB, crop_px, crop_px))
        shape_check.check_shapes("model.discriminator", self.discriminator, (2, RGB, side_px, side_px))

    def stages(self) -> Iterator[Stage]:
        turns = self.options.critic_turns
        yield Stage(
            "adversarial",
            Alternate("discriminator", "generator") if turns == 1 else CriticRatio(turns),
            {
                "generator": Player({"generator": self.generator}, self.generator_loss),
                "discriminator": Player({"discriminator": self.discriminator}, self.discriminator_loss),
            },
            best=Best.by("hole_psnr"),
        )

    def forward(self, batch: Masked) -> Filled:
        from gantools.losses.numerics import at_least_float32  # needs torch

        made = at_least_float32(self.generator(self.seen(batch)))
        return Filled(made, self.windows(batch.missing) if self.options.focus_px else None)

    def generator_loss(self, batch: Masked, made: Filled) -> LossTerms:
        options = self.options
        # Only a relativistic objective reads the real logits.
        truth, fake = (self.focused(each, made) for each in (batch.image, self.shown(batch, made.fake)))
        real = self.discriminator(truth) if options.adversarial.name == "relativistic" else None
        logits = self.discriminator(fake)
        terms = {
            "adversarial": options.adversarial_weight * self.gan.fool(logits, real),
            "pixel": options.pixel_weight * self.pixel(batch, made.fake),
        }
        if self.perceptual and options.perceptual_weight:
            distance = self.perceptual(
                self.looked_at(filled(batch, made.fake), made), self.looked_at(batch.image, made)
            )
            terms["perceptual"] = options.perceptual_weight * distance
        return LossTerms(**terms)

    def discriminator_loss(self, batch: Masked, made: Filled) -> LossTerms:
        from gantools.losses.penalties import gradient_penalty  # recipes are listed and checked without torch

        real, fake = (self.focused(each, made) for each in (batch.image, self.shown(batch, made.fake.detach())))
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        terms = {"adversarial": self.gan.judge(real_logits, fake_logits)}
        if self.options.penalty_weight:
            terms["penalty"] = self.options.penalty_weight * gradient_penalty(self.discriminator, real, fake)
        return LossTerms(**terms).with_metrics(real_logit=real_logits.mean(), fake_logit=fake_logits.mean())

    def monitored_pairs(self, batch: Masked, outputs: Filled) -> Mapping[str, tuple[Tensor, Tensor]]:
        """What is judged: the predicted middle, or everything."""
        return {"fake": (self.judged(self.shown(batch, outputs.fake)), self.judged(batch.image))}

    @property
    def overlapping(self) -> bool:
        """Whether known pixels are predicted too: the border inside the predicted middle."""
        generator = self.options.generator
        return isinstance(generator, ContextEncoderOptions) and generator.region == "center"

    def seen(self, batch: Masked) -> Tensor:
        """What the generator sees: the masked images, and the masks where it takes them."""
        from torch import cat

        return batch.shown if self.options.generator.in_channels == RGB else cat((batch.shown, batch.mask), dim=1)

    def shown(self, batch: Masked, made: Tensor) -> Tensor:
        """What a person and the discriminator see: where everything is predicted, known pixels take its place."""
        return made if self.overlapping else filled(batch, made)

    def judged(self, image: Tensor) -> Tensor:
        """What the discriminator sees: the predicted middle, or everything."""
        if not self.overlapping:
            return image
        height, width = image.shape[-2:]
        return image[..., height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2]

    def focused(self, image: Tensor, made: Filled) -> Tensor:
        """What the discriminator sees: the predicted middle, a square at the hole, or everything."""
        return self.looked_at(self.judged(image), made)

    def looked_at(self, image: Tensor, made: Filled) -> Tensor:
        """The images' squares of ``focus_px`` at their holes. Shapes: (N, C, H, W) → (N, C, focus_px, focus_px)."""
        from torch import arange

        if made.windows is None or self.options.focus_px is None:
            return image
        inside = arange(self.options.focus_px, device=image.device)
        count, channels, _, width = image.shape
        rows, columns = ((first[:, None] + inside)[:, None] for first in made.windows.unbind(dim=1))
        band = image.gather(2, rows[..., None].expand(count, channels, -1, width))
        return band.gather(3, columns[:, :, None].expand(count, channels, len(inside), -1))

    def windows(self, missing: Tensor) -> Tensor:
        """First row and column of a square around a random missing pixel of each image, within the image.

        Shapes: (N, 1, H, W) → (N, 2). On the device throughout: torch's multinomial, which draws the same, checks its
        input on the host.
        """
        from torch import empty_like, stack

        height, width = missing.shape[-2:]
        side_px = self.options.focus_px or 0
        chances = missing.flatten(1)
        place = (chances / empty_like(chances).exponential_()).argmax(dim=1)
        row, column = place // width - side_px // 2, place % width - side_px // 2
        return stack((row.clamp(0, height - side_px), column.clamp(0, width - side_px)), dim=1)

    def pixel(self, batch: Masked, made: Tensor) -> Tensor:
        """The error over what is predicted: 1 in the hole, and on the known border its own weight."""
        from gantools.losses import reconstruction  # needs torch

        hole = self.judged(batch.missing)
        weights = hole + (1 - hole) * (self.options.overlap_weight if self.overlapping else 0.0)
        error = {"l2": reconstruction.weighted_region_l2, "l1": reconstruction.weighted_region_l1}[self.options.pixel]
        return error(self.judged(made), self.judged(batch.image), weights)

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    def exports(self) -> Mapping[str, Export]:
        described = describe_generator(
            "generator", self.generator, self.options.generator, self.config.data.crop_px, data=self.config.data
        )
        return {"generator": replace(described, takes="masked")}

    @classmethod
    def dataset(cls, config: ContextEncoderConfig, split: Literal["training", "validation"]) -> Dataset:
        return DATASETS.factory("masked")(config.data, split=split, seed=config.seed)

    def validate(self, batch: Masked) -> Judged:
        """The hole alone, beside what needs no learning: the mean colour, and OpenCV's inpainting by Telea.

        l1_percent and l2_percent are the paper's, of the predicted middle; without one, of the filled image.
        """
        made = self.generator(self.seen(batch)).float()
        metrics = self._hole_metrics(batch, made.clamp(-1, 1))
        return Judged(self.judged(self.shown(batch, made)), self.judged(batch.image), metrics)

    def _hole_metrics(self, batch: Masked, made: Tensor) -> dict[str, float]:
        from gantools.images import ranges
        from gantools.images.ops import masks  # need numpy, cv2 and torch
        from gantools.metrics import pixels as measure

        truth, hole = ranges.from_tensor(batch.image), batch.missing[0, 0].bool().cpu().numpy()
        ours, telea = ranges.from_tensor(filled(batch, made)), masks.telea(truth, hole)
        metrics = {
            "hole_psnr": measure.hole_psnr(ours, truth, hole),
            "hole_l1_percent": measure.hole_l1_percent(ours, truth, hole),
            "mean_fill_hole_psnr": measure.hole_psnr(masks.mean_filled(truth, hole), truth, hole),
            "telea_hole_psnr": measure.hole_psnr(telea, truth, hole),
        }
        if self.perceptual:
            for name, pixels in (("perceptual", ours), ("telea_perceptual", telea)):
                metrics[name] = float(self.perceptual(ranges.to_tensor(pixels, made.device), batch.image))
        return metrics

    @classmethod
    def example(cls, sample: Any, model: RunModel) -> Example:
        """The filled image beside the mean colour and OpenCV's inpainting by Telea."""
        from gantools.images.ops import masks  # needs cv2

        image, missing = sample.image, sample.mask[..., 0] > 0
        baselines = {"mean fill": masks.mean_filled(image, missing), "Telea": masks.telea(image, missing)}
        return Example(sample.name, {**baselines, MODEL: model(image, missing)}, image, missing)

    def preview(self, batch: Masked) -> Mapping[str, Tensor]:
        made = filled(batch, self.generator(self.seen(batch)).float())
        return {"real": batch.image, "masked": batch.shown, "filled": made}


def filled(batch: Masked, made: Tensor) -> Tensor:
    """The known pixels, and what was made in the hole."""
    return batch.image.lerp(made, batch.missing)


RECIPE = ContextEncoder
