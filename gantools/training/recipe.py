"""What a recipe defines: stages, players, losses, exports. How these are trained is the loop's.

A recipe reads like its paper. Optimizers, devices, precision, files and logs belong to the loop. This module and the
recipes themselves do not import torch when they are imported, so that they can be listed and checked quickly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast

from gantools.checkpoint.learnt_scale import learnt_scale
from gantools.config.options import Options
from gantools.config.schema import RunConfig
from gantools.metrics.example import MODEL, Example
from gantools.metrics.protocols import higher_is_better

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export
    from gantools.data.loading.batches import Batch
    from gantools.data.loading.dataset import Dataset
    from gantools.images.image import Pixels
    from gantools.images.ops.masks import Mask
    from gantools.models.contract import Generator
    from gantools.models.options import Initialization
    from gantools.training.turns import TurnPolicy

B = TypeVar("B", bound="Batch")
O = TypeVar("O")  # noqa: E741


class LossTerms:
    """Named scalar tensors, already weighted; ``total`` is what is differentiated, the names are the log keys.

    ``metrics`` are logged beside them and not differentiated.
    """

    def __init__(self, **terms: Tensor) -> None:
        self.terms = terms
        self.metrics: Mapping[str, Tensor] = {}

    def with_metrics(self, **metrics: Tensor) -> LossTerms:
        """The same terms with metrics beside them, such as a critic's accuracy."""
        result = LossTerms(**self.terms)
        result.metrics = {**self.metrics, **metrics}
        return result

    @property
    def total(self) -> Tensor:
        first, *others = self.terms.values()
        return sum(others, first)

    def detached(self) -> LossTerms:
        """The same numbers without gradients, in float32."""
        terms, metrics = (
            {name: value.detach().float() for name, value in values.items()} for values in (self.terms, self.metrics)
        )
        return LossTerms(**terms).with_metrics(**metrics)

    @classmethod
    def mean(cls, several: Sequence[LossTerms]) -> LossTerms:
        """The mean of each term and metric over several batches, which all have the same ones."""
        first = several[0]
        if len(several) == 1:
            return first
        stack = import_module("torch").stack
        terms = {name: stack([one.terms[name] for one in several]).mean() for name in first.terms}
        metrics = {name: stack([one.metrics[name] for one in several]).mean() for name in first.metrics}
        return cls(**terms).with_metrics(**metrics)


@dataclass(frozen=True)
class Generated:
    """What a single generator made of a batch."""

    fake: Tensor


@dataclass(frozen=True)
class Judged:
    """A validation image beside its ground truth, and metrics only the recipe can give.

    ``vectors`` are for metrics of the whole split, where no image has a ground truth: per metric one or several pairs
    of the features of generated and of real images (Shapes: [C] each). The metric is the Fréchet
    distance between all generated and all real ones, the mean over its pairs.
    """

    fake: Tensor
    real: Tensor
    metrics: Mapping[str, float]
    vectors: Mapping[str, Sequence[tuple[Tensor, Tensor]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """One optimizer's worth of networks and the loss they play for.

    ``loss(batch, outputs)`` gets the stage's batch and what ``forward`` made of it. ``frozen_mode`` is the mode of the
    player's networks while another one plays: it matters with BatchNorm and dropout. ``rates`` gives networks a
    learning rate of their own, as a factor on the player's (a pretrained encoder learns slower); the others have 1.
    """

    networks: Mapping[str, nn.Module]
    loss: Callable[[Any, Any], LossTerms]
    frozen_mode: Literal["train", "eval"] = "train"
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepInfo:
    """Where a run is: the stage's name, its step counted from 0, its length, and the images seen in it by all ranks."""

    stage: str
    stage_step: int
    stage_steps: int
    stage_images: int


@dataclass(frozen=True)
class Best:
    """The validation metric that chooses a stage's best weights, and whether more of it is better."""

    metric: str
    higher: bool

    @classmethod
    def by(cls, metric: str) -> Best:
        """By a known metric, whose direction is in the table of metrics. Raises UsageError for an unknown one."""
        return cls(metric, higher_is_better(metric))

    def beats(self, value: float, other: float) -> bool:
        """Whether ``value`` is the better of two; NaN never is."""
        return value > other if self.higher else value < other


@dataclass(frozen=True)
class Stage:
    """A stage of training: its name in the configuration, turn policy, players and the metric of its best weights.

    ``frozen`` are networks that are used and do not learn in it: frozen, in eval mode (a pretrained encoder, a
    generator that only provides the fakes).
    """

    name: str
    policy: TurnPolicy
    players: Mapping[str, Player]
    best: Best | None = None
    frozen: Mapping[str, nn.Module] = field(default_factory=dict)


class RunModel(Protocol):
    """A trained network that ``gantools eval`` measures, applied as by ``gantools infer``.

    Shapes: uint8 [H, W, 3] → [scale·H, scale·W, 3]; ``mask``: bool [H, W], True where pixels are missing.
    """

    @property
    def network(self) -> str:
        """The network's name in its recipe, such as ``generator``."""
        ...

    @property
    def scale(self) -> int:
        """How many times larger results are."""
        ...

    def __call__(self, image: Pixels, mask: Mask | None = None) -> Pixels: ...

    def reverse(self, image: Pixels) -> Pixels | None:
        """The image translated in the opposite direction, None where the weights cannot."""
        ...


@dataclass(frozen=True)
class EvalDefaults:
    """How ``gantools eval`` measures a recipe; every value has a default.

    ``metrics``: names of the default metrics (none: those of two folders); ``feature_metrics`` join them where a
    feature network is given. ``inputs`` says how validation inputs are made, ``input_name`` what the unchanged input is
    called in tables, ``reference`` what results are compared with. ``ready_pairs``: folders low/ and high/ (or
    degraded/ and clean/, …) are used as they are. ``realistic_jpeg``: JPEG qualities of ``--inputs realistic``; none:
    the recipe has no such inputs.
    """

    metrics: tuple[str, ...] = ()
    feature_metrics: tuple[str, ...] = ("feature_distance",)
    inputs: str = "as the weights' configuration makes them"
    input_name: str = "input"
    reference: str = "the truth"
    ready_pairs: bool = False
    realistic_jpeg: tuple[int, ...] = ()


class Recipe(ABC, Generic[B, O]):
    """Base of every recipe.

    ``config_type`` is its closed configuration, ``default_preset`` what its bare name means, ``metrics`` the protocols
    its validation images are compared by, ``evaluation`` how ``gantools eval`` measures it, ``drawings`` what
    ``gantools data synth`` draws to try it with. ``gantools bench`` measures ``quick_preset`` (none: the default one)
    with ``bench_settings`` (``KEY=VALUE``).
    """

    config_type: ClassVar[type[RunConfig]]
    default_preset: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ()
    evaluation: ClassVar[EvalDefaults] = EvalDefaults()
    drawings: ClassVar[Literal["shoes", "fruit", "scenes", "digits", "captioned-shoes"]] = "scenes"
    quick_preset: ClassVar[str | None] = None
    bench_settings: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """Build networks and losses from the recipe's configuration."""

    @abstractmethod
    def stages(self) -> Iterator[Stage]:
        """The stages in the order they are played."""

    def begin_step(self, at: StepInfo) -> None:
        """Called before every step: for what depends on the time, such as a level that fades in."""

    @classmethod
    def completed(cls, config: Any, training: Dataset) -> Any:  # noqa: ARG003
        """The configuration with what only the data know filled in (names of classes, a vocabulary)."""
        return config

    @abstractmethod
    def forward(self, batch: B) -> O:
        """What the generators make of a batch; computed once per step and shared by all players."""

    @abstractmethod
    def exports(self) -> Mapping[str, Export]:
        """The networks a user keeps, each describing itself."""

    @classmethod
    @abstractmethod
    def dataset(cls, config: Any, split: Literal["training", "validation"]) -> Dataset:
        """The images of a split. Raises DataError when they cannot be trained on."""

    @abstractmethod
    def validate(self, batch: B) -> Judged:
        """What the exported networks make of one validation image, to be compared with its ground truth."""

    @classmethod
    def example(cls, sample: Any, model: RunModel) -> Example:
        """What ``gantools eval`` measures of one validation sample: the model's result, baselines, the truth.

        This one is for samples of an input and its truth. The baseline is the input, enlarged by bicubic interpolation
        where the model enlarges.
        """
        given, truth, name = sample
        if model.scale == 1:
            return Example(name, {cls.evaluation.input_name: given, MODEL: model(given)}, truth)
        from gantools.images.ops.resize import resize_bicubic  # needs cv2

        return Example(name, {"bicubic": resize_bicubic(given, scale=model.scale), MODEL: model(given)}, truth)

    @abstractmethod
    def preview(self, batch: B) -> Mapping[str, Tensor]:
        """Columns of the sample sheet: name → images of the batch (Shapes: [N, 3, H, W]; Range: [-1, 1])."""

    def monitored_pairs(self, batch: B, outputs: O) -> Mapping[str, tuple[Tensor, Tensor]]:  # noqa: ARG002
        """What each generator made, and images whose brightness it should follow: the health monitor compares them.

        Shapes: (N, C, H, W) both, the sizes may differ from one name to the next.
        """
        return {}

    def composed(self) -> Mapping[str, nn.Module]:
        """Networks put together from parts that learn under names of their own; an export may name one of them."""
        return {}

    def frozen(self) -> Mapping[str, nn.Module]:
        """Networks that never learn (feature networks): moved to the device, kept out of checkpoints."""
        return {}

    def extra_state(self) -> dict[str, Any]:
        """Whatever else a checkpoint must hold (an image pool)."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``extra_state`` gave."""
        if state:
            raise ValueError(f"{type(self).__name__} keeps no extra state, the checkpoint has {sorted(state)}")


def initialize(scheme: Initialization, *networks: nn.Module) -> None:
    """Give ``networks`` their first weights by the named scheme."""
    start = import_module("gantools.models.initialization").initialize
    for network in networks:
        start(network, scheme)


def describe_generator(
    name: str,
    network: nn.Module,
    options: Options,
    trained_px: int,
    mode: Literal["eval", "train"] = "eval",
    data: Options | None = None,
) -> Export:
    """The export of a generator, from its options, the network itself and the run's ``data`` section."""
    export: type[Export] = import_module("gantools.checkpoint.weights").Export
    generator = cast("Generator", network)
    return export(
        network=name,
        options=options.model_dump(mode="json"),
        scale=generator.scale,
        size_multiple=generator.size_multiple,
        minimum_size_px=generator.minimum_size_px,
        mode=mode,
        trained_px=trained_px,
        **(learnt_scale(data.model_dump(mode="json")) if data is not None else {}),
    )


def networks_of(stages: list[Stage]) -> dict[str, nn.Module]:
    """Every network that plays or is frozen in any of the stages, by name."""
    return {
        name: network
        for stage in stages
        for networks in (*(player.networks for player in stage.players.values()), stage.frozen)
        for name, network in networks.items()
    }


def exported_networks(recipe: Recipe[Any, Any], networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The network of each export, by the export's name: one of ``networks``, or one composed of them."""
    known = {**networks, **recipe.composed()}
    return {name: known[export.network] for name, export in recipe.exports().items()}
