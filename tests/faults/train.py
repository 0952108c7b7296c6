"""What training promises under faults, row by row: ``scripts/faults train``."""

from __future__ import annotations

from tests.faults import collapse, datasets, forged, ranks, resumes, saves, trainings
from tests.faults.harness import Row

ROWS = (
    Row("killed-saves", "killed at any file event of a save: no checkpoint lost, no cleaning up", saves.killed_saves),
    Row(
        "failed-saves",
        "ENOSPC, EIO, EROFS, EDQUOT at any file event: nothing half, the old one there",
        saves.failed_saves,
    ),
    Row("order", "fsync of the files, rename, fsync of the folder; the manifest last", saves.order),
    Row(
        "mutations",
        "flipped, cut, grown, zeroed, swapped, lost, renamed: found, the one before is used",
        saves.mutations,
    ),
    Row("killed-trainings", "killed at any file event: resumes to the same bits", trainings.killed_at_events),
    Row("random-kills", "killed at random moments: resumes to the same bits", trainings.killed_at_random),
    Row("failed-writes", "a disk that fails, once or for good: goes on or ends in one line", trainings.failed_writes),
    Row("signals", "saved at the step's edge, exit 130, 143 or 129, resumes to the same bits", trainings.signals),
    Row("started-twice", "one process per run, the others exit 2 naming it", trainings.started_twice),
    Row("killed-workers", "one line, everything saved, never a hang", trainings.killed_workers),
    Row(
        "resume", "resumes to the same bits, every recipe, mid-epoch and at the edge, 0 and 2 workers", resumes.resumed
    ),
    Row("not-numbers", "found within a log interval, named with step and files, never saved", resumes.not_numbers),
    Row("forged", "checkpoints that mean harm: exit 2, one line, nothing runs", forged.forged),
    Row("unreadable", "damaged pictures: named once, replaced alike, too many end the run", datasets.unreadable),
    Row("gauntlet", "wrong settings and data: one line, exit 2, nothing written, < 5 s", datasets.gauntlet),
    Row("augmentation", "the same samples from 0, 1, 2 and 4 workers", datasets.augmentation),
    Row("orphans", "workers end with their training", trainings.orphans),
    Row(
        "collapse",
        "a hundred times the learning rate is told within 500 steps, a healthy run hears nothing",
        collapse.flagged,
    ),
    *ranks.ROWS,
)
