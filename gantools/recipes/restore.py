"""Restoration on a NoGAN schedule: long pretraining, then short adaptive adversarial training (fastai, lesson 7)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from gantools.config.options import Options, setting
from gantools.config.schema import (
    AdamOptions,
    GanOptimizers,
    GeneratorOnly,
    OptimizerOptions,
    RunConfig,
    SomeStages,
    StageOptions,
)
from gantools.data import open_distillable
from gantools.data.options.datasets import RestorationData
from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import MseOptions, PerceptualOptions, ReconstructionOptions, VanillaOptions
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import DiscriminatorOptions, GeneratorOptions, NoGanCriticOptions, ResNetUNetOptions
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
)
from gantools.training.turns import Solo, ThresholdSwitch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import Restoration
    from gantools.data.loading.dataset import Dataset
    from gantools.models.generators.resnet_unet import ResNetUNet

Rate = Annotated[float, Field(gt=0, le=1)]
STANDARD_CHANNELS = 64


class RestoreModel(Options):
    """Networks and losses of restoration."""

    generator: GeneratorOptions = setting(
        ResNetUNetOptions(), "from the degraded image to the clean one", source="resnet_unet"
    )
    encoder_weights: str | None = setting(
        None,
        "first weights of resnet_unet's encoder: a .safetensors or .pth file; null: the downloaded ImageNet ones; "
        "random: none",
        source="ImageNet",
        local=("random",),
    )
    encoder_rates: tuple[Rate, Rate] = setting(
        (1e-3, 1e-3**0.5),
        "rates of the encoder's early and late half in generator_pretraining, as factors on the decoder's",
        source=(1e-3, 0.0316),
    )
    critic: DiscriminatorOptions = setting(NoGanCriticOptions(), "distinguishes clean images from restored ones")
    adversarial: VanillaOptions = setting(VanillaOptions(), "adversarial loss", source="vanilla")
    adversarial_weight: float = setting(
        1.0, "weight of the adversarial term in adversarial training", source=1, ge=0, plausible=(0, 1000)
    )
    critic_weight: float = setting(
        0.5, "factor on the critic's loss: the mean of both sides", source=0.5, gt=0, plausible=(0, 1000)
    )
    critic_threshold: float = setting(
        0.65, "the generator is updated when the critic's batch loss is below this", source=0.65, gt=0
    )
    pixel: ReconstructionOptions = setting(
        MseOptions(), "distance to the clean image, on ImageNet's statistics", source="mse"
    )
    pixel_weight: float = setting(
        50.0, "weight of the pixel distance in adversarial training", source=50, ge=0, plausible=(0, 1000)
    )
    perceptual: PerceptualOptions | None = setting(
        None, "feature distance: measured in validation, and a loss where perceptual_weight is above 0"
    )
    perceptual_weight: float = setting(
        0.0, "weight of the feature distance beside the pixel distance of weight 1", source=0, ge=0, plausible=(0, 1000)
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not isinstance(self.generator, ResNetUNetOptions):
            if self.encoder_weights not in (None, "random"):
                raise ValueError(f"encoder_weights: {self.generator.name} has no such encoder")
        elif self.encoder_weights != "random" and self.generator.base_channels != STANDARD_CHANNELS:
            raise ValueError("ImageNet's weights are for base_channels: 64; set encoder_weights: random")
        if self.perceptual_weight and self.perceptual is None:
            raise ValueError("perceptual_weight: needs perceptual")
        return self


class CriticOnly(Options):
    """Optimizers of a stage in which the critic learns alone."""

    discriminator: OptimizerOptions = setting(AdamOptions(), "optimizer of the critic")


class RestoreStages(SomeStages):
    """The NoGAN schedule; without its last two stages a generator is trained by distances alone."""

    generator_pretraining_frozen: StageOptions[GeneratorOnly] | None = setting(
        None, "the decoder alone, on the frozen pretrained encoder; null leaves the stage out"
    )
    generator_pretraining: StageOptions[GeneratorOnly] | None = setting(
        None, "the whole generator, by pixel (and feature) distance"
    )
    critic_pretraining: StageOptions[CriticOnly] | None = setting(
        None, "the critic alone, on images of the frozen generator"
    )
    adversarial: StageOptions[GanOptimizers] | None = setting(None, "adaptive adversarial training")


class RestoreConfig(RunConfig):
    """A restoration run."""

    recipe: Literal["restore"] = setting("restore", "this recipe")
    data: RestorationData = setting(RestorationData(), "photos; their degraded versions are made by the loader")
    model: RestoreModel = setting(RestoreModel(), "networks and losses")
    stages: RestoreStages = setting(..., "training stages, in order")

    @model_validator(mode="after")
    def _freezable(self) -> Self:
        frozen = self.stages.generator_pretraining_frozen is not None
        if frozen and not isinstance(self.model.generator, ResNetUNetOptions):
            raise ValueError(
                f"stages.generator_pretraining_frozen: {self.model.generator.name} has no encoder to freeze; set null"
            )
        return self


class Restore(Recipe["Restoration", Generated]):
    """A U-Net on a pretrained encoder restores degraded photos; at the end a critic sharpens it.

    In adversarial training the frozen network is in eval mode: the critic without dropout while the generator learns,
    the generator on its running statistics while the critic does. That is how fastai's ``GANLearner`` runs by default
    (``switch_eval=True``); its ``GANTrainer`` alone would leave both in training mode.
    Differs from the source: the critic learns on the frozen generator's output for each batch, where the source
    writes those images to a folder first; BatchNorm of the frozen encoder is frozen too; one-cycle does not change the
    momentum.
    """

    config_type: ClassVar[type[RunConfig]] = RestoreConfig
    default_preset = "crappify-64"
    metrics = ("psnr_rgb",)
    evaluation = EvalDefaults(
        metrics=("psnr_rgb", "ssim_rgb", "ab_l1", "colorfulness"),
        inputs="degraded as the weights' configuration says, cut to multiples of its crop",
        input_name="degraded input",
        ready_pairs=True,
        realistic_jpeg=(15, 25, 40, 80, 95),
    )

    def __init__(self, config: RestoreConfig) -> None:
        self.config, self.options = config, config.model
        self.generator = GENERATORS.build(self.options.generator)
        self.critic = DISCRIMINATORS.build(self.options.critic, in_channels=self.options.generator.out_channels)
        self._require_fit(config.data.crop_px)
        self._start_encoder()
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        self.pixel = RECONSTRUCTION.build(self.options.pixel)
        features = self.options.perceptual
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None
        self.loses_color = any(degradation.name == "gray" for degradation in config.data.degradations)

    def _require_fit(self, crop_px: int) -> None:
        from gantools.training import shape_check  # needs torch

        shape = (2, 3, crop_px, crop_px)
        shape_check.check_shapes("model.generator", self.generator, shape, wanted=shape)
        if self.config.stages.critic_pretraining is not None or self.config.stages.adversarial is not None:
            shape_check.check_shapes("model.critic", self.critic, shape)

    def _start_encoder(self) -> None:
        from gantools.models.encoders import load_encoder_weights  # needs torch

        options = self.options
        if not isinstance(options.generator, ResNetUNetOptions):
            return
        if options.encoder_weights == "random" and self.config.stages.generator_pretraining_frozen is not None:
            warnings.warn(
                "model.encoder_weights: random: stages.generator_pretraining_frozen keeps the encoder untrained;"
                " set it to null",
                stacklevel=2,
            )
        encoder = cast("ResNetUNet", self.generator).encoder
        load_encoder_weights(encoder, options.generator.encoder, options.encoder_weights)

    def stages(self) -> Iterator[Stage]:
        wanted, encoder, rest = self.config.stages, self._encoder(), self._rest()
        generator, alone = {**encoder, **rest}, Solo("generator")
        most_like = Best.by("psnr_rgb")
        if wanted.generator_pretraining_frozen is not None:
            decoding = Player(rest, self.pretraining_loss)
            yield Stage("generator_pretraining_frozen", alone, {"generator": decoding}, most_like, frozen=encoder)
        if wanted.generator_pretraining is not None:
            rates = dict(zip(encoder, self.options.encoder_rates, strict=False))
            restoring = Player(generator, self.pretraining_loss, rates=rates)
            yield Stage("generator_pretraining", alone, {"generator": restoring}, most_like)
        judging = Player({"critic": self.critic}, self.critic_loss, frozen_mode="eval")
        if wanted.critic_pretraining is not None:
            yield Stage("critic_pretraining", Solo("discriminator"), {"discriminator": judging}, frozen=generator)
        if wanted.adversarial is not None:
            yield Stage(
                "adversarial",
                ThresholdSwitch(self.options.critic_threshold),
                {"generator": Player(generator, self.generator_loss, frozen_mode="eval"), "discriminator": judging},
                best=Best.by("perceptual") if self.perceptual else most_like,
            )

    def _encoder(self) -> dict[str, nn.Module]:
        """The parts of a pretrained encoder, which learn at rates of their own; none of most generators."""
        if not isinstance(self.options.generator, ResNetUNetOptions):
            return {}
        encoder = cast("ResNetUNet", self.generator).encoder
        return {"encoder_early": encoder.early, "encoder_late": encoder.late}

    def _rest(self) -> dict[str, nn.Module]:
        """What of the generator is in no encoder."""
        if not isinstance(self.options.generator, ResNetUNetOptions):
            return {"generator": self.generator}
        return {"decoder": cast("ResNetUNet", self.generator).decoder}

    def composed(self) -> Mapping[str, nn.Module]:
        return {"generator": self.generator}

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    def forward(self, batch: Restoration) -> Generated:
        return Generated(self.generator(batch.degraded))

    def pretraining_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        return LossTerms(**self._content(batch, made, 1.0))

    def generator_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        fooled = self.options.adversarial_weight * self.gan.fool(self.judge(made.fake))
        return LossTerms(adversarial=fooled, **self._content(batch, made, self.options.pixel_weight))

    def _content(self, batch: Restoration, made: Generated, weight: float) -> dict[str, Tensor]:
        from gantools.images.imagenet import normalised  # recipes are listed and checked without torch

        content = {"pixel": weight * self.pixel(normalised(made.fake), normalised(batch.clean))}
        if self.perceptual and self.options.perceptual_weight:
            distance = self.perceptual(made.fake, batch.clean)
            content["perceptual"] = weight * self.options.perceptual_weight * distance
        return content

    def critic_loss(self, batch: Restoration, made: Generated) -> LossTerms:
        """Binary cross-entropy; ``accuracy`` is the share of logits on the right side, real and fake equally often."""
        real, fake = self.judge(batch.clean), self.judge(made.fake.detach())
        accuracy = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
        terms = LossTerms(adversarial=self.options.critic_weight * self.gan.judge(real, fake))
        return terms.with_metrics(accuracy=accuracy, real_logit=real.mean(), fake_logit=fake.mean())

    def monitored_pairs(self, batch: Restoration, outputs: Generated) -> Mapping[str, tuple[Tensor, Tensor]]:
        return {"fake": (outputs.fake, batch.clean)}

    def judge(self, image: Tensor) -> Tensor:
        """Logits of images, which the critic sees on ImageNet's statistics, as in the source."""
        from gantools.images.imagenet import normalised  # recipes are listed and checked without torch

        logits: Tensor = self.critic(normalised(image))
        return logits

    def exports(self) -> Mapping[str, Export]:
        options, data = self.options.generator, self.config.data
        described = describe_generator("generator", self.generator, options, data.crop_px, data=data)
        return {"generator": replace(described, gray="color") if self.loses_color else described}

    @classmethod
    def dataset(cls, config: RestoreConfig, split: Literal["training", "validation"]) -> Dataset:
        return open_distillable(config.data, split, config.seed)

    def validate(self, batch: Restoration) -> Judged:
        """``input_…`` is the same metric of the degraded image itself: what doing nothing would give."""
        fake = self.generator(batch.degraded).float().clamp(-1, 1)
        metrics = self._metrics(batch.degraded, batch.clean, "input_")
        metrics |= {key: value for key, value in self._metrics(fake, batch.clean, "").items() if key != "psnr_rgb"}
        return Judged(fake, batch.clean, metrics)

    def _metrics(self, image: Tensor, truth: Tensor, prefix: str) -> dict[str, float]:
        from gantools.images import ranges  # recipes are listed and checked without torch
        from gantools.metrics import pair_metric
        from gantools.metrics.pixels import colorfulness

        pixels, clean = ranges.from_tensor(image), ranges.from_tensor(truth)
        metrics = {"psnr_rgb": pair_metric("psnr_rgb")(pixels, clean)}
        if self.perceptual:
            metrics["perceptual"] = float(self.perceptual(image, truth))
        if self.loses_color:
            metrics |= {"ab_l1": pair_metric("ab_l1")(pixels, clean), "colorfulness": colorfulness(pixels)}
        return {f"{prefix}{name}": value for name, value in metrics.items()}

    def preview(self, batch: Restoration) -> Mapping[str, Tensor]:
        return {"degraded": batch.degraded, "restored": self.generator(batch.degraded), "clean": batch.clean}


RECIPE = Restore
