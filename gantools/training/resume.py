"""Going on with a run: from where, what is not as it was, and what is changed on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gantools.checkpoint import state as checkpoints
from gantools.config.changes import Change
from gantools.errors import ModelFileError
from gantools.files import write_bytes
from gantools.training.loop import Loop
from gantools.training.run import metrics_log
from gantools.training.run.directory import RunDirectory

# A run that ended in one of these ways has saved.
_SAVED_ENDINGS = ("finished", "limit", "interrupted")


def go_back(loop: Loop) -> None:
    """Take the newest intact checkpoint, or begin anew where a kill came before the first. Nothing is written.

    Raises ModelFileError when the checkpoints are gone or all damaged, UsageError when they do not fit.
    """
    if loop.ranks.told_by_first(lambda: _has_checkpoint(loop)):
        loop.resume()


def _has_checkpoint(loop: Loop) -> bool:
    run = loop.run
    if checkpoints.all_saved(run.checkpoints):
        return True
    if run.facts().get("status") in _SAVED_ENDINGS:
        raise ModelFileError(f"{run.checkpoints}: the run's checkpoints are gone; start a new one, or --init-from")
    loop.reporter.message(f"{run.path} ended before its first checkpoint: it begins anew")
    return False


def weights_to_begin_with(run: RunDirectory) -> str | None:
    """The file a fine-tuning began with, where it has to begin again."""
    begun = run.facts().get("init_from")
    return str(begun["path"]) if begun and not checkpoints.all_saved(run.checkpoints) else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What keeps a resumed run from being the same to the last bit, one line each; ``run.json``'s facts, then ours."""
    told = []
    if before.get("data") not in (None, now["data"]):
        told.append("the training pictures are not those that the run began with: their order is another one, too")
    for key, of in (("device", before), ("precision", before), ("torch", before.get("versions", {}))):
        present = now["versions"]["torch"] if key == "torch" else now[key]
        if of.get(key) not in (None, present):
            told.append(f"{key} was {of[key]} and is {present}: the run goes on, but not to the last bit as it would")
    return told


@dataclass(frozen=True)
class Revision:
    """Settings changed on purpose, and the whole new configuration with its origins."""

    changes: Sequence[Change]
    config_yaml: str


def carry_on(loop: Loop, revision: Revision | None) -> None:
    """Put the folder where the run is: rows that will come again are dropped, changes are told and written down."""
    run, step = loop.run, loop.position.step
    metrics_log.rewind(run.journal, step)
    if revision is not None and revision.changes:
        for change in revision.changes:
            loop.reporter.message(f"changed from step {step} on: {change}")
        _write_down(run, revision, step)


def _write_down(run: RunDirectory, revision: Revision, step: int) -> None:
    history = _with_history(run.config.read_text(encoding="utf-8"), revision.config_yaml, step)
    write_bytes(run.config, history.encode())
    said = {change.key: [change.before, change.after] for change in revision.changes}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run.describe({"changes": [*run.facts().get("changes", []), {"step": step, "at": now, "settings": said}]})


def _with_history(before: str, after: str, step: int) -> str:
    """``after`` below the comments that told where the settings came from before."""
    comments = [line for line in before.splitlines() if line.startswith("#")]
    lines = after.splitlines()
    new = [f"{line} (from step {step} on)" for line in lines if line.startswith("#")][1:]  # less "resolved from"
    return "\n".join([*comments, *new, *(line for line in lines if not line.startswith("#"))]) + "\n"
