"""How far a run is: the part of its state that is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """How far a run is. ``step`` counts over all stages, ``batches`` is how many the loader has given.

    A finished run stands behind its last stage, with that stage's length as ``stage_step``.
    """

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    batches: int = 0

    def advance(self, batches: int) -> Progress:
        """After one more step of the stage, on so many batches."""
        return replace(self, step=self.step + 1, stage_step=self.stage_step + 1, batches=self.batches + batches)

    def for_world_size(self, before: int, now: int, *, in_epochs: bool) -> Progress:
        """The same share of the data done, for ``now`` ranks instead of ``before``.

        So it is with a stage whose length is given ``in_epochs``. Rounded down: an image may come twice in its epoch,
        none is left out.
        """
        scaled = in_epochs and self.stage_step > 0
        stage_step = max(1, self.stage_step * before // now) if scaled else self.stage_step
        return replace(self, stage_step=stage_step, batches=self.batches * before // now)
