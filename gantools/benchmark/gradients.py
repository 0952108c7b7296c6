"""How far the gradients of each mode are from those computed in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from gantools import api
from gantools.benchmark.cases import Case
from gantools.benchmark.contenders import FP32, Mode, our_play
from gantools.training import rng
from gantools.training.step import StagePlay


@dataclass(frozen=True)
class GradientError:
    """A player's gradient in one mode: ‖g - r‖ / ‖r‖ and the cosine of g and r, with r the one in float64."""

    case: str
    player: str
    mode: str
    relative_error: float
    cosine: float


def compare(case: Case, device: torch.device, modes: Sequence[Mode], *, small: bool) -> list[GradientError]:
    """Gradients of the first step from the same weights, on the same batch, without dropout."""
    settings = case.settings(small=small)
    wanted = gradients(settings, case.stage, device, None)
    return [
        GradientError(case.name, player, mode.name, *_distance(found, wanted[player]))
        for mode in modes
        for player, found in gradients(settings, case.stage, device, mode).items()
    ]


def gradients(settings: api.Settings, stage: str, device: torch.device, mode: Mode | None) -> Mapping[str, Tensor]:
    """Every player's gradient as one vector of float64 on the CPU; without a mode computed in float64."""
    play, batch = our_play(settings, stage, (mode or FP32).machine(device))
    _without_dropout(play)
    if mode is None:
        _widen(play)
        batch = batch.map_tensors(Tensor.double)
    rng.seed(0)
    play.step(0, [batch], 0.0)  # at learning rate 0 every player meets the first weights, and gradients stay
    return {name: _flat(play, name) for name in play.stage.players}


def _flat(play: StagePlay, player: str) -> Tensor:
    weights = [one for network in play.stage.players[player].networks.values() for one in network.parameters()]
    return torch.cat([one.grad.double().cpu().flatten() for one in weights if one.grad is not None])


def _widen(play: StagePlay) -> None:
    for player in play.stage.players.values():
        for network in player.networks.values():
            network.double()
    for network in play.recipe.frozen().values():
        network.double()


def _without_dropout(play: StagePlay) -> None:
    """Its random numbers depend on the type."""
    for player in play.stage.players.values():
        for network in player.networks.values():
            for module in network.modules():
                if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
                    module.p = 0.0


def _distance(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    error = float((found - wanted).norm() / wanted.norm())
    return error, float(cosine_similarity(found, wanted, dim=0))
