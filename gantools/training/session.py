"""From a checked configuration to a run: everything that can be refused is refused before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gantools.checkpoint import weights
from gantools.config.dump import to_yaml
from gantools.config.schema import RunConfig
from gantools.config.source import Tree
from gantools.data import dataset
from gantools.data.unreadable import require_readable
from gantools.errors import GantoolsError, ModelFileError
from gantools.training import machine, run_directory, streams
from gantools.training.loop import Ending, Limits, Loop, Prepared
from gantools.training.recipe import Recipe, exported_networks, networks_of
from gantools.training.reporter import Reporter, Silent
from gantools.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: RunDirectory
    ending: Ending
    loop: Loop


def prepare(
    kind: type[Recipe[Any, Any]], config: RunConfig, device: str, init_from: str | Path | None = None
) -> Prepared:
    """Choose the machine, look at the data, build the networks. Raises UsageError, DataError or ModelFileError."""
    where = machine.choose(device, config.train.precision, config.train.memory_format)
    training, validation = kind.dataset(config, "training"), kind.dataset(config, "validation")
    for data in (training, validation):
        require_readable(data)
    streams.seed(config.seed)
    recipe = kind(config)
    if init_from is not None:
        _load_weights(recipe, Path(init_from))
    return Prepared(recipe, config, where, training, validation)


def start(
    prepared: Prepared, tree: Tree, run_dir: str | Path | None, limits: Limits, reporter: Reporter | None
) -> Outcome:
    """Make the run's folder and train."""
    config = prepared.config
    path = Path(run_dir) if run_dir else run_directory.default_path(config.recipe)
    run = RunDirectory.create(path, to_yaml(config, tree))
    facts = run_directory.environment(str(prepared.machine.device), prepared.machine.precision)
    run.describe({**facts, "seed": config.seed, "data": dataset.fingerprint(prepared.training)})
    return _train(prepared, run, limits, reporter, resumed=False)


def resume(prepared: Prepared, run: RunDirectory, limits: Limits, reporter: Reporter | None) -> Outcome:
    """Continue the run from its newest intact checkpoint."""
    return _train(prepared, run, limits, reporter, resumed=True)


def _train(
    prepared: Prepared, run: RunDirectory, limits: Limits, reporter: Reporter | None, *, resumed: bool
) -> Outcome:
    with run.lock():
        loop = Loop(prepared, run, reporter or Silent())
        if resumed:
            loop.resume()
        run.describe({"status": "running"})
        try:
            ending = loop.fit(limits)
        except BaseException as error:
            reason = str(error) if isinstance(error, GantoolsError) else type(error).__name__
            run.describe({"status": "failed", "reason": reason, "step": loop.position.step})
            raise
        run.describe({"status": ending, "step": loop.position.step, "validation": loop.validation.latest})
    return Outcome(run, ending, loop)


def _load_weights(recipe: Recipe[Any, Any], path: Path) -> None:
    """Start the exported generators from a weights file (fine-tuning)."""
    stored = weights.load(path)
    networks = exported_networks(recipe, networks_of(list(recipe.stages())))
    for name in recipe.exports():
        if name not in stored.exports:
            raise ModelFileError(f"{path}: holds {', '.join(stored.exports)}, but this recipe starts from {name!r}")
        try:
            networks[name].load_state_dict(stored.tensors[name])
        except RuntimeError as error:
            options = stored.exports[name].options
            raise ModelFileError(f"{path}: its {options.get('name')} has other options than model.generator") from error


def findings(prepared: Prepared, *, dry_run: bool) -> list[str]:
    """What a run would work with, one line each; with ``dry_run`` every stage plays one step on real data."""
    networks = networks_of(list(prepared.recipe.stages()))
    millions = ((name, sum(p.numel() for p in network.parameters()) / 1e6) for name, network in networks.items())
    lines = [
        f"device: {prepared.machine.device}, {prepared.machine.precision}",
        f"training: {prepared.training.describe()}",
        f"validation: {prepared.validation.describe()}",
        f"networks: {', '.join(f'{name} {count:.2f} M parameters' for name, count in millions)}",
    ]
    if dry_run:
        with TemporaryDirectory() as folder:
            run = RunDirectory.create(Path(folder) / "run", "")
            lines += [f"dry run: {name} plays" for name in Loop(prepared, run, Silent()).try_stages()]
    return lines
