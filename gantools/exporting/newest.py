"""Weights of a run's newest checkpoint, where the run was killed before it wrote them, or for a file of one's own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.errors import UsageError
from gantools.inference import find_weights

if TYPE_CHECKING:
    from gantools.config.schema import RunConfig
    from gantools.training.recipe import Recipe
    from gantools.training.run.directory import RunDirectory


def make_ready(model: str | Path) -> None:
    """Where ``model`` is a run whose newest checkpoint has no weights yet, write them into its folder, with a warning.

    Raises UsageError where they are needed and cannot be written. A run that is being trained is left alone.
    """
    run = find_weights.run_behind(model)
    if run is None:
        return
    try:
        path, step = export(run)
    except (UsageError, OSError) as error:
        if find_weights.has_weights(run):
            return
        raise UsageError(
            f"{str(run)!r}: no weights yet, and {error}; try: gantools weights export RUN -o FILE"
        ) from error
    warnings.warn(
        f"{str(run)!r} ended without weights of its newest checkpoint: {path} now has them (step {step})", stacklevel=2
    )


def export(run: Path, output: Path | None = None) -> tuple[Path, int]:
    """Write the weights of a run's newest intact checkpoint; the file and the checkpoint's step.

    They are the average where the run has one. ``output`` None: ``weights/last.safetensors`` in the run's folder, which
    must not be in training then. Raises UsageError for what is no run, or is being trained, ModelFileError for a run
    without an intact checkpoint, OSError.
    """
    from gantools.training.run.directory import RunDirectory

    folder = RunDirectory.open(run)
    if output is not None:
        return output, _written(folder, output)
    with folder.lock():
        path = folder.weights / "last.safetensors"
        return path, _written(folder, path)


def _written(folder: RunDirectory, output: Path) -> int:
    from gantools.checkpoint import state
    from gantools.training.export import write_from_state

    kind, config = _read(folder.config)
    step, content = state.newest(folder.checkpoints)
    write_from_state(output, kind, config, step, content, folder.facts())
    return step


def _read(file: Path) -> tuple[type[Recipe[Any, Any]], RunConfig]:
    from gantools import recipes
    from gantools.config import report
    from gantools.config.source import read_yaml

    tree = read_yaml(file)
    kind = recipes.find(str(tree.values.get("recipe")))
    return kind, report.validate(kind.config_type, tree)
