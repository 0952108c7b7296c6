"""The steps of every recipe equal a loop written out by hand, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gantools import api
from gantools.data.loading import loader
from gantools.data.loading.batches import Batch, to_network
from gantools.images.imagenet import normalised
from gantools.training.image_pool import ImagePool
from tests.training.runs import assert_same_weights, prepared, trained

PLAIN = ("train.ema_decay=null", "train.memory_format=contiguous")
CONSTANT = "stages.{}.schedule={{name: constant}}"


def first(settings: api.Settings) -> Any:
    """The recipe with the first weights of its networks, in the layout that they are trained in."""
    spec = prepared(settings)
    for stage in spec.recipe.stages():
        for player in stage.players.values():
            for network in player.networks.values():
                spec.runtime.place(network).train()
    return spec.recipe


def batches(settings: api.Settings) -> Iterator[Any]:
    """The batches of the run, in its order."""
    data = settings.recipe.dataset(settings.config, "training")
    images, channels_last = settings.config.data.batch_images, prepared(settings).runtime.channels_last
    stream: Iterator[Batch] = loader.batches(
        data, batch_images=images, start_batch=0, seed=settings.config.seed, workers=0
    )
    return (to_network(batch, "cpu", channels_last=channels_last) for batch in stream)


def adam(*networks: nn.Module, lr: float, beta: float = 0.5) -> torch.optim.Optimizer:
    parameters = chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(parameters, lr, (beta, 0.999), fused=True)


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def bce(logits: Tensor, label: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def square(logits: Tensor, label: float) -> Tensor:
    return ((logits - label) ** 2).mean()


def l1(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()


def test_pix2pix(tiny, tmp_path):
    settings = tiny("pix2pix/shoes-64", "train.ema_decay=null")
    ours, hand = trained(settings, tmp_path / "run"), first(settings)
    g, d = hand.generator, hand.discriminator
    g_adam, d_adam = adam(g, lr=4e-4), adam(d, lr=1e-4)
    for _, batch in zip(range(4), batches(settings), strict=False):
        fake = g(batch.source)
        real_logits = d(torch.cat((batch.source, batch.target), 1))
        fake_logits = d(torch.cat((batch.source, fake.detach()), 1))
        update(d_adam, 0.5 * (square(real_logits, 1) + (fake_logits**2).mean()))
        d.requires_grad_(False)
        update(g_adam, square(d(torch.cat((batch.source, fake), 1)), 1) + 100 * l1(fake, batch.target))
        d.requires_grad_(True)
    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminator, d)


def test_srgan(tiny, tmp_path):
    stages = [CONSTANT.format(stage) for stage in ("pretraining", "adversarial")]
    settings = tiny("srgan/compact", *stages, "model.adversarial={name: vanilla}", "train.ema_decay=null")
    ours, hand, stream = trained(settings, tmp_path / "run"), first(settings), batches(settings)
    g, d = hand.generator, hand.discriminator
    optimizer = adam(g, lr=5e-4, beta=0.9)
    for batch in (next(stream), next(stream)):
        update(optimizer, l1(g(batch.low), batch.high))
    g_adam, d_adam = adam(g, lr=2e-4, beta=0.9), adam(d, lr=1e-4, beta=0.9)
    for batch in (next(stream), next(stream)):
        fake = g(batch.low)
        real_logits, fake_logits = d(batch.high), d(fake.detach())
        update(d_adam, bce(real_logits, 1) + bce(fake_logits, 0))
        d.requires_grad_(False)
        adversarial = bce(d(fake), 1)
        shared = functional.avg_pool2d(functional.pixel_unshuffle(fake - batch.high, 4), 4, stride=1)
        by_place = shared.view(len(fake), 3, 16, *shared.shape[2:])
        lattice = (by_place - by_place.mean(dim=2, keepdim=True)).square().mean()
        update(g_adam, 0.02 * adversarial + 0.3 * l1(fake, batch.high) + 2000 * lattice)
        d.requires_grad_(True)
    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminator, d)


@pytest.mark.parametrize(("identity", "directions", "share"), [(5.0, "sum", 1.0), (0.0, "mean", 0.5)])
def test_cyclegan(tiny, tmp_path, identity, directions, share):
    weights = (f"model.identity_weight={identity}", f"model.directions={directions}")
    settings = tiny("cyclegan/apple2orange-64", *weights, "train.ema_decay=null")
    ours, hand = trained(settings, tmp_path / "run"), first(settings)
    names = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
    ab, ba, da, db = (getattr(hand, name) for name in names)
    g_adam, d_adam = adam(ab, ba, lr=2e-4), adam(da, db, lr=2e-4)
    pool_a, pool_b = (ImagePool(3, settings.config.seed, stream) for stream in range(2))
    for _, batch in zip(range(4), batches(settings), strict=False):
        fake_a, fake_b = ba(batch.b), ab(batch.a)
        back_a, back_b = ba(fake_b), ab(fake_a)
        for discriminator in (da, db):
            discriminator.requires_grad_(False)
        fooled = square(da(fake_a), 1) + square(db(fake_b), 1)
        loss = share * fooled + share * 10.0 * (l1(back_a, batch.a) + l1(back_b, batch.b))
        if identity:
            loss = loss + share * identity * (l1(ba(batch.a), batch.a) + l1(ab(batch.b), batch.b))
        update(g_adam, loss)
        for discriminator in (da, db):
            discriminator.requires_grad_(True)
        old_a, old_b = pool_a.swap(fake_a.detach()), pool_b.swap(fake_b.detach())
        loss = 0.5 * (square(da(batch.a), 1) + square(da(old_a), 0))
        update(d_adam, loss + 0.5 * (square(db(batch.b), 1) + square(db(old_b), 0)))
    for name in names:
        assert_same_weights(getattr(ours, name), getattr(hand, name))


def test_context_encoder(tiny, tmp_path):
    settings = tiny("context_encoder/center-64", CONSTANT.format("adversarial"), *PLAIN)
    ours, hand = trained(settings, tmp_path / "run"), first(settings)
    g, d = hand.generator, hand.discriminator
    g_adam, d_adam = adam(g, lr=5e-4), adam(d, lr=2e-4)
    weights = torch.full((8, 8), 10.0)
    weights[1:7, 1:7] = 1.0
    fill = torch.tensor([117.0, 104.0, 123.0]).view(3, 1, 1) / 127.5 - 1  # as bytes become floats
    for _, batch in zip(range(4), batches(settings), strict=False):
        masked = batch.image.clone()
        masked[:, :, 5:11, 5:11] = fill
        center, fake = batch.image[:, :, 4:12, 4:12], g.predict(masked)
        update(d_adam, bce(d(center), 1) + bce(d(fake.detach()), 0))
        d.requires_grad_(False)
        update(g_adam, 0.0001 * bce(d(fake), 1) + 0.9999 * ((fake - center).square() * weights).mean())
        d.requires_grad_(True)
    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminator, d)


def test_deblurring_with_five_critic_turns_to_one(tiny, tmp_path):
    settings = tiny("deblur/motion", CONSTANT.format("adversarial"), "train.ema_decay=null")
    ours, hand = trained(settings, tmp_path / "run"), first(settings)
    g, d = hand.generator, hand.discriminators["discriminator"]
    g_adam, d_adam = adam(g, lr=1e-4), adam(d, lr=1e-4)
    for _, batch in zip(range(10), batches(settings), strict=False):
        fake = g(batch.degraded)
        for _ in range(5):
            real_scores, fake_scores = d(batch.clean), d(fake.detach())
            between = batch.clean.lerp(fake.detach(), torch.rand(2, 1, 1, 1)).requires_grad_()
            slope = torch.autograd.grad(d(between).reshape(2, -1).mean(1).sum(), between, create_graph=True)[0]
            penalty = ((torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1) ** 2).mean()
            update(d_adam, fake_scores.mean() - real_scores.mean() + 10 * penalty)
        d.requires_grad_(False)
        update(g_adam, -d(fake).mean() + 100 * l1(fake, batch.clean))
        d.requires_grad_(True)
    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.discriminators["discriminator"], d)


def test_deblurring_by_content(tiny, tmp_path):
    unclipped = "stages.content.optimizers.generator.clip_norm=null"
    settings = tiny("deblur/compact", CONSTANT.format("content"), unclipped, *PLAIN)
    ours, g = trained(settings, tmp_path / "run"), first(settings).generator
    optimizer = adam(g, lr=5e-4, beta=0.9)
    for _, batch in zip(range(3), batches(settings), strict=False):
        update(optimizer, ((g(batch.degraded) - batch.clean).square() + 1e-6).sqrt().mean())
    assert_same_weights(ours.generator, g)


def pixel(fake: Tensor, clean: Tensor) -> Tensor:
    return (normalised(fake) - normalised(clean)).square().mean()


def adamw(parameters: Any, lr: float, betas: tuple[float, float] = (0.9, 0.999), decay: float = 0.01) -> Any:
    return torch.optim.AdamW(parameters, lr, betas, weight_decay=decay, fused=True)


@pytest.mark.filterwarnings("ignore:model.encoder_weights")
def test_the_nogan_schedule(tiny, tmp_path, nogan):
    settings = tiny("restore/crappify-64", *nogan)
    ours, hand, stream = trained(settings, tmp_path / "run"), first(settings), batches(settings)
    g, c = hand.generator, hand.critic

    def pretrain(optimizer: torch.optim.Optimizer) -> None:
        for batch in (next(stream), next(stream)):
            update(optimizer, pixel(g(batch.degraded), batch.clean))

    def judge(optimizer: torch.optim.Optimizer) -> None:
        batch = next(stream)
        g.eval()
        c.requires_grad_(True).train()
        with torch.no_grad():
            fake = g(batch.degraded)
        real_logits, fake_logits = c(normalised(batch.clean)), c(normalised(fake))
        update(optimizer, 0.5 * (bce(real_logits, 1) + bce(fake_logits, 0)))

    g.encoder.requires_grad_(False).eval()
    g.decoder.train()
    pretrain(adamw(g.decoder.parameters(), 0.01))
    g.requires_grad_(True).train()
    parts = ((g.encoder.early, 1e-4), (g.encoder.late, 5e-4), (g.decoder, 1e-3))
    pretrain(adamw([{"params": part.parameters(), "lr": lr} for part, lr in parts], 0.001))
    optimizer = adamw(c.parameters(), 0.01)
    judge(optimizer)
    judge(optimizer)
    g_adam, c_adam = (adamw(each.parameters(), lr, (0.0, 0.99), 1e-3) for each, lr in ((g, 1e-4), (c, 5e-4)))
    for _ in range(2):  # the critic always reaches the threshold of 10
        judge(c_adam)
        batch = next(stream)
        g.requires_grad_(True).train()
        c.requires_grad_(False).eval()
        fake = g(batch.degraded)
        update(g_adam, bce(c(normalised(fake)), 1) + 50 * pixel(fake, batch.clean))
    assert_same_weights(ours.generator, g)
    assert_same_weights(ours.critic, c)
