"""What training guarantees under faults, row by row: ``scripts/faults train``."""

from __future__ import annotations

from tests.faults import forged, ranks, resumes, saves, trainings
from tests.faults.harness import Row

ROWS = (
    Row("killed-saves", "killed at any event of a save: an intact checkpoint, nothing to clean up", saves.killed_saves),
    Row("order", "synced before it is renamed, the folder after it; the manifest last", saves.order),
    Row("mutations", "damage is found and named in one line; the checkpoint before is used", saves.mutations),
    Row("killed-trainings", "killed at any file event: resumes to the same bits", trainings.killed_trainings),
    Row("failed-writes", "a disk that fails, once or for good: goes on, or ends in one line", trainings.failed_writes),
    Row("signals", "saved at the end of the step, exit code 130, 143 or 129, the same bits", trainings.signals),
    Row("started-twice", "one process per run; the others exit with code 2 and name it", trainings.started_twice),
    Row("killed-workers", "one line, everything saved, no hang, no process left", trainings.killed_workers),
    Row("resume", "the same bits: every recipe, within an epoch and at its end, 0 and 2 workers", resumes.resumed),
    Row("not-numbers", "found within a log interval, named with step and files, never saved", resumes.not_numbers),
    Row("forged", "forged checkpoints: exit code 2, one line, nothing executed", forged.forged),
    Row("collapse", "a warning at 100 times the learning rate, none at the preset's own", resumes.collapse),
    *ranks.ROWS,
)
