"""One stage being trained: what a step does to the weights, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gantools.config.options import Options
from gantools.errors import NonFiniteError
from gantools.training import optimizers
from gantools.training.device.runtime import Runtime
from gantools.training.monitor import finite
from gantools.training.recipe import LossTerms, Recipe, Stage


class Switch:
    """Lets a network learn or rest. Its parts are listed once: walking them costs a millisecond of every step."""

    def __init__(self, network: nn.Module) -> None:
        self._network, self._modules, self._parameters = network, [*network.modules()], [*network.parameters()]

    def set(self, *, learns: bool, training: bool) -> None:
        """Whether its weights get gradients, and its mode. Both are looked at, as validation may have changed them."""
        for parameter in self._parameters:
            if parameter.requires_grad is not learns:
                parameter.requires_grad_(learns)
        if any(module.training is not training for module in self._modules):
            self._network.train(training)


class Sent:
    """A number on its way to the host. Reading it waits for what computed it, not for what the device does later."""

    def __init__(self, value: Tensor) -> None:
        self._value, self._arrived = value, None
        if value.is_cuda:
            self._value = value.to("cpu", non_blocking=True)  # into page-locked memory
            self._arrived = torch.cuda.current_stream(value.device).record_event()

    @cached_property
    def number(self) -> float:
        """The number."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return float(self._value)


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
        self._totals: dict[str, Sent] = {}
        self._switches = {
            name: [Switch(network) for network in player.networks.values()] for name, player in stage.players.items()
        }
        self._frozen = [Switch(network) for network in stage.frozen.values()]
        self._monitor = monitor

    def step(self, stage_step: int, batches: Sequence[Any], rate_factor: float) -> dict[str, LossTerms]:
        """Train one step on ``batches`` (gradients of several are averaged). Returns each player's detached losses.

        With several batches the forward pass is computed again for each player, so that only one batch's graph is held:
        a player after the first then sees what the already updated networks make.
        """
        self.runtime.begin_step()
        playing = self.stage.policy.turns(stage_step, self._read_totals())
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
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        losses = []
        for number, batch in enumerate(batches, 1):
            outputs = self._forward([name], batch) if shared is None else shared
            self._set_trainable([name])
            with self.runtime.autocast():
                terms = self.stage.players[name].loss(batch, outputs)
            losses.append(terms.detached())
            if not self.runtime.waits_for_values:
                finite.require_losses(name, losses[-1].terms, "before its gradient was used", batch.names)
            if self.stage.policy.reads_losses and number == len(batches):
                self._totals[name] = Sent(self.runtime.ranks.mean(LossTerms.mean(losses).total))
            share = terms.total if len(batches) == 1 else terms.total / len(batches)
            with self.runtime.ranks.averaging(parameters if number == len(batches) else ()):
                scaler.scale(share).backward()  # type: ignore[no-untyped-call]
        if options.clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, options.clip_norm)
        scaler.step(optimizer)
        if scaler.is_enabled():
            self._count_skipped(name, scaler)
        return LossTerms.mean(losses)

    def _read_totals(self) -> dict[str, float]:
        """Each player's last total, where the policy reads them."""
        return {name: total.number for name, total in self._totals.items()}

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
            for switch in self._switches[name]:
                switch.set(learns=name in playing, training=name in playing or player.frozen_mode == "train")
        for switch in self._frozen:
            switch.set(learns=False, training=False)

    def state(self) -> dict[str, Any]:
        """Optimizers, scalers and the policy's memory, for a checkpoint."""
        return {
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
            "policy": self.stage.policy.state(),
            "totals": self._read_totals(),
            "skipped": dict(self._skipped),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state`` returned."""
        for name, optimizer in self.optimizers.items():
            optimizers.load(optimizer, state["optimizers"][name])
            self.scalers[name].load_state_dict(state["scalers"][name])
        self.stage.policy.load_state(state["policy"])
        self._totals = {name: Sent(torch.tensor(total)) for name, total in state["totals"].items()}
        skipped = state["skipped"]
        # Old checkpoints have one number for all players, which belongs to none of them.
        self._skipped = {name: skipped[name] if isinstance(skipped, dict) else 0 for name in self.stage.players}
