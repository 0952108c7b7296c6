"""All recipes from noise on the shared loop: steps by hand, resuming, exports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Opened
from torch import Tensor, nn
from torch.nn import functional

from gantools import api
from gantools.checkpoint import state, weights
from gantools.data.loading import loader
from gantools.data.loading.batches import LabelledImages, to_network
from gantools.data.synthetic import digits, drawing
from gantools.errors import ConfigError, DataError, UsageError
from gantools.generation.latents import Sample, vector_of
from gantools.generation.model import open_model
from gantools.images.image import Image
from gantools.images.io import writer
from gantools.models.latent import laplacian, progressive
from gantools.recipes.stackgan import mismatched
from gantools.training import rng, setup
from gantools.training.ada import AdaptiveAugmentation
from gantools.training.augment import augment
from gantools.training.run import metrics_log
from gantools.training.stopping import Limits
from tests.training.runs import counts

SHARED = (
    "data.batch_images=4",
    "data.workers=0",
    "data.validation_share=0.25",
    "train.precision=fp32",
    "train.log_every_steps=1",
    "train.ema_decay=null",
)
DENSE = ("model.generator.dense_units=8", "model.generator.channels=[4, 4]", "model.generator.noise_size=6")
PHASES = ("stay_4", "fade_8", "stay_8", "fade_16", "stay_16")
SMALL = {
    "gan/mnist": (),
    "dcgan/mnist-32": (
        "model.generator.base_channels=2",
        "data.image_px=[16, 8]",
        "model.generator.start=[4, 2]",
        "model.augmentation=[]",
        "stages.adversarial.schedule={name: constant}",
    ),
    "cgan/mnist": DENSE,
    "infogan/mnist": DENSE,
    "lapgan/fashion-32": (
        "model.generator.units=8",
        "model.generator.features=4",
        *(f"stages.{stage}.steps=3" for stage in ("coarse", "detail_1", "detail_2")),
    ),
    "progan/shoes-64": (
        "data.image_px=[16, 16]",
        "model.generator.latent_size=8",
        "model.generator.channel_base=64",
        "model.generator.max_channels=8",
        *(f"stages.{phase}_{side}=null" for side in (32, 64) for phase in ("fade", "stay")),
        *(f"stages.{phase}.steps=2" for phase in PHASES),
    ),
    "stackgan/shoes-64": (
        "data.image_px=[16, 16]",
        "model.generator.first_doublings=1",
        "model.generator.second_doublings=3",
        "model.generator.base_channels=4",
        "model.generator.discriminator_channels=4",
        "model.generator.residual_blocks=1",
        "stages.sketch.steps=3",
        "stages.refine.steps=3",
    ),
    "stylegan2/shoes-32": (
        "data.image_px=[8, 8]",
        "data.labels=required",
        "model.generator.latent_size=6",
        "model.generator.style_size=5",
        "model.generator.channel_base=64",
        "model.generator.max_channels=6",
        "model.r1_every_steps=2",
        "model.path_every_steps=2",
        "train.ema_kimg=null",
    ),
}
ONE_STAGE = ("gan/mnist", "dcgan/mnist-32", "cgan/mnist", "infogan/mnist", "stylegan2/shoes-32")
STEPS = 3


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of drawn digits, one a class, and of drawn shoes with captions."""
    folder = tmp_path_factory.mktemp("latent")
    for number in range(16):
        random = np.random.default_rng(number)
        pixels = digits.draw(random, 28, number % 3)
        writer.write(Image(pixels), folder / "digits" / str(number % 3) / f"{number}.png")
    drawing.draw_dataset("captioned-shoes", folder / "shoes", 16, 16, 0)
    return folder


@pytest.fixture
def small(drawn: Path) -> Callable[..., api.Settings]:
    """``small(preset, *overrides)``: the preset's configuration at toy size."""

    def configure(spec: str, *overrides: str) -> api.Settings:
        length = (f"stages.adversarial.steps={STEPS}",) if spec in ONE_STAGE else ()
        data = drawn / ("shoes" if spec.startswith("stackgan") else "digits")
        return api.configure(spec, data=[str(data)], overrides=[*SHARED, *SMALL[spec], *length, *overrides])

    return configure


def trained(settings: api.Settings, folder: Path, limits: Limits = Limits()):  # noqa: B008
    spec = setup.prepare(settings.recipe, settings.config, "cpu")
    setup.start(spec, settings.tree, folder, limits, None)
    return spec.recipe


def batches(settings: api.Settings, config) -> Iterator[LabelledImages]:
    data = settings.recipe.dataset(config, "training")
    stream = loader.batches(data, batch_images=4, start_batch=0, seed=config.seed, workers=0)
    return (to_network(batch, "cpu") for batch in stream)


def bce(logits: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class Hand:
    """A recipe built anew with Adam written out: D first, then G, one forward pass for both."""

    def __init__(self, settings: api.Settings) -> None:
        spec = setup.prepare(settings.recipe, settings.config, "cpu")
        self.recipe, self.batches = spec.recipe, batches(settings, spec.config)
        rng.separate_ranks(settings.config.seed, 0, 0)

    def train(
        self,
        generator: list[nn.Module],
        discriminator: list[nn.Module],
        costs: Callable[[LabelledImages], tuple[Tensor, Callable[[], Tensor], Callable[[], Tensor]]],
        *,
        steps: int = STEPS,
        rates: tuple[float, float] = (2e-4, 2e-4),
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        """``costs(batch)`` makes the fakes and returns them with the two costs, each computed when it is due."""
        nets = (generator, discriminator)
        adams = [
            torch.optim.Adam([p for net in own for p in net.parameters()], rate, betas, fused=True)
            for own, rate in zip(nets, rates, strict=True)
        ]
        for net in (*generator, *discriminator):
            net.train()
        for _, batch in zip(range(steps), self.batches, strict=False):
            for own, learns in zip(nets, (True, False), strict=True):
                for net in own:
                    net.requires_grad_(learns)
            _, d_cost, g_cost = costs(batch)
            for turn, cost in ((1, d_cost), (0, g_cost)):
                for own, learns in zip(nets, (turn == 0, turn == 1), strict=True):
                    for net in own:
                        net.requires_grad_(learns)
                adams[turn].zero_grad()
                cost().backward()
                adams[turn].step()


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    for (name, mine), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, other), f"{name}: differs by {(mine.float() - other.float()).abs().max()}"


def assert_near(ours: nn.Module, theirs: nn.Module) -> None:
    """As ``assert_same``, where sums are written in another order: Adam makes whole steps of the rounding of gradients
    that are nearly zero, so that single weights may differ.
    """
    mine, others = (
        torch.cat([value.float().flatten() for value in net.state_dict().values()]) for net in (ours, theirs)
    )
    assert (mine - others).norm() < 1e-3 * others.norm()


@pytest.mark.parametrize("spec", ["gan/mnist", "dcgan/mnist-32"])
def test_gan_and_dcgan_steps_equal_a_hand_written_loop(small, tmp_path: Path, spec: str) -> None:
    ours = trained(small(spec), tmp_path / "run")
    hand = Hand(small(spec))
    g, d = hand.recipe.generator, hand.recipe.discriminator

    def costs(batch):
        fake = g(torch.cat((torch.randn(4, 100), torch.rand(4, 0)), 1))
        return fake, lambda: bce(d(batch.image), 1) + bce(d(fake.detach()), 0), lambda: bce(d(fake), 1)

    hand.train([g], [d], costs, rates=(1e-3 if spec.startswith("dcgan") else 2e-4, 2e-4))
    assert_same(ours.generator, g)
    assert_same(ours.discriminator, d)


def test_cgan_steps_equal_a_hand_written_loop(small, tmp_path: Path) -> None:
    ours = trained(small("cgan/mnist"), tmp_path / "run")
    hand = Hand(small("cgan/mnist"))
    g, d = hand.recipe.generator, hand.recipe.discriminator

    def costs(batch):
        labels = batch.condition[torch.randperm(4)]
        fake = g(2 * torch.rand(4, 6) - 1, labels)
        return (
            fake,
            lambda: bce(d(batch.image, batch.condition), 1) + bce(d(fake.detach(), labels), 0),
            lambda: bce(d(fake, labels), 1),
        )

    hand.train([g], [d], costs)
    assert_same(ours.generator, g)
    assert_same(ours.discriminator, d)


def test_infogan_steps_equal_a_hand_written_loop(small, tmp_path: Path) -> None:
    ours = trained(small("infogan/mnist"), tmp_path / "run")
    hand = Hand(small("infogan/mnist"))
    g, d, q = hand.recipe.generator, hand.recipe.discriminator, hand.recipe.reader

    def costs(batch):
        noise = 2 * torch.rand(4, 6) - 1
        one_hot = functional.one_hot(torch.randint(10, (4,)), 10).float()
        continuous = 2 * torch.rand(4, 2) - 1
        fake = g(torch.cat((noise, one_hot, continuous), 1))

        def information(features: Tensor) -> Tensor:
            read = q(features)
            gaussian = 0.5 * (read[:, 10:] - continuous).square().sum(1).mean()  # unit variance, up to a constant
            return functional.cross_entropy(read[:, :10], one_hot.argmax(1)) + gaussian

        def d_cost() -> Tensor:
            real, features = d(batch.image), d.features(fake.detach())
            return bce(real, 1) + bce(d.logit(features), 0) + information(features)

        def g_cost() -> Tensor:
            features = d.features(fake)
            return bce(d.logit(features), 1) + information(features)

        return fake, d_cost, g_cost

    hand.train([g], [d, q], costs, rates=(1e-3, 2e-4))
    for mine, theirs in ((ours.generator, g), (ours.discriminator, d), (ours.reader, q)):
        assert_near(mine, theirs)


def test_lapgan_levels_learn_alone_from_real_coarse_images(small, tmp_path: Path) -> None:
    settings = small("lapgan/fashion-32")
    ours = trained(settings, tmp_path / "run")
    hand = Hand(settings)
    made, judges = hand.recipe.generators, hand.recipe.discriminators

    def coarse(batch):
        real = laplacian.pyramid(batch.image, 3)[0]
        fake = made[0](2 * torch.rand(4, 100) - 1)
        return fake, lambda: bce(judges[0](real), 1) + bce(judges[0](fake.detach()), 0), lambda: bce(judges[0](fake), 1)

    def detail(level):
        def costs(batch):
            images = laplacian.pyramid(batch.image, 3)
            noise = 2 * torch.rand(4, 1, *images[level].shape[2:]) - 1
            up = laplacian.enlarge(images[level - 1])
            fake, judge = up + made[level](noise, up), judges[level]
            return (
                fake,
                lambda: bce(judge(images[level]), 1) + bce(judge(fake.detach()), 0),
                lambda: bce(judge(fake), 1),
            )

        return costs

    hand.train([made[0]], [judges[0]], coarse)
    for level in (1, 2):
        hand.train([made[level]], [judges[level]], detail(level))
    for mine, theirs in zip((*ours.generators, *ours.discriminators), (*made, *judges), strict=True):
        assert_near(mine, theirs)


def test_progan_fades_in_what_it_makes_and_what_it_sees(small, tmp_path: Path) -> None:
    settings = small("progan/shoes-64")
    ours = trained(settings, tmp_path / "run")
    hand = Hand(settings)
    g, d = hand.recipe.generator, hand.recipe.discriminator
    at = {"level": 0, "step": 0, "fades": False}

    def costs(batch):
        alpha = at["step"] / 2 if at["fades"] else 1.0
        at["step"] += 1
        for net in (g, d):
            net.grow(at["level"], alpha)
        real = functional.avg_pool2d(batch.image, 4 >> at["level"]) if at["level"] < 2 else batch.image
        real = progressive.faded(real, alpha) if alpha < 1 else real
        fake = g(torch.cat((torch.randn(4, 8), torch.rand(4, 0)), 1))

        def d_cost() -> Tensor:
            scores = d(real)
            cost = d(fake.detach()).mean() - scores.mean()
            share = torch.rand(4, 1, 1, 1)
            between = real.lerp(fake.detach(), share).requires_grad_()
            (gradient,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
            cost = cost + 10 * (torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1).square().mean()
            return cost + 0.001 * scores.square().mean()

        return fake, d_cost, lambda: -d(fake).mean()

    for phase in PHASES:
        at.update(level={"4": 0, "8": 1, "16": 2}[phase.split("_")[1]], step=0, fades=phase.startswith("fade"))
        hand.train([g], [d], costs, steps=2, rates=(1e-3, 1e-3), betas=(0.0, 0.99))
    for mine, theirs in ((ours.generator, g), (ours.discriminator, d)):
        assert_near(mine, theirs)


def test_both_stages_of_stackgan_equal_a_hand_written_loop(small, tmp_path: Path) -> None:
    settings = small("stackgan/shoes-64", "stages.refine.steps=1")
    ours = trained(settings, tmp_path / "run")
    hand = Hand(settings)
    first, second, judges = hand.recipe.generator.first, hand.recipe.generator.second, hand.recipe.discriminators

    def costs(stage: int):
        def of(batch):
            text = batch.condition
            latent = torch.cat((torch.randn(4, hand.recipe.latent.size), torch.rand(4, 0)), 1)
            fake, code = first.draw(latent[:, : first.latent_size], text)
            if stage:
                fake, code = second(fake.detach(), latent[:, first.latent_size :], text)
            real = batch.image if stage else functional.avg_pool2d(batch.image, 2)
            wrong = text.roll(-1, 0)  # all captions of these batches differ
            assert (wrong != text).any(1).all()

            def d_cost() -> Tensor:
                right, made = judges[stage](real, text), judges[stage](fake.detach(), text)
                return (bce(right, 1) + bce(made, 0)) / 2 + (bce(right, 1) + bce(judges[stage](real, wrong), 0)) / 2

            def g_cost() -> Tensor:
                variance = (2 * code.log_deviation).exp()
                divergence = 0.5 * (code.mean**2 + variance - 1 - variance.log()).mean()
                return bce(judges[stage](fake, text), 1) + 2.0 * divergence

            return fake, d_cost, g_cost

        return of

    hand.train([first], [judges[0]], costs(0))
    first.eval().requires_grad_(False)
    hand.train([second], [judges[1]], costs(1), steps=1)
    for mine, theirs in zip(ours.discriminators, judges, strict=True):
        assert_near(mine, theirs)
    assert_near(ours.generator, hand.recipe.generator)


def test_a_text_goes_with_the_next_one_that_differs() -> None:
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    other, differs = mismatched(texts)
    assert torch.equal(other, texts[[2, 2, 3, 2]])
    assert differs == 1
    same, differs = mismatched(texts[:2])
    assert torch.equal(same, texts[:2])
    assert differs == 0


def test_the_second_stage_leaves_the_first_as_it_is(small, tmp_path: Path) -> None:
    sketch = weights.load(_after(small, "stackgan/shoes-64", tmp_path / "a", 3))
    whole = weights.load(_after(small, "stackgan/shoes-64", tmp_path / "b", 6))
    tensors = sketch.tensors["generator"].items()
    for key, value in tensors:
        same = torch.equal(value, whole.tensors["generator"][key])
        assert same == key.startswith("first.") or not value.is_floating_point() or "running" in key


def test_stylegan2_steps_equal_a_hand_written_loop(small, tmp_path: Path) -> None:
    """Style mixing, lazy R1 and path length, the mean style, DiffAugment, labels, and an average by images seen."""
    settings = small(
        "stylegan2/shoes-32",
        "train.ema_kimg=0.0015",
        "model.mixing=0.7",
        "model.r1_weight=10",
        "train.memory_format=contiguous",
    )
    ours = trained(settings, tmp_path / "run")
    hand = Hand(settings)
    g, d = hand.recipe.generator, hand.recipe.discriminator
    average = {key: value.clone() for key, value in g.state_dict().items()}
    start = [{key: value.clone() for key, value in net.state_dict().items()} for net in (g, d)]
    at = {"step": 0, "path": torch.zeros(())}
    seen = partial(augment, policies=("color", "translation", "cutout"))

    def style(labels: Tensor) -> Tensor:
        return g.mapping(torch.cat((torch.randn(len(labels), 6), torch.rand(len(labels), 0)), 1), labels)

    def mixed(labels: Tensor, *, follow: bool) -> Tensor:
        first = style(labels)
        if follow:
            g.mapping.running_mean.copy_(0.995 * g.mapping.running_mean + 0.005 * first.detach().mean(0))
        rows = first[:, None].repeat(1, 4, 1)
        if torch.rand(()) < 0.7:
            cut = int(torch.randint(1, 4, ()))
            rows = torch.cat((rows[:, :cut], style(labels)[:, None].repeat(1, 4 - cut, 1)), 1)
        return rows

    def costs(batch):
        step = at["step"]
        if step:
            follow_average(step - 1)
        labels = batch.condition[torch.randperm(4)]
        fake = g.synthesis(mixed(labels, follow=True), "random")

        def d_cost() -> Tensor:
            real = seen(batch.image)
            cost = bce(d(real, batch.condition), 1) + bce(d(seen(fake.detach()), labels), 0)
            if step % 2 == 0:
                real = real.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(d(real, batch.condition).sum(), real, create_graph=True)
                cost = cost + 10 / 2 * 2 * gradient.square().sum((1, 2, 3)).mean()
            return cost

        def g_cost() -> Tensor:
            cost = bce(d(seen(fake), labels), 1)
            at["step"] += 1
            if step % 2:
                return cost
            rows = mixed(labels[:2], follow=False)
            image = g.synthesis(rows, "random")
            (gradient,) = torch.autograd.grad((image * (torch.randn(image.shape) / 8)).sum(), rows, create_graph=True)
            lengths = gradient.square().sum(2).mean(1).sqrt()
            mean = at["path"] * 0.99 + lengths.mean() * 0.01
            at["path"] = mean.detach()
            return cost + 2 * 2 * (lengths - mean).square().mean()

        return fake, d_cost, g_cost

    def follow_average(step: int) -> None:
        decay = min(0.5 ** (4 / 1.5), (1 + step) / (10 + step))
        for key, value in g.state_dict().items():
            average[key] = value.clone() if key.endswith("noise") else decay * average[key] + (1 - decay) * value

    hand.train([g], [d], costs, rates=(2.5e-3, 2.5e-3), betas=(0.0, 0.99))
    follow_average(STEPS - 1)
    for mine, other, before in zip((ours.generator, ours.discriminator), (g, d), start, strict=True):
        for key, value in other.state_dict().items():
            moved = value - before[key]
            assert (mine.state_dict()[key] - value).norm() <= 0.02 * moved.norm() + 1e-6, key
    exported = weights.load(tmp_path / "run" / "weights" / "last.safetensors").tensors["generator"]
    for key, value in average.items():
        assert torch.allclose(exported[key], value, rtol=1e-3, atol=1e-4), key


def test_ada_follows_overfitting(small, tmp_path: Path) -> None:
    """The probability rises when real images are told apart too well, by 4 batches · images / kimg, and is saved."""
    settings = small("stylegan2/shoes-32", "model.augmentation=ada", "model.ada_kimg=0.1", "stages.adversarial.steps=9")
    recipe = trained(settings, tmp_path / "run")
    assert recipe.ada.probability in (torch.tensor(0.0), *(torch.tensor(steps * 16 / 100) for steps in (1, 2)))
    ada = AdaptiveAugmentation(target=0.6, kimg=0.1)
    for score, wanted in [(1.0, 0.16), (1.0, 0.32), (-1.0, 0.16)]:
        for _ in range(4):
            ada.adjust(torch.full((4, 1), score))
        assert ada.probability.item() == pytest.approx(wanted)
    image = torch.rand(8, 3, 8, 8) * 2 - 1
    ada.probability.fill_(0)
    assert torch.allclose(ada(image), image, atol=1e-5)
    ada.probability.fill_(1)
    changed = ada(image.requires_grad_())
    assert changed.shape == image.shape
    assert not torch.allclose(changed, image, atol=0.1)
    changed.sum().backward()
    assert image.grad is not None
    ada.probability.fill_(0.5)
    both = ada._happens(torch.ones(200, 2), 0)
    assert set(both.sum(dim=1).tolist()) == {0, 2}, "a shift happens to both axes of an image, or to none"


def test_augmentation_and_frozen_layers_of_stylegan2(small, tmp_path: Path) -> None:
    recipe = trained(small("stylegan2/shoes-32", "model.freeze_levels=1"), tmp_path / "run")
    assert recipe.options.augmentation == ("color", "translation", "cutout"), "auto, with 12 images"
    assert recipe.r1_weight == pytest.approx(0.0002 * 8 * 8 / 4)
    before = setup.prepare(
        *(lambda settings: (settings.recipe, settings.config))(small("stylegan2/shoes-32")), "cpu"
    ).recipe.discriminator.state_dict()
    after = recipe.discriminator.state_dict()
    frozen = {key for key in after if torch.equal(after[key], before[key])}
    assert {key.partition(".")[0] for key in frozen} >= {"from_image", "levels"}
    assert not any(key.startswith(("last", "dense", "score")) for key in frozen)


def _after(small, spec: str, folder: Path, steps: int) -> Path:
    trained(small(spec), folder, Limits(max_steps=steps))
    return folder / "weights" / "last.safetensors"


@pytest.mark.parametrize("spec", SMALL)
def test_a_run_that_stopped_goes_on_bit_for_bit(small, tmp_path: Path, spec: str) -> None:
    longer = {"progan/shoes-64": ["stages.fade_8.accumulate_batches=2"]}.get(spec, [])
    settings = small(spec, "train.ema_decay=0.9", *longer)
    stop = {"progan/shoes-64": 3, "lapgan/fashion-32": 5, "stackgan/shoes-64": 4}.get(spec, 2)
    trained(settings, tmp_path / "whole")
    trained(settings, tmp_path / "halves", Limits(max_steps=stop))
    api.resume(tmp_path / "halves", device="cpu")
    whole, halves = (weights.load(tmp_path / run / "weights" / "last.safetensors") for run in ("whole", "halves"))
    for key, value in whole.tensors["generator"].items():
        assert torch.equal(value, halves.tensors["generator"][key]), key


@pytest.mark.parametrize("spec", SMALL)
def test_exports_generate_without_the_recipe(small, tmp_path: Path, spec: str) -> None:
    recipe = trained(small(spec), tmp_path / "run")
    _, width = recipe.image_px
    assert Opened.open(max((tmp_path / "run" / "samples").iterdir())).size[0] == 9 * width + 3 * 4
    model = open_model(tmp_path / "run" / "weights" / "last.safetensors")
    latent = model.latent
    assert latent == recipe.latent
    condition = None
    if latent.classes or latent.text_size:
        condition = np.eye(len(latent.classes) or latent.text_size, dtype=np.float32)[0]
    (image,) = model.images([Sample("seed0000", vector_of(latent, 0), condition)])
    assert image.shape[:2] == model.export.image_px == recipe.image_px
    assert len(model.steps(Sample("seed0000", vector_of(latent, 0), condition))) == latent.levels


def test_classes_and_words_belong_to_a_run(small, tmp_path: Path) -> None:
    trained(small("cgan/mnist"), tmp_path / "digits")
    trained(small("stackgan/shoes-64"), tmp_path / "shoes")
    assert api.read_config(tmp_path / "digits" / "config.yaml").config.data.classes == ("0", "1", "2")
    assert "sole" in api.read_config(tmp_path / "shoes" / "config.yaml").config.data.vocabulary


def test_only_wanted_digits_are_learnt(small, tmp_path: Path) -> None:
    recipe = trained(small("cgan/mnist", 'data.classes=["2", "0"]'), tmp_path / "run")
    assert recipe.latent.classes == ("2", "0")


@pytest.mark.parametrize(
    ("spec", "override", "message"),
    [
        ("dcgan/mnist-32", "data.image_px=[24, 8]", "is not 4x2 .* nearest are"),
        ("lapgan/fashion-32", "data.image_px=[30, 32]", "multiples of 4"),
        ("lapgan/fashion-32", "model.generator.levels=2", "2 levels .* have coarse, detail_1"),
        ("progan/shoes-64", "data.image_px=[16, 8]", "makes squares of"),
        ("progan/shoes-64", "data.image_px=[32, 32]", "32 px have stay_4"),
        ("stackgan/shoes-64", "data.image_px=[64, 64]", "makes 16x16 px"),
        ("stylegan2/shoes-32", "data.image_px=[24, 24]", "makes squares of"),
        ("stylegan2/shoes-32", "model.augmentation=[blur]", "augmentation"),
        ("stylegan2/shoes-32", "model.freeze_levels=2", "at 8 px the discriminator has 1 above"),
        ("stylegan2/shoes-32", "train.ema_kimg=3 train.ema_decay=0.9", "either as ema_decay or as ema_kimg"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(small, spec: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(spec, *re.split(" (?=train)", override))


def test_missing_labels_and_captions_are_refused(small, drawn: Path) -> None:
    shoes_only = [str(drawn / "shoes")]
    for spec, needs in {"cgan/mnist": "needs classes", "stackgan/shoes-64": "needs captions"}.items():
        data = shoes_only if spec.startswith("cgan") else [str(drawn / "digits")]
        settings = api.configure(spec, data=data, overrides=[*SHARED, *SMALL[spec]])
        with pytest.raises(DataError, match=needs):
            setup.prepare(settings.recipe, settings.config, "cpu")


def test_a_stage_has_a_batch_size_of_its_own(small, tmp_path: Path) -> None:
    length = ("stages.stay_4.steps=null", "stages.stay_4.kimg=0.016")
    trained(small("progan/shoes-64", "stages.stay_4.accumulate_batches=2", *length), tmp_path / "run")
    rows = metrics_log.read(tmp_path / "run" / "metrics.jsonl")
    assert [row["stage"] for row in rows if "loss/generator/adversarial" in row].count("stay_4") == 2
    position = state.newest(tmp_path / "run" / "checkpoints")[1]["position"]
    assert (position["step"], position["batches"]) == (10, 12)


EVALUATED = {
    "cgan/mnist": {"frechet_classifier", "precision", "recall", "classes_seen", "label_accuracy", "detail"},
    "infogan/mnist": {"code_accuracy", "c2_correlation", "c3_correlation"},
    "stackgan/shoes-64": {"kind_accuracy", "main_accuracy", "sole_accuracy", "accent_accuracy", "heel_accuracy"},
    "lapgan/fashion-32": {"frechet_classifier", "detail", "diversity", "nearest_training"},
}


@pytest.mark.parametrize("spec", EVALUATED)
def test_samples_are_measured_beside_held_out_images(small, drawn: Path, tmp_path: Path, spec: str) -> None:
    trained(small(spec, "data.validation_share=0.5"), tmp_path / "run")
    data = drawn / ("shoes" if spec.startswith("stackgan") else "digits")
    found = api.evaluate(tmp_path / "run", data, sheet=str(tmp_path / "sheet.png"))
    means = found.means()
    assert EVALUATED[spec] <= set(means["model"])
    assert found.images == 8
    assert {"held-out images", "model"} <= set(means)
    if spec.startswith("lapgan"):
        assert {"frechet_classifier", "detail"} == set(means["8x8 px"]) == set(means["16x16 px"])
    assert (tmp_path / "sheet.png").is_file()
    again = api.evaluate(tmp_path / "run", data).means()
    assert again == means


def test_models_from_noise_are_compared_on_the_same_seeds(small, drawn: Path, tmp_path: Path) -> None:
    for spec in ("gan/mnist", "cgan/mnist", "stackgan/shoes-64"):
        trained(small(spec), tmp_path / spec.partition("/")[0])
    models = [str(tmp_path / "gan"), str(tmp_path / "cgan")]
    found = api.compare(models, tmp_path / "page.html", truth=str(drawn / "digits"), most=3)
    assert found.shown == 3
    assert "seed 2" in (tmp_path / "page.html").read_text()
    assert found.evaluation is not None
    assert list(found.evaluation.means()) == ["gan", "cgan", "held-out images"]
    image = str(next((drawn / "shoes").glob("*.png")))
    for words, message in (
        ([*models, image], "without images"),
        ([*models, str(tmp_path / "stackgan")], "draws what a text says"),
        ([*models, "srgan", image], "with each other only"),
    ):
        with pytest.raises(UsageError, match=message):
            api.compare(words, tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_transfer_starts_the_discriminator_too_where_the_file_has_one(small, tmp_path: Path) -> None:
    settings = small("stylegan2/shoes-32")
    first = trained(settings, tmp_path / "first")
    described = first.exports()["generator"]
    networks = {"generator": first.generator, "discriminator": first.discriminator}
    for names in (["generator"], ["generator", "discriminator"]):
        held = {name: networks[name] for name in names}
        weights.save(tmp_path / "both.safetensors", "stylegan2", dict.fromkeys(names, described), held, {})
        spec = setup.prepare(settings.recipe, settings.config, "cpu", init_from=tmp_path / "both.safetensors")
        assert_same(spec.recipe.generator, first.generator)
        ours, theirs = (net.discriminator.score.weight for net in (spec.recipe, first))
        assert torch.equal(ours, theirs) == ("discriminator" in names)


@pytest.mark.parametrize("spec", SMALL)
def test_the_host_waits_for_no_number_between_rows(spec: str, small: Callable[..., api.Settings]) -> None:
    more = ("model.augmentation=ada",) if spec.startswith("stylegan2") else ()
    for found in counts(small(spec, *more)).values():
        assert not found.reads
        assert not found.copies
        assert found.row_reads == 1
