"""One stage being trained: what a step does to the weights, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gantools.config.options import Options
from gantools.errors import NonFiniteError
from gantools.training import optimizers
from gantools.training.device.runtime import Runtime
from gantools.training.monitor import finite
from gantools.training.recipe import LossTerms, Recipe, Stage


class StageTrainer:
    """The players of a stage with their optimizers and loss scalers.

    A step asks the policy who plays, computes ``recipe.forward`` once, then updates each player in turn: the others are
    frozen, its loss is computed under autocast, differentiated, clipped, and its optimizer steps.
    """

    def __init__(
        self,
        recipe: Recipe[Any, Any],
        stage: Stage,
        options: Options,
        runtime: Runtime,
        max_skipped_steps: int = 20,
        monitor: Callable[[Any, Any], None] | None = None,
    ) -> None:
        """``options`` holds one optimizer per player; ``monitor`` is shown every batch and ``recipe.forward`` of it."""
        self.recipe, self.stage, self.runtime = recipe, stage, runtime
        self.options: dict[str, optimizers.OptimizerOptions] = dict(options)
        self.optimizers = {
            name: optimizers.build(self.options[name], player.networks, player.rates)
            for name, player in stage.players.items()
        }
        self.scalers = {name: runtime.scaler() for name in stage.players}
        self.max_skipped_steps, self._skipped = max_skipped_steps, dict.fromkeys(stage.players, 0)
        self._totals: dict[str, float] = {}
        self._monitor = monitor

    def step(self, stage_step: int, batches: Sequence[Any], rate_factor: float) -> dict[str, LossTerms]:
        """Train one step on ``batches`` (gradients of several are averaged). Returns each player's detached losses.

        With several batches the forward pass is computed again for each player, so that only one batch's graph is held:
        a player after the first then sees what the already updated networks make.
        """
        self.runtime.begin_step()
        playing = self.stage.policy.turns(stage_step, self._totals)
        shared = self._forward(playing, batches[0]) if len(batches) == 1 else None
        losses = {name: self._update(name, batches, shared, rate_factor) for name in playing}
        networks = [network for player in self.stage.players.values() for network in player.networks.values()]
        self.runtime.ranks.average_statistics(networks)
        return losses

    def _forward(self, playing: Sequence[str], batch: Any) -> Any:
        self._set_trainable(playing)
        with self.runtime.autocast():
            outputs = self.recipe.forward(batch)
        if self._monitor:
            self._monitor(batch, outputs)
        return outputs

    def _update(self, name: str, batches: Sequence[Any], shared: Any, rate_factor: float) -> LossTerms:
        """One optimizer step of a player. What is added here by ``with_metrics`` is logged as figure/<player>/<name>.

        ``shared`` is what ``recipe.forward`` made of the only batch; None where there are several.
        """
        options, optimizer, scaler = self.options[name], self.optimizers[name], self.scalers[name]
        optimizers.set_rate(optimizer, options.lr, rate_factor)
        optimizer.zero_grad(set_to_none=True)
        losses = []
        for batch in batches:
            outputs = self._forward([name], batch) if shared is None else shared
            self._set_trainable([name])
            with self.runtime.autocast():
                terms = self.stage.players[name].loss(batch, outputs)
            losses.append(terms.detached())
            if not self.runtime.waits_for_values:
                finite.require_losses(name, losses[-1].terms, "before its gradient was used", batch.names)
            scaler.scale(terms.total / len(batches)).backward()  # type: ignore[no-untyped-call]
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        self.runtime.ranks.average_gradients(parameters)
        if options.clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, options.clip_norm)
        scaler.step(optimizer)
        if scaler.is_enabled():
            self._count_skipped(name, scaler)
        mean = LossTerms.mean(losses)
        if self.stage.policy.reads_losses:
            self._totals.update(self.runtime.ranks.all_reduce_mean({name: float(mean.total)}))
        return mean

    def _count_skipped(self, name: str, scaler: torch.amp.GradScaler) -> None:
        before = scaler.get_scale()
        scaler.update()
        count = self._skipped[name] + 1 if scaler.get_scale() < before else 0
        self._skipped[name] = count
        if count > self.max_skipped_steps:
            raise NonFiniteError(
                f"fp16 gradients of {name} overflowed {count} steps in a row; try bf16 or a lower rate"
            )

    def _set_trainable(self, playing: Sequence[str]) -> None:
        """Let gradients reach only the networks of the players that play; the others are in their frozen mode."""
        for name, player in self.stage.players.items():
            for network in player.networks.values():
                network.requires_grad_(name in playing)
                network.train(name in playing or player.frozen_mode == "train")
        for network in self.stage.frozen.values():
            network.requires_grad_(False).eval()

    def state(self) -> dict[str, Any]:
        """Optimizers, scalers and the policy's memory, for a checkpoint."""
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
            "policy": self.stage.policy.state(),
            "totals": dict(self._totals),
            "skipped": dict(self._skipped),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` returned."""
        for name, optimizer in self.optimizers.items():
            optimizers.load(optimizer, state["optimizers"][name])
            self.scalers[name].load_state_dict(state["scalers"][name])
        self.stage.policy.load_state(state["policy"])
        self._totals = dict(state["totals"])
        skipped = state["skipped"]
        # Old checkpoints have one number for all players, which belongs to none of them.
        self._skipped = {name: skipped[name] if isinstance(skipped, dict) else 0 for name in self.stage.players}
