"""A run's figures as TensorBoard events, for those who compare many runs there."""

from __future__ import annotations

import warnings
from pathlib import Path

from gantools.errors import UsageError
from gantools.training.run import metrics_log


def export(run: Path, folder: Path) -> int:
    """Write every number of a run's journal as scalars into ``folder``; return how many. The journal stays the truth.

    Raises UsageError without the tensorboard package, for a folder that is no run's, or one that holds something.
    """
    log = run / "metrics.jsonl"
    if not log.is_file():
        raise UsageError(f"{str(run)!r}: not a run directory with a journal (it has no metrics.jsonl)")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"--tensorboard {str(folder)!r}: not empty, and events would mix; name a new folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package tensorboard: pip install 'gantools[tensorboard]'") from error
    count = 0
    with SummaryWriter(str(folder)) as events:
        for row in metrics_log.read(log):
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    events.add_scalar(name, value, row["step"])
                    count += 1
    return count
