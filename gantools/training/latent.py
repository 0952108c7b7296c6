"""The base of recipes whose images start from a latent vector: drawing it, validation, sample sheets, the export."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gantools.config.schema import RunConfig
from gantools.data import DATASETS
from gantools.models import LATENT_GENERATORS
from gantools.training.recipe import Judged, LossTerms, Player, Recipe, Stage
from gantools.training.turns import Alternate

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from gantools.checkpoint.weights import Export, Latent
    from gantools.data.loading.batches import LabelledImages
    from gantools.data.loading.dataset import Dataset
    from gantools.losses.adversarial import AdversarialLoss


SHOWN = 8
"""Images in a row of a sample sheet."""


@dataclass(frozen=True)
class Drawn:
    """Images, what they were made from, and the labels or texts that they were asked to show."""

    fake: Tensor
    latent: Tensor
    condition: Tensor | None = None


class LatentRecipe(Recipe["LabelledImages", Drawn]):
    """A recipe with one ``generator`` from latent vectors to images; ``latent`` is what it is given.

    Unless a recipe says otherwise it has one stage, in which ``discriminator`` and generator take turns at ``gan``.
    """

    generator: nn.Module
    discriminator: Any
    gan: AdversarialLoss
    config: Any
    level = -1
    """Which of the generator's sizes is trained at present; the last one unless a recipe says otherwise."""
    config_type: ClassVar[type[RunConfig]]

    def build_generator(self, name: str, **arguments: Any) -> None:
        """Make ``generator`` from the table of latent generators; ``arguments`` are all it takes to make it again."""
        self._described = {"name": name, **arguments}
        self.generator = LATENT_GENERATORS.factory(name)(**arguments)

    @property
    @abstractmethod
    def latent(self) -> Latent:
        """What the generator makes images from."""

    def stages(self) -> Iterator[Stage]:
        networks = {"generator": self.generator}, {"discriminator": self.discriminator}
        yield Stage("adversarial", Alternate("discriminator", "generator"), self.players(*networks))

    def players(
        self, generator: Mapping[str, nn.Module], discriminator: Mapping[str, nn.Module]
    ) -> Mapping[str, Player]:
        """The two players with their networks."""
        return {
            "generator": Player(generator, self.generator_loss),
            "discriminator": Player(discriminator, self.discriminator_loss),
        }

    def generator_loss(self, batch: LabelledImages, drawn: Any) -> LossTerms:  # noqa: ARG002 (a player's)
        return LossTerms(adversarial=self.gan.fool(self.scores(drawn.fake, drawn.condition)))

    def discriminator_loss(self, batch: LabelledImages, drawn: Any) -> LossTerms:
        """Real and fake images go through the network apart, each with its own label, where there is one."""
        real = self.scores(self.real(batch), self.condition_of(batch))
        fake = self.scores(drawn.fake.detach(), drawn.condition)
        return with_logits(LossTerms(adversarial=self.gan.judge(real, fake)), real, fake)

    def scores(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """The discriminator's logits of images, which ``model.augmentation`` changes before it sees them."""
        logits: Tensor = self.discriminator(self.augmented(image), condition)
        return logits

    def augmented(self, image: Tensor) -> Tensor:
        """Images as the discriminator sees them."""
        policies = getattr(self.config.model, "augmentation", ())
        if not policies:
            return image
        from gantools.training.augment import augment  # needs torch

        return augment(image, policies)

    @property
    def image_px(self) -> tuple[int, int]:
        """Height and width of the images."""
        px: tuple[int, int] = self.config.data.image_px
        return px

    def forward(self, batch: LabelledImages) -> Drawn:
        latent = draw_latent(self.latent, len(batch.image), batch.image.device)
        condition = self.condition_of(batch)
        return Drawn(self.make(latent, condition), latent, condition)

    def make(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        """Images from latent vectors."""
        made: Tensor = self.generator(latent) if condition is None else self.generator(latent, condition)
        return made

    def condition_of(self, batch: LabelledImages) -> Tensor | None:
        """What fakes are asked to show: the labels or texts of a batch, where the generator reads them."""
        return batch.condition if self.latent.classes or self.latent.text_size else None

    def monitored_pairs(self, batch: LabelledImages, outputs: Drawn) -> Mapping[str, tuple[Tensor, Tensor]]:
        return {"fake": (outputs.fake, self.real(batch))}

    def real(self, batch: LabelledImages) -> Tensor:
        """Real images as large as those that are made at present."""
        return batch.image

    def exports(self) -> Mapping[str, Export]:
        from gantools.checkpoint.weights import Export  # needs torch

        described = Export(
            "generator", self._described, 1, 1, takes="latent", latent=self.latent, image_px=self.image_px
        )
        return {"generator": described}

    @classmethod
    def completed(cls, config: Any, training: Dataset) -> Any:
        """Names of classes and words as the training images have them, so that a run keeps them."""
        known = {name: getattr(training, name) or None for name in ("classes", "vocabulary")}
        return config.model_copy(update={"data": config.data.model_copy(update=known)})

    @classmethod
    def dataset(cls, config: Any, split: Literal["training", "validation"]) -> Dataset:
        return DATASETS.factory("labelled")(config.data, split=split, seed=config.seed)

    def validate(self, batch: LabelledImages) -> Judged:
        """An image from a vector of its own for each validation image; the sets are compared, not the images."""
        fake, real = self.fixed(batch), self.real(batch)
        return Judged(fake, real, {}, self.vectors(fake, real))

    def vectors(self, fake: Tensor, real: Tensor) -> Mapping[str, list[tuple[Tensor, Tensor]]]:
        """Features whose Fréchet distance is reported: the images themselves, shrunk to about 8 × 8."""
        from torch.nn.functional import adaptive_avg_pool2d

        small = [adaptive_avg_pool2d(images.float(), 8).flatten(1)[0] for images in (fake, real)]
        return {"frechet_8px": [(small[0], small[1])]}

    def preview(self, batch: LabelledImages) -> Mapping[str, Tensor]:
        """A row of images of what a validation image's label or text says, each from a vector of its own."""
        from torch import cat  # recipes are listed and checked without torch

        shown = {"generated": cat([self.fixed(batch, each) for each in range(SHOWN)], dim=3), "data": self.real(batch)}
        return {name: image.expand(-1, 3, -1, -1) for name, image in shown.items()}

    def fixed(self, batch: LabelledImages, number: int = 0) -> Tensor:
        """Images from the same latent vectors every time: seeded by the names of a batch's files and a number."""
        names = tuple(f"{name}#{number}" for name in batch.names) if number else batch.names
        latent, condition = fixed_latent(self.latent, names, batch.image.device), self.condition_of(batch)
        if self.latent.levels == 1:
            return self.make(latent, condition).float().clamp(-1, 1)
        steps: Any = self.generator.steps
        image: Tensor = steps(latent, condition)[self.level]
        return image.float().clamp(-1, 1)


def draw_latent(latent: Latent, count: int, device: torch.device) -> Tensor:
    """Random latent vectors from torch's stream. Shapes: (count, latent.size)."""
    return _assembled(latent, count, device, None)


def fixed_latent(latent: Latent, names: tuple[str, ...], device: torch.device) -> Tensor:
    """Latent vectors that names decide, one each. Shapes: (len(names), latent.size)."""
    import torch

    rows = []
    for name in names:
        seeded = torch.Generator().manual_seed(
            int.from_bytes(sha256(name.encode(errors="surrogateescape")).digest()[:7])
        )
        rows.append(_assembled(latent, 1, torch.device("cpu"), seeded))
    return torch.cat(rows).to(device)


def _assembled(latent: Latent, count: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Noise, one-hot codes, uniform codes."""
    import torch

    options: dict[str, Any] = {"device": device, "generator": generator}
    normal = latent.distribution == "normal"
    noise = (
        torch.randn(count, latent.noise_size, **options)
        if normal
        else 2 * torch.rand(count, latent.noise_size, **options) - 1
    )
    codes = [
        torch.nn.functional.one_hot(torch.randint(size, (count,), **options), size).float()
        for size in latent.categorical
    ]
    continuous = 2 * torch.rand(count, latent.continuous, **options) - 1
    return torch.cat((noise, *codes, continuous), dim=1)


def with_logits(terms: LossTerms, real: Tensor, fake: Tensor) -> LossTerms:
    """The terms of a discriminator with its mean logits beside them, for the health monitor."""
    return terms.with_metrics(real_logit=real.detach().mean(), fake_logit=fake.detach().mean())
