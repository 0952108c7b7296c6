"""Deblur: a blurred photo in, a sharp one out (DeblurGAN, Kupyn et al. 2018, arXiv 1711.07064; v2: 1908.03826)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast

from pydantic import model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, GeneratorOnly, RunConfig, SomeStages, StageOptions
from gantools.data import open_distillable
from gantools.data.options.datasets import BlurredData
from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import (
    AdversarialOptions,
    L1Options,
    PerceptualOptions,
    ReconstructionOptions,
    WassersteinOptions,
)
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    CriticOptions,
    DiscriminatorOptions,
    GeneratorOptions,
    Initialization,
    ResNetOptions,
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
    from gantools.data.loading.batches import Restoration
    from gantools.data.loading.dataset import Dataset
    from gantools.models.contract import Generator

# Networks whose constructor makes them the identity; other first weights would undo that.
_START_AS_IDENTITY = ("compact_restoration", "compact_sr")


class DeblurModel(Options):
    """Networks and losses of deblurring."""

    generator: GeneratorOptions = setting(
        ResNetOptions(global_residual=True), "from the blurred image to the sharp one", paper="resnet"
    )
    discriminator: DiscriminatorOptions = setting(
        CriticOptions(), "sees images alone, without their blurred version; patches of them where there are two"
    )
    full_discriminator: DiscriminatorOptions | None = setting(
        None, "a second one that sees whole crops (DeblurGAN-v2); null: none"
    )
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", paper="normal")
    pixel: ReconstructionOptions = setting(L1Options(), "distance to the sharp image", paper="l1")
    pixel_weight: float = setting(
        0.0, "weight of the pixel distance, in both stages", paper=0, ge=0, plausible=(0, 1000)
    )
    perceptual: PerceptualOptions | None = setting(
        PerceptualOptions(network="vgg19", layers=("conv3_3",), feature_scale=1.0, normalise_input=False),
        "feature distance; null leaves it out",
        paper="VGG19 conv3_3",
    )
    perceptual_weight: float = setting(
        100.0, "weight of the feature distance (λ)", paper=100, ge=0, plausible=(0, 1000)
    )
    adversarial: AdversarialOptions = setting(WassersteinOptions(), "adversarial loss", paper="wasserstein")
    adversarial_weight: float = setting(1.0, "weight of the adversarial term", paper=1, ge=0, plausible=(0, 1000))
    penalty_weight: float = setting(
        10.0, "weight of the gradient penalty, with the Wasserstein loss only", paper=10, ge=0, plausible=(0, 1000)
    )
    critic_turns: int = setting(
        5, "updates of the discriminators per generator update, all on one batch", paper=5, ge=1
    )

    @model_validator(mode="after")
    def _content(self) -> Self:
        if self.pixel_weight == 0 and (self.perceptual is None or self.perceptual_weight == 0):
            raise ValueError("the generator needs a content loss: set pixel_weight, or perceptual and its weight")
        return self


class DeblurStages(SomeStages):
    """The generator alone, then adversarial training; either may be left out."""

    content: StageOptions[GeneratorOnly] | None = setting(
        None, "the generator alone, by pixel and feature distance; null: adversarial training at once"
    )
    adversarial: StageOptions[GanOptimizers] | None = setting(
        None, "generator and discriminators; null: no adversarial training"
    )


class DeblurConfig(RunConfig):
    """A deblurring run."""

    recipe: Literal["deblur"] = setting("deblur", "this recipe")
    data: BlurredData = setting(BlurredData(), "photos, blurred by the loader; or real pairs")
    model: DeblurModel = setting(DeblurModel(), "networks and losses")
    stages: DeblurStages = setting(..., "training stages, in order")


class Deblur(Recipe["Restoration", Generated]):
    """A generator learns the residual to a blurred image; one or two discriminators compare it with sharp ones.

    Each batch gives the discriminators all their turns and the generator its own, as in the code of DeblurGAN: so that
    300 epochs are 300 passes of the generator over the data.
    """

    config_type: ClassVar[type[RunConfig]] = DeblurConfig
    default_preset = "compact"
    metrics = ("psnr_rgb",)
    evaluation = EvalDefaults(
        metrics=("psnr_rgb", "ssim_rgb"),
        inputs="whole images, blurred as the weights' configuration says, or ready pairs",
        input_name="degraded input",
    )

    def __init__(self, config: DeblurConfig) -> None:
        self.config, self.options = config, config.model
        self.generator = GENERATORS.build(self.options.generator)
        named = {"discriminator": self.options.discriminator, "full_discriminator": self.options.full_discriminator}
        self.discriminators = {
            name: DISCRIMINATORS.build(options, in_channels=3) for name, options in named.items() if options
        }
        self._require_fit(config.data.crop_px)
        if self.options.generator.name not in _START_AS_IDENTITY:
            initialize(self.options.initialization, self.generator)
        initialize(self.options.initialization, *self.discriminators.values())
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        self.pixel = RECONSTRUCTION.build(self.options.pixel)
        features = self.options.perceptual if self.options.perceptual_weight else None
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None

    def _require_fit(self, crop_px: int) -> None:
        from gantools.training import shape_check  # needs torch

        shape = (2, 3, crop_px, crop_px)
        shape_check.check_shapes("model.generator", self.generator, shape, wanted=shape)
        for name, discriminator in self.discriminators.items():
            shape_check.check_shapes(f"model.{name}", discriminator, shape)

    def stages(self) -> Iterator[Stage]:
        generator = {"generator": self.generator}
        if self.config.stages.content is not None:
            players = {"generator": Player(generator, self.content_loss)}
            yield Stage("content", Solo("generator"), players, best=Best.by("psnr_rgb"))
        if self.config.stages.adversarial is not None:
            yield Stage(
                "adversarial",
                Alternate(*["discriminator"] * self.options.critic_turns, "generator"),
                {
                    "generator": Player(generator, self.generator_loss),
                    "discriminator": Player(self.discriminators, self.discriminator_loss),
                },
                best=Best.by("perceptual") if self.perceptual else Best.by("psnr_rgb"),
            )

    def forward(self, batch: Restoration) -> Generated:
        return Generated(self.generator(batch.degraded))

    def content_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        return LossTerms(**self._content(batch, made))

    def generator_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        # Only a relativistic objective reads the real logits.
        relative = self.options.adversarial.name == "relativistic"
        costs = [
            self.gan.fool(judge(made.fake), judge(batch.clean) if relative else None)
            for judge in self.discriminators.values()
        ]
        adversarial = self.options.adversarial_weight * _mean(costs)
        return LossTerms(adversarial=adversarial, **self._content(batch, made))

    def _content(self, batch: Restoration, made: Generated) -> dict[str, Tensor]:
        content: dict[str, Tensor] = {}
        if self.options.pixel_weight:
            content["pixel"] = self.options.pixel_weight * self.pixel(made.fake, batch.clean)
        if self.perceptual:
            content["perceptual"] = self.options.perceptual_weight * self.perceptual(made.fake, batch.clean)
        return content

    def discriminator_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        fake = made.fake.detach()
        judges = self.discriminators.values()
        logits = [(judge(batch.clean), judge(fake)) for judge in judges]
        terms = {"adversarial": _mean([self.gan.judge(*pair) for pair in logits])}
        if self.options.adversarial.name == "wasserstein" and self.options.penalty_weight:
            from gantools.losses.penalties import gradient_penalty  # recipes are listed and checked without torch

            penalties = [gradient_penalty(judge, batch.clean, fake) for judge in judges]
            terms["penalty"] = self.options.penalty_weight * _mean(penalties)
        real, fake = (_mean([one.mean() for one in side]) for side in zip(*logits, strict=True))
        return LossTerms(**terms).with_metrics(real_logit=real, fake_logit=fake)

    def monitored_pairs(self, batch: Restoration, outputs: Generated) -> Mapping[str, tuple[Tensor, Tensor]]:
        return {"fake": (outputs.fake, batch.clean)}

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    def exports(self) -> Mapping[str, Export]:
        options, data = self.options.generator, self.config.data
        return {"generator": describe_generator("generator", self.generator, options, data.crop_px, data=data)}

    @classmethod
    def dataset(cls, config: DeblurConfig, split: Literal["training", "validation"]) -> Dataset:
        return open_distillable(config.data, split, config.seed)

    def validate(self, batch: Restoration) -> Judged:
        """``input_psnr_rgb`` is the blurred image's own, ``perceptual`` the feature distance if there is one."""
        from gantools.images import ranges  # needs torch
        from gantools.metrics import pair_metric

        fake = self._restored(batch.degraded)
        unchanged = pair_metric("psnr_rgb")(ranges.from_tensor(batch.degraded), ranges.from_tensor(batch.clean))
        metrics = {"input_psnr_rgb": unchanged}
        if self.perceptual:
            metrics["perceptual"] = float(self.perceptual(fake, batch.clean))
        return Judged(fake, batch.clean, metrics)

    def preview(self, batch: Restoration) -> Mapping[str, Tensor]:
        return {"degraded": batch.degraded, "restored": self._restored(batch.degraded), "clean": batch.clean}

    def _restored(self, degraded: Tensor) -> Tensor:
        """Whole images of any size, as at inference: extended to what the network takes, and cut back."""
        from gantools.images.ops.resize import pad_to_multiple  # needs torch

        height, width = degraded.shape[-2:]
        padded = pad_to_multiple(degraded, cast("Generator", self.generator).size_multiple)
        made: Tensor = self.generator(padded)
        return made[..., :height, :width].float().clamp(-1, 1)


def _mean(costs: list[Tensor]) -> Tensor:
    """Of one or two discriminators, so that two do not weigh more than one."""
    first, *others = costs
    return sum(others, first) / len(costs)


RECIPE = Deblur
