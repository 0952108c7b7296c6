"""Training steps as one writes them by hand: fp32, torch's default Adam, nothing of ours but networks and loss terms.

They are what the loop is measured against, and what its losses must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gantools.config.schema import AdamWOptions
from gantools.images.imagenet import normalised

Losses = Mapping[str, Tensor]
Step = Callable[[Any], Losses]


def step_of(recipe: Any, stage: str, optimizers: Any) -> Step:
    """A hand-written step of a stage of ``recipe``. Raises KeyError for a stage that none was written for."""
    return _STEPS[recipe.config.recipe, stage](recipe, optimizers)


def known() -> list[tuple[str, str]]:
    """Recipes and stages with a hand-written step."""
    return list(_STEPS)


def _adam(options: Any, *networks: nn.Module) -> torch.optim.Optimizer:
    weights = [weight for network in networks for weight in network.parameters()]
    if isinstance(options, AdamWOptions):
        return torch.optim.AdamW(weights, options.lr, options.betas, options.eps, options.weight_decay)
    return torch.optim.Adam(weights, options.lr, options.betas, options.eps)


def _pix2pix(recipe: Any, optimizers: Any) -> Step:
    generator, discriminator, gan, options = recipe.generator, recipe.discriminator, recipe.gan, recipe.options
    slow, fast = _adam(optimizers.generator, generator), _adam(optimizers.discriminator, discriminator)

    def step(batch: Any) -> Losses:
        fake = generator(batch.source)
        real_logits = discriminator(torch.cat((batch.source, batch.target), 1))
        fake_logits = discriminator(torch.cat((batch.source, fake.detach()), 1))
        judged = options.discriminator_weight * gan.judge(real_logits, fake_logits)
        _improve(fast, judged)
        discriminator.requires_grad_(False)
        logits = discriminator(torch.cat((batch.source, fake), 1))
        drawn = gan.fool(logits) + options.pixel_weight * (fake - batch.target).abs().mean()
        _improve(slow, drawn)
        discriminator.requires_grad_(True)
        return {"discriminator": judged.detach(), "generator": drawn.detach()}

    return step


def _cyclegan(recipe: Any, optimizers: Any) -> Step:
    a_to_b, b_to_a, judge_a, judge_b = recipe.a_to_b, recipe.b_to_a, recipe.discriminator_a, recipe.discriminator_b
    gan, options = recipe.gan, recipe.options
    slow, fast = _adam(optimizers.generator, a_to_b, b_to_a), _adam(optimizers.discriminator, judge_a, judge_b)

    def generated(batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        fake_a, fake_b = b_to_a(batch.b), a_to_b(batch.a)
        fooled = gan.fool(judge_a(fake_a)) + gan.fool(judge_b(fake_b))
        cycle = (b_to_a(fake_b) - batch.a).abs().mean() + (a_to_b(fake_a) - batch.b).abs().mean()
        loss = fooled + options.cycle_weight * cycle
        if options.identity_weight:
            same = (b_to_a(batch.a) - batch.a).abs().mean() + (a_to_b(batch.b) - batch.b).abs().mean()
            loss = loss + options.identity_weight * same
        return fake_a, fake_b, recipe.share * loss

    def step(batch: Any) -> Losses:
        for judge in (judge_a, judge_b):
            judge.requires_grad_(False)
        fake_a, fake_b, made = generated(batch)
        _improve(slow, made)
        for judge in (judge_a, judge_b):
            judge.requires_grad_(True)
        old_a, old_b = recipe.pool_a.swap(fake_a.detach()), recipe.pool_b.swap(fake_b.detach())
        judged = gan.judge(judge_a(batch.a), judge_a(old_a)) + gan.judge(judge_b(batch.b), judge_b(old_b))
        _improve(fast, options.discriminator_weight * judged)
        return {"generator": made.detach(), "discriminator": options.discriminator_weight * judged.detach()}

    return step


def _enlarging(recipe: Any, optimizers: Any) -> Step:
    """SRGAN's pretraining."""
    generator, adam = recipe.generator, _adam(optimizers.generator, recipe.generator)

    def step(batch: Any) -> Losses:
        loss = recipe.pixel(generator(batch.low), batch.high)
        _improve(adam, loss)
        return {"generator": loss.detach()}

    return step


def _srgan(recipe: Any, optimizers: Any) -> Step:
    generator, discriminator, gan, options = recipe.generator, recipe.discriminator, recipe.gan, recipe.options
    slow, fast = _adam(optimizers.generator, generator), _adam(optimizers.discriminator, discriminator)

    def step(batch: Any) -> Losses:
        fake = generator(batch.low)
        judged = gan.judge(discriminator(batch.high), discriminator(fake.detach()))
        _improve(fast, judged)
        discriminator.requires_grad_(False)
        real = discriminator(batch.high) if options.adversarial.name == "relativistic" else None
        made = options.adversarial_weight * gan.fool(discriminator(fake), real)
        made = made + options.pixel_weight * recipe.pixel(fake, batch.high)
        if recipe.perceptual:
            made = made + options.perceptual_weight * recipe.perceptual(fake, batch.high)
        _improve(slow, made)
        discriminator.requires_grad_(True)
        return {"discriminator": judged.detach(), "generator": made.detach()}

    return step


def _context_encoder(recipe: Any, optimizers: Any) -> Step:
    generator, discriminator, gan, options = recipe.generator, recipe.discriminator, recipe.gan, recipe.options
    slow, fast = _adam(optimizers.generator, generator), _adam(optimizers.discriminator, discriminator)

    def step(batch: Any) -> Losses:
        made = generator(batch.shown)
        real, fake = recipe.judged(batch.image), recipe.judged(recipe.shown(batch, made))
        judged = gan.judge(discriminator(real), discriminator(fake.detach()))
        _improve(fast, judged)
        discriminator.requires_grad_(False)
        fooled = options.adversarial_weight * gan.fool(discriminator(fake))
        loss = fooled + options.pixel_weight * recipe.pixel(batch, made)
        _improve(slow, loss)
        discriminator.requires_grad_(True)
        return {"discriminator": judged.detach(), "generator": loss.detach()}

    return step


def _deblur(recipe: Any, optimizers: Any) -> Step:
    generator, options = recipe.generator, optimizers.generator
    adam = _adam(options, generator)

    def step(batch: Any) -> Losses:
        loss = recipe.options.pixel_weight * recipe.pixel(generator(batch.degraded), batch.clean)
        _improve(adam, loss, options.clip_norm)
        return {"generator": loss.detach()}

    return step


def _restore(recipe: Any, optimizers: Any) -> Step:
    """The generator's pretraining with everything learning."""
    generator, adam = recipe.generator, _adam(optimizers.generator, recipe.generator)

    def step(batch: Any) -> Losses:
        loss = recipe.pixel(normalised(generator(batch.degraded)), normalised(batch.clean))
        _improve(adam, loss)
        return {"generator": loss.detach()}

    return step


def _improve(optimizer: torch.optim.Optimizer, loss: Tensor, clip_norm: float | None = None) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if clip_norm is not None:
        nn.utils.clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], clip_norm)
    optimizer.step()


_STEPS: Mapping[tuple[str, str], Callable[[Any, Any], Step]] = {
    ("pix2pix", "adversarial"): _pix2pix,
    ("cyclegan", "adversarial"): _cyclegan,
    ("srgan", "pretraining"): _enlarging,
    ("srgan", "adversarial"): _srgan,
    ("context_encoder", "adversarial"): _context_encoder,
    ("deblur", "content"): _deblur,
    ("restore", "generator_pretraining"): _restore,
}
