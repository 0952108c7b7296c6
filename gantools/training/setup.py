"""From a checked configuration to a run: everything that can be refused is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gantools.checkpoint import weights
from gantools.config.dump import to_yaml
from gantools.config.schema import RunConfig
from gantools.config.source import Tree
from gantools.data.loading import dataset
from gantools.data.loading.unreadable import require_readable
from gantools.errors import GantoolsError, ModelFileError, PeerError
from gantools.files import sha256
from gantools.training import bystander, resume, rng
from gantools.training.device import precision, runtime
from gantools.training.distributed import communicator
from gantools.training.loop import Loop
from gantools.training.recipe import Recipe, exported_networks, networks_of
from gantools.training.reporter import Reporter, Silent
from gantools.training.resume import Revision
from gantools.training.run import directory
from gantools.training.run.directory import RunDirectory
from gantools.training.state import Prepared
from gantools.training.stopping import Ending, Limits

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: RunDirectory
    ending: Ending
    loop: Loop


def prepare(
    kind: type[Recipe[Any, Any]],
    config: RunConfig,
    device: str,
    init_from: str | Path | None = None,
    before: Mapping[str, Any] = _NOTHING,
) -> Prepared:
    """Choose the machine, look at the data, build the networks. Raises UsageError, DataError or ModelFileError.

    ``before`` is what ``run.json`` says of a run that goes on: it keeps its arithmetic.
    """
    train = config.train
    where = runtime.choose(device, train.precision, train.memory_format, train.compile)
    where = replace(where, ranks=communicator.join(where.device))
    training, validation = kind.dataset(config, "training"), kind.dataset(config, "validation")
    for data in (training, validation):
        require_readable(data)
    rng.seed(config.seed)
    recipe = kind(config)
    begun = _load_weights(recipe, Path(init_from)) if init_from is not None else None
    where, measured = precision.settled(where, recipe, config, training, before)
    return Prepared(recipe, config, where, training, validation, begun, measured)


def start(
    prepared: Prepared, tree: Tree, run_dir: str | Path | None, limits: Limits, reporter: Reporter | None
) -> Outcome:
    """Make the run's folder and train. Raises UsageError when it is another run's."""
    config = prepared.config
    ranks = prepared.machine.ranks
    path = ranks.told_by_first(lambda: Path(run_dir) if run_dir else directory.default_path(config.recipe))
    run = bystander.run_directory(ranks.place)(path)
    with run.claim():
        run.begin(to_yaml(config, tree))
        loop = Loop(prepared, run, reporter or Silent())
        run.describe({**_facts(prepared), "seed": config.seed, "init_from": prepared.init_from})
        if prepared.measured:
            loop.reporter.message(prepared.measured)
        if prepared.init_from:
            loop.reporter.message("fine-tuning: {recipe} weights '{path}' (step {step})".format(**prepared.init_from))
        return _train(loop, limits)


def continue_run(
    prepared: Prepared, run: RunDirectory, limits: Limits, reporter: Reporter | None, revision: Revision | None = None
) -> Outcome:
    """Continue a run, which the caller holds, from its newest intact checkpoint; ``revision`` changes settings."""
    loop = Loop(prepared, run, reporter or Silent())
    resume.go_back(loop)
    if loop.ranks.place.is_first:
        run.tidy()
        for line in resume.differences(run.facts(), _facts(prepared)):
            loop.reporter.message(line)
        resume.carry_on(loop, revision)
    return _train(loop, limits)


def _facts(prepared: Prepared) -> dict[str, Any]:
    """What a run is computed with, and of."""
    machine = prepared.machine
    where = directory.environment(str(machine.device), machine.precision)
    layout = {"memory_format": "channels_last" if machine.channels_last else "contiguous"}
    data = {"data": dataset.fingerprint(prepared.training), "validation_images": len(prepared.validation)}
    return {**where, **layout, "processes": machine.ranks.place.count, **data}


def _train(loop: Loop, limits: Limits) -> Outcome:
    loop.run.describe({"status": "running"})
    try:
        ending = loop.fit(limits)
    except BaseException as error:
        reason = str(error) if isinstance(error, GantoolsError) else type(error).__name__
        if not isinstance(error, PeerError):
            loop.ranks.give_up(reason)
        _conclude(loop, {"status": "failed", "reason": reason})
        raise
    _conclude(loop, {"status": ending, "validation": loop.cast.validation.latest})
    return Outcome(loop.run, ending, loop)


def _conclude(loop: Loop, facts: Mapping[str, Any]) -> None:
    """Write down how it ended; a disk that is full for that must not hide what is being told."""
    try:
        loop.run.describe({**facts, "step": loop.position.step})
    except OSError as error:
        loop.reporter.message(f"run.json could not be brought up to date ({error.strerror or error})")


def _load_weights(recipe: Recipe[Any, Any], path: Path) -> dict[str, Any]:
    """Start the exported generators from a weights file (fine-tuning). Returns what is to be known of it."""
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
    about = {"recipe": stored.recipe, "step": stored.about.get("step", "unknown")}
    return {"path": str(path.resolve()), "sha256": sha256(path), **about}


def findings(prepared: Prepared, *, dry_run: bool) -> list[str]:
    """What a run would work with, one line each; with ``dry_run`` every stage plays one step on real data."""
    networks = networks_of(list(prepared.recipe.stages()))
    millions = ((name, sum(p.numel() for p in network.parameters()) / 1e6) for name, network in networks.items())
    lines = [
        f"device: {prepared.machine.device}, {prepared.machine.precision}",
        *([prepared.measured] if prepared.measured else []),
        f"training: {prepared.training.describe()}",
        f"validation: {prepared.validation.describe()}",
        f"networks: {', '.join(f'{name} {count:.2f} M parameters' for name, count in millions)}",
    ]
    if dry_run:
        with TemporaryDirectory() as folder:
            run = RunDirectory(Path(folder) / "run")
            run.begin("")
            lines += [f"dry run: {name} plays" for name in Loop(prepared, run, Silent()).try_stages()]
    return lines
