"""Resuming a run: from where, what differs from before, and what is changed on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gantools.checkpoint import state as storage
from gantools.config.describe import Change
from gantools.errors import ModelFileError
from gantools.files import write_bytes
from gantools.training.loop import Loop
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunDirectory

# A run that ended in one of these ways has saved.
_SAVED_ENDINGS = ("finished", "limit", "interrupted")


def restore(loop: Loop) -> None:
    """Load the newest intact checkpoint, or start from step 0 where a kill came before the first. Writes nothing.

    Raises ModelFileError when the checkpoints are gone or all damaged, UsageError when they do not fit.
    """
    run = loop.run

    def has_checkpoint() -> bool:
        if storage.all_saved(run.checkpoints):
            return True
        if run.facts().get("status") in _SAVED_ENDINGS:
            raise ModelFileError(f"{run.checkpoints}: the run's checkpoints are gone; start a new one, or --init-from")
        loop.reporter.message(f"{run.path}: no checkpoint yet; starting from step 0")
        return False

    if loop.ranks.broadcast(has_checkpoint):
        loop.restore()


def initial_weights(run: RunDirectory) -> str | None:
    """The weights file of a fine-tuning, where the run has no checkpoint yet."""
    begun = run.facts().get("init_from")
    return str(begun["path"]) if begun and not storage.all_saved(run.checkpoints) else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What keeps a resumed run from being the same to the last bit, one line each; ``run.json``'s facts, then ours."""
    lines = []
    if before.get("data") not in (None, now["data"]):
        lines.append("the training images are not those that the run began with: their order differs, too")
    for key, of in (("device", before), ("precision", before), ("torch", before.get("versions", {}))):
        present = now["versions"]["torch"] if key == "torch" else now[key]
        if of.get(key) not in (None, present):
            lines.append(f"{key} was {of[key]} and is {present}: the run continues, but not bit-identically")
    return lines


@dataclass(frozen=True)
class Revision:
    """Settings changed on purpose, and the whole new configuration with its origins."""

    changes: Sequence[Change]
    config_yaml: str


def apply_changes(loop: Loop, revision: Revision | None) -> None:
    """Make the folder fit the checkpoint: later log rows are dropped, changed settings are reported and recorded."""
    run, step = loop.run, loop.progress.step
    metrics_log.rewind(run.metrics, step)
    if revision is None or not revision.changes:
        return
    for change in revision.changes:
        loop.reporter.message(f"changed from step {step} on: {change}")
    # The new configuration, below the comments that give the previous origins of the settings.
    history = [line for line in run.config.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = revision.config_yaml.splitlines()
    origins = [line for line in lines if line.startswith("#")][1:]  # less "resolved from"
    history += [f"{line} (from step {step} on)" for line in origins]
    config = "\n".join([*history, *(line for line in lines if not line.startswith("#"))]) + "\n"
    write_bytes(run.config, config.encode())
    settings = {change.key: [change.before, change.after] for change in revision.changes}
    entry = {"step": step, "at": datetime.now(UTC).isoformat(timespec="seconds"), "settings": settings}
    run.describe({"changes": [*run.facts().get("changes", []), entry]})
