"""Where a run stands: the part of its state that is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Position:
    """Where a run stands. ``step`` counts over all stages, ``batches`` is how many the loader has given.

    A finished run stands behind its last stage, with that stage's length as ``stage_step``.
    """

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    batches: int = 0

    def dealt_anew(self, before: int, now: int, *, in_epochs: bool) -> Position:
        """The same share of the data behind it, for ``now`` ranks instead of ``before``.

        So it is with a stage whose length is given ``in_epochs``. Rounded down: an image may come twice in its epoch,
        none is left out.
        """
        moved = in_epochs and self.stage_step > 0
        stage_step = max(1, self.stage_step * before // now) if moved else self.stage_step
        return replace(self, stage_step=stage_step, batches=self.batches * before // now)
