"""Who plays in a step: a policy sees the stage's step number and the last losses, and names the players in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Losses = Mapping[str, float]


class TurnPolicy(Protocol):
    """``turns`` is asked once per step. ``reads_losses`` makes the loop fetch the players' totals."""

    @property
    def reads_losses(self) -> bool: ...

    def turns(self, stage_step: int, losses: Losses) -> tuple[str, ...]: ...

    def state(self) -> dict[str, str]: ...

    def load_state(self, state: Mapping[str, str]) -> None: ...


class _Stateless:
    reads_losses = False

    def state(self) -> dict[str, str]:
        return {}

    def load_state(self, state: Mapping[str, str]) -> None:
        if state:
            raise ValueError(f"{type(self).__name__} keeps no state, the checkpoint has {dict(state)}")


class Alternate(_Stateless):
    """Everybody plays once in every step, in the order given."""

    def __init__(self, *players: str) -> None:
        self.players = players

    def turns(self, stage_step: int, losses: Losses) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        return self.players


class Solo(Alternate):
    """One player alone: pretraining."""

    def __init__(self, player: str) -> None:
        super().__init__(player)


class CriticRatio(_Stateless):
    """The critic plays every step, the generator after every ``ratio`` of them (Gulrajani 2017: 5).

    Each critic turn sees a new batch, as in the paper's algorithm 1.
    """

    def __init__(self, ratio: int, generator: str = "generator", critic: str = "discriminator") -> None:
        self.ratio, self.generator, self.critic = ratio, generator, critic

    def turns(self, stage_step: int, losses: Losses) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        return (self.critic, self.generator) if (stage_step + 1) % self.ratio == 0 else (self.critic,)


class ThresholdSwitch:
    """Adaptive play: the critic until its batch loss is under ``threshold``, then one generator step (fastai)."""

    reads_losses = True

    def __init__(self, threshold: float, generator: str = "generator", critic: str = "discriminator") -> None:
        self.threshold, self.generator, self.critic = threshold, generator, critic
        self._last = generator  # the critic opens

    def turns(self, stage_step: int, losses: Losses) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        won = self._last == self.critic and losses[self.critic] < self.threshold
        self._last = self.generator if won else self.critic
        return (self._last,)

    def state(self) -> dict[str, str]:
        return {"last": self._last}

    def load_state(self, state: Mapping[str, str]) -> None:
        self._last = state["last"]
