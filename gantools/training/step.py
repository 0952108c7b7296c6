"""One stage being played: what a step does to the weights, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gantools.config.options import Options
from gantools.errors import NonFiniteError
from gantools.training import optimizers
from gantools.training.device.runtime import Machine
from gantools.training.recipe import LossTerms, Recipe, Stage


class StagePlay:
    """The players of a stage with their optimizers and loss scalers.

    A step asks the policy who plays, computes ``recipe.forward`` once, then gives each player its turn: the others are
    frozen, its loss is computed under autocast, differentiated, clipped and stepped.
    """

    def __init__(
        self,
        recipe: Recipe[Any, Any],
        stage: Stage,
        options: Options,
        machine: Machine,
        max_skipped_steps: int = 20,
        watch: Callable[[Any, Any], None] | None = None,
    ) -> None:
        """``watch`` is shown every batch and what ``recipe.forward`` made of it."""
        self.recipe, self.stage, self.machine = recipe, stage, machine
        self.options: dict[str, optimizers.Optimizer] = dict(options)
        self.optimizers = {
            name: optimizers.build(self.options[name], player.networks, player.rates)
            for name, player in stage.players.items()
        }
        self.scalers = {name: machine.scaler() for name in stage.players}
        self.max_skipped_steps, self._skipped = max_skipped_steps, dict.fromkeys(stage.players, 0)
        self._totals: dict[str, float] = {}
        self._watch = watch

    def step(self, stage_step: int, batches: Sequence[Any], rate_factor: float) -> dict[str, LossTerms]:
        """Play one step on ``batches`` (gradients of several are averaged). Returns the turns' detached terms.

        With several batches the forward pass is computed again for each player, so that only one batch's graph is held:
        a player after the first then sees what the already updated networks make.
        """
        self.machine.begin_step()
        playing = self.stage.policy.turns(stage_step, self._totals)
        shared = None
        if len(batches) == 1:
            shared = self._forward(playing, batches[0])
        turns = {name: self._turn(name, batches, shared, rate_factor) for name in playing}
        networks = [network for player in self.stage.players.values() for network in player.networks.values()]
        self.machine.ranks.average_statistics(networks)
        return turns

    def _forward(self, learning: Sequence[str], batch: Any) -> Any:
        self._spotlight(learning)
        with self.machine.autocast():
            outputs = self.recipe.forward(batch)
        if self._watch:
            self._watch(batch, outputs)
        return outputs

    def _turn(self, name: str, batches: Sequence[Any], shared: Any, rate_factor: float) -> LossTerms:
        optimizer, scaler = self.optimizers[name], self.scalers[name]
        optimizers.set_rate(optimizer, self.options[name].lr, rate_factor)
        optimizer.zero_grad(set_to_none=True)
        terms = [self._backward(name, batch, shared, len(batches)) for batch in batches]
        self._apply(name, optimizer, scaler)
        mean = LossTerms(**_means([one.terms for one in terms])).noting(**_means([one.figures for one in terms]))
        if self.stage.policy.reads_losses:
            self._totals.update(self.machine.ranks.means({name: float(mean.total)}))
        return mean

    def _backward(self, name: str, batch: Any, shared: Any, count: int) -> LossTerms:
        outputs = self._forward([name], batch) if shared is None else shared
        self._spotlight([name])
        with self.machine.autocast():
            terms = self.stage.players[name].loss(batch, outputs)
        detached = LossTerms(**_detached(terms.terms)).noting(**_detached(terms.figures))
        if not self.machine.waits_for_values:
            require_finite(name, detached.terms, "before its gradient was used", batch.names)
        self.scalers[name].scale(terms.total / count).backward()  # type: ignore[no-untyped-call]
        return detached

    def _apply(self, name: str, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> None:
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        self.machine.ranks.average_gradients(parameters)
        clip_norm = self.options[name].clip_norm
        if clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, clip_norm)
        scaler.step(optimizer)
        if scaler.is_enabled():
            self._count_skipped(name, scaler)

    def _count_skipped(self, name: str, scaler: torch.amp.GradScaler) -> None:
        before = scaler.get_scale()
        scaler.update()
        count = self._skipped[name] + 1 if scaler.get_scale() < before else 0
        self._skipped[name] = count
        if count > self.max_skipped_steps:
            raise NonFiniteError(
                f"fp16 gradients of {name} overflowed {count} steps in a row; try bf16 or a lower rate"
            )

    def _spotlight(self, learning: Sequence[str]) -> None:
        """Let gradients reach only the learning players' networks; the others rest in the mode their player says."""
        for name, player in self.stage.players.items():
            for network in player.networks.values():
                network.requires_grad_(name in learning)
                network.train(name in learning or player.resting_mode == "train")
        for network in self.stage.resting.values():
            network.requires_grad_(False).eval()

    def state(self) -> dict[str, Any]:
        """Optimizers, scalers and the policy's memory."""
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
            "policy": self.stage.policy.state(),
            "totals": dict(self._totals),
            "skipped": dict(self._skipped),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave."""
        for name, optimizer in self.optimizers.items():
            optimizers.load(optimizer, state["optimizers"][name])
            self.scalers[name].load_state_dict(state["scalers"][name])
        self.stage.policy.load_state(state["policy"])
        self._totals = dict(state["totals"])
        skipped = state["skipped"]
        # Old checkpoints have one number for all players, which says nothing of any of them.
        self._skipped = {name: skipped[name] if isinstance(skipped, dict) else 0 for name in self.stage.players}


def _detached(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().float() for key, value in values.items()}


def _means(batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.stack([batch[key] for batch in batches]).mean() for key in batches[0]}


def require_finite(player: str, terms: Mapping[str, Tensor], when: str, names: Sequence[str]) -> None:
    """Raise NonFiniteError naming the terms that are NaN or infinite and the files in the batch."""
    bad = [f"{player}.{term} = {float(value)}" for term, value in terms.items() if not torch.isfinite(value)]
    if bad:
        files = ", ".join(names[:8])
        raise NonFiniteError(
            f"{'; '.join(bad)}, {when}; batch: {files}. Lower the learning rate, or look at these files"
        )
