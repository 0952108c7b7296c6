"""CycleGAN: translation between two kinds of images without pairs (Zhu et al. 2017, arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from gantools.config.options import Options, setting
from gantools.config.schema import GanOptimizers, RunConfig, StageOptions
from gantools.data import DATASETS
from gantools.data.options.datasets import UnpairedData
from gantools.losses import ADVERSARIAL, PERCEPTUAL, RECONSTRUCTION
from gantools.losses.options import (
    HingeOptions,
    L1Options,
    LeastSquaresOptions,
    PerceptualOptions,
    ReconstructionOptions,
    VanillaOptions,
)
from gantools.metrics.example import MODEL, Example
from gantools.models import DISCRIMINATORS, GENERATORS
from gantools.models.options import (
    DiscriminatorOptions,
    GeneratorOptions,
    Initialization,
    PatchGanOptions,
    ResNetOptions,
)
from gantools.training.recipe import (
    Best,
    EvalDefaults,
    Judged,
    LossTerms,
    Player,
    Recipe,
    Stage,
    describe_generator,
    initialize,
)
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import Unpaired
    from gantools.data.loading.dataset import Dataset
    from gantools.losses.perceptual import PerceptualLoss
    from gantools.training.recipe import RunModel


class CycleGanModel(Options):
    """Networks and losses of CycleGAN."""

    generator: GeneratorOptions = setting(ResNetOptions(), "one for each direction")
    discriminator: DiscriminatorOptions = setting(PatchGanOptions(norm="instance"), "one for each domain")
    initialization: Initialization = setting("normal", "first weights: N(0, 0.02)", paper="normal", source="normal")
    adversarial: VanillaOptions | LeastSquaresOptions | HingeOptions = setting(
        LeastSquaresOptions(), "adversarial loss", paper="lsgan", source="lsgan", discriminator="name"
    )
    reconstruction: ReconstructionOptions = setting(
        L1Options(), "distance between an image and what should equal it", paper="l1", source="l1"
    )
    cycle_weight: float = setting(10.0, "weight of the cycle loss (λ)", paper=10, source=10, ge=0, plausible=(0, 1000))
    identity_weight: float = setting(
        5.0,
        "weight of the identity loss; 0 saves two forward passes",
        paper=5,
        source=5,
        ge=0,
        plausible=(0, 1000),
    )
    directions: Literal["sum", "mean"] = setting(
        "sum", "how the generators' losses of both directions are joined", paper="sum", source="mean"
    )
    discriminator_weight: float = setting(
        0.5,
        "factor on the discriminators' loss, slows them relative to the generators",
        paper=0.5,
        source=0.5,
        gt=0,
        plausible=(0, 1000),
    )
    pool_images: int = setting(
        50, "size of the pool of past fakes shown to each discriminator; 0: no pool", paper=50, source=0, ge=0
    )
    perceptual: PerceptualOptions | None = setting(
        None,
        "features for validation by the Fréchet distance, which then selects the best weights",
    )


class CycleGanStages(Options):
    """CycleGAN has one stage."""

    adversarial: StageOptions[GanOptimizers] = setting(..., "generators and discriminators train in turn")


class CycleGanConfig(RunConfig):
    """A CycleGAN run."""

    recipe: Literal["cyclegan"] = setting("cyclegan", "this recipe")
    data: UnpairedData = setting(UnpairedData(), "images of two domains")
    model: CycleGanModel = setting(CycleGanModel(), "networks and losses")
    stages: CycleGanStages = setting(..., "training stages, in order")


@dataclass(frozen=True)
class Fakes:
    """What the generators made: ``a`` from real b, ``b`` from real a, and each made back into what it came from."""

    a: Tensor
    b: Tensor
    back_a: Tensor
    back_b: Tensor


class CycleGan(Recipe["Unpaired", Fakes]):
    """Two generators translate in opposite directions; an image translated there and back must return to itself."""

    config_type: ClassVar[type[RunConfig]] = CycleGanConfig
    default_preset = "apple2orange"
    quick_preset = "apple2orange-64"
    evaluation = EvalDefaults(
        metrics=("l1_percent", "colorfulness"),
        feature_metrics=("frechet_distance",),
        inputs="resized to the square of the weights' configuration",
        reference="the input: there is no truth",
    )
    drawings = "fruit"

    def __init__(self, config: CycleGanConfig) -> None:
        from gantools.training.image_pool import ImagePool  # needs torch

        self.config, self.options = config, config.model
        self.a_to_b, self.b_to_a = (GENERATORS.build(self.options.generator) for _ in range(2))
        channels = self.options.generator.out_channels
        self.discriminator_a, self.discriminator_b = (
            DISCRIMINATORS.build(self.options.discriminator, in_channels=channels) for _ in range(2)
        )
        self._require_fit(config.data.crop_px)
        initialize(self.options.initialization, self.a_to_b, self.b_to_a, self.discriminator_a, self.discriminator_b)
        self.gan = ADVERSARIAL.build(self.options.adversarial)
        self.distance = RECONSTRUCTION.build(self.options.reconstruction)
        self.pool_a, self.pool_b = (ImagePool(self.options.pool_images, config.seed, stream) for stream in range(2))
        features = self.options.perceptual
        self.perceptual = PERCEPTUAL.factory("features")(**features.arguments()) if features else None
        self.share = 0.5 if self.options.directions == "mean" else 1.0

    def _require_fit(self, crop_px: int) -> None:
        from gantools.training import shape_check  # needs torch

        shape = (2, 3, crop_px, crop_px)
        shape_check.check_shapes("model.generator", self.a_to_b, shape, wanted=shape)
        shape_check.check_shapes("model.discriminator", self.discriminator_a, shape)

    def stages(self) -> Iterator[Stage]:
        yield Stage(
            "adversarial",
            Alternate("generator", "discriminator"),
            {
                "generator": Player({"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}, self.generator_loss),
                # The names in checkpoints.
                "discriminator": Player(
                    {"judge_a": self.discriminator_a, "judge_b": self.discriminator_b}, self.discriminator_loss
                ),
            },
            best=Best.by("frechet") if self.perceptual else None,
        )

    def forward(self, batch: Unpaired) -> Fakes:
        fake_a, fake_b = self.b_to_a(batch.b), self.a_to_b(batch.a)
        return Fakes(a=fake_a, b=fake_b, back_a=self.b_to_a(fake_b), back_b=self.a_to_b(fake_a))

    def generator_loss(self, batch: Unpaired, fake: Fakes) -> LossTerms:
        fooled = self.gan.fool(self.discriminator_a(fake.a)) + self.gan.fool(self.discriminator_b(fake.b))
        cycle = self.distance(fake.back_a, batch.a) + self.distance(fake.back_b, batch.b)
        terms = {"adversarial": self.share * fooled, "cycle": self.share * self.options.cycle_weight * cycle}
        if self.options.identity_weight:
            terms["identity"] = self.share * self.options.identity_weight * self._identity(batch)
        return LossTerms(**terms)

    def _identity(self, batch: Unpaired) -> Tensor:
        """How much the generators change images that already are of the domain they lead to."""
        return self.distance(self.b_to_a(batch.a), batch.a) + self.distance(self.a_to_b(batch.b), batch.b)

    def discriminator_loss(self, batch: Unpaired, fake: Fakes) -> LossTerms:
        old_a, old_b = self.pool_a.swap(fake.a.detach()), self.pool_b.swap(fake.b.detach())
        weight = self.options.discriminator_weight
        in_a = self.discriminator_a(batch.a), self.discriminator_a(old_a)
        in_b = self.discriminator_b(batch.b), self.discriminator_b(old_b)
        terms = LossTerms(a=weight * self.gan.judge(*in_a), b=weight * self.gan.judge(*in_b))
        real_logit, fake_logit = ((one.mean() + other.mean()) / 2 for one, other in zip(in_a, in_b, strict=True))
        return terms.with_metrics(real_logit=real_logit, fake_logit=fake_logit)

    def monitored_pairs(self, batch: Unpaired, outputs: Fakes) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Without a truth: what was translated."""
        return {"a": (outputs.a, batch.b), "b": (outputs.b, batch.a)}

    def exports(self) -> Mapping[str, Export]:
        options, data = self.options.generator, self.config.data
        described = {
            "a2b": describe_generator("a_to_b", self.a_to_b, options, data.crop_px, data=data),
            "b2a": describe_generator("b_to_a", self.b_to_a, options, data.crop_px, data=data),
        }
        return {direction: replace(export, gray="color") for direction, export in described.items()}

    @classmethod
    def dataset(cls, config: CycleGanConfig, split: Literal["training", "validation"]) -> Dataset:
        return DATASETS.factory("unpaired")(config.data, split=split, seed=config.seed)

    def validate(self, batch: Unpaired) -> Judged:
        """Mean absolute distances, both directions together: ``cycle_l1`` on [0, 1], the others in percent of it.

        How well images look in their new domain is only seen through a feature network: ``frechet``, both directions'
        mean. Without one there are no best weights.
        """
        made = self.forward(batch)
        cycle = (_l1(made.back_a, batch.a) + _l1(made.back_b, batch.b)) / 2
        identity = (_l1(self.b_to_a(batch.a), batch.a) + _l1(self.a_to_b(batch.b), batch.b)) / 2
        metrics = {"cycle_l1": cycle, "cycle_l1_percent": 100 * cycle, "identity_l1_percent": 100 * identity}
        if self.perceptual is None:
            return Judged(made.back_a, batch.a, metrics)
        pairs = ((made.a, batch.a), (made.b, batch.b))
        vectors = [(self._vector(fake), self._vector(real)) for fake, real in pairs]
        return Judged(made.back_a, batch.a, metrics, {"frechet": vectors})

    def _vector(self, image: Tensor) -> Tensor:
        """The mean of the deepest feature layer over all positions. Shapes: (1, C, H, W) → (C)."""
        deepest: Tensor = cast("PerceptualLoss", self.perceptual).features(image.float().clamp(-1, 1))[-1]
        return deepest.float().mean((0, 2, 3))

    def frozen(self) -> Mapping[str, nn.Module]:
        return {"perceptual": self.perceptual} if self.perceptual else {}

    @classmethod
    def example(cls, sample: Any, model: RunModel) -> Example:
        """The translation, and where the weights have both directions the image translated there and back.

        There is no truth: the input stands in its place. An image of the other domain is the reference of whole sets.
        """
        forward = model.network == "a_to_b"
        given, wanted = (sample.a, sample.b) if forward else (sample.b, sample.a)
        made = model(given)
        candidates = {"input": given, MODEL: made}
        if (back := model.reverse(made)) is not None:
            candidates["there and back"] = back
        return Example(sample.name_a if forward else sample.name_b, candidates, given, reference=wanted)

    def preview(self, batch: Unpaired) -> Mapping[str, Tensor]:
        made = self.forward(batch)
        return {
            "real A": batch.a,
            "fake B": made.b,
            "back A": made.back_a,
            "real B": batch.b,
            "fake A": made.a,
            "back B": made.back_b,
        }

    def extra_state(self) -> dict[str, Any]:
        return {"history_a": self.pool_a.state(), "history_b": self.pool_b.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.pool_a.load_state(state["history_a"])
        self.pool_b.load_state(state["history_b"])


def _l1(made: Tensor, real: Tensor) -> float:
    """Mean absolute distance of two images on [0, 1]."""
    return float((made.float() - real).abs().mean()) / 2


RECIPE = CycleGan
