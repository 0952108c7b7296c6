"""From a checked configuration to a run: everything that can be refused is refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gantools.checkpoint import weights
from gantools.config.schema import RunConfig
from gantools.config.source import Tree, to_yaml
from gantools.data.loading import dataset
from gantools.data.loading.unreadable import require_readable
from gantools.errors import ModelFileError
from gantools.files import sha256
from gantools.training import resume as resuming
from gantools.training import rng
from gantools.training.device import graphs, precision, runtime
from gantools.training.distributed import communicator
from gantools.training.loop import Loop
from gantools.training.recipe import Recipe, exported_networks, networks_of
from gantools.training.reporter import Reporter, Silent
from gantools.training.resume import Revision
from gantools.training.run import directory
from gantools.training.run.directory import RunDirectory
from gantools.training.state import RunSpec
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
) -> RunSpec:
    """Choose the device, check the data, build the networks. Raises UsageError, DataError or ModelFileError.

    ``before`` is the ``run.json`` of a run that is resumed: it keeps its precision and memory layout.
    """
    chosen = runtime.choose(device, config.train.precision, config.train.memory_format, config.train.compile)
    chosen = replace(chosen, ranks=communicator.join(chosen.device))
    training = kind.dataset(config, "training")
    config = kind.completed(config, training)
    validation = kind.dataset(config, "validation")
    for data in (training, validation):
        require_readable(data)
    rng.seed(config.seed)
    recipe = kind(config)
    weights_file = _load_weights(recipe, Path(init_from)) if init_from is not None else None
    chosen, measured = precision.settle(chosen, recipe, config, training, before)
    chosen, tried = graphs.settle(chosen, kind, config, training, before)
    return RunSpec(recipe, config, chosen, training, validation, weights_file, measured or tried)


def start(spec: RunSpec, tree: Tree, run_dir: str | Path | None, limits: Limits, reporter: Reporter | None) -> Outcome:
    """Make the run's folder and train. Raises UsageError when it is another run's."""
    config, ranks = spec.config, spec.runtime.ranks
    path = ranks.broadcast(lambda: Path(run_dir) if run_dir else directory.default_path(config.recipe))
    run = RunDirectory(path)
    with run.claim() if ranks.is_main else nullcontext():
        if ranks.is_main:
            run.begin(to_yaml(config, tree))
        loop = Loop(spec, run, reporter or Silent())
        if ranks.is_main:
            run.describe({**_facts(spec), "seed": config.seed, "init_from": spec.init_from})
        if spec.measured:
            loop.reporter.message(spec.measured)
        if spec.init_from:
            loop.reporter.message(f"fine-tuning: {_described(spec.init_from)}")
        return Outcome(run, loop.fit(limits), loop)


def resume(
    spec: RunSpec, run: RunDirectory, limits: Limits, reporter: Reporter | None, revision: Revision | None = None
) -> Outcome:
    """Continue a run, which the caller has locked, from its newest intact checkpoint; ``revision`` changes settings."""
    loop = Loop(spec, run, reporter or Silent())
    resuming.restore(loop)
    if loop.ranks.is_main:
        run.tidy()
        for line in resuming.differences(run.facts(), _facts(spec)):
            loop.reporter.message(line)
        resuming.apply_changes(loop, revision)
    return Outcome(run, loop.fit(limits), loop)


def _facts(spec: RunSpec) -> dict[str, Any]:
    """What a run is computed with, and of: its part of ``run.json``."""
    runtime = spec.runtime
    return {
        **directory.environment(str(runtime.device), runtime.precision),
        "memory_format": "channels_last" if runtime.channels_last else "contiguous",
        "compile": runtime.compiled,
        "processes": runtime.ranks.world_size,
        "data": dataset.fingerprint(spec.training),
        "validation_images": len(spec.validation),
        **({"teachers": [*spec.training.teachers]} if spec.training.teachers else {}),
    }


def _load_weights(recipe: Recipe[Any, Any], path: Path) -> dict[str, Any]:
    """Start networks from a weights file (fine-tuning). Returns its entry in ``run.json``.

    The exported generators must be in the file; a discriminator starts from it where it is there.
    """
    stored = weights.load(path)
    trained = networks_of(list(recipe.stages()))
    networks = trained | exported_networks(recipe, trained)
    for name in [*recipe.exports(), *(trained.keys() & stored.tensors.keys() - recipe.exports().keys())]:
        if name not in stored.exports:
            raise ModelFileError(f"'{path}': holds {', '.join(stored.exports)}, but this recipe starts from {name!r}")
        try:
            networks[name].load_state_dict(stored.tensors[name])
        except RuntimeError as error:
            options = stored.exports[name].options
            raise ModelFileError(f"'{path}': its {options.get('name')} has other options than model.{name}") from error
    about = {"recipe": stored.recipe, "step": stored.about.get("step", "unknown")}
    imported = stored.about.get("imported") or stored.about.get("started_from")
    taught = stored.about.get("distilled_from")
    origin = ({"imported": imported} if imported else {}) | ({"distilled_from": taught} if taught else {})
    return {"path": str(path.resolve()), "sha256": sha256(path), **about, **origin}


def _described(init_from: Mapping[str, Any]) -> str:
    """The weights of a fine-tuning in one line."""
    if imported := init_from.get("imported"):
        return "{format} of {file}; licence: {licence}".format(**imported)
    return "{recipe} weights '{path}' (step {step})".format(**init_from)


def findings(spec: RunSpec, *, dry_run: bool) -> list[str]:
    """What a run would work with, one line each; with ``dry_run`` every stage trains one step on real data."""
    networks = networks_of(list(spec.recipe.stages()))
    millions = ((name, sum(p.numel() for p in network.parameters()) / 1e6) for name, network in networks.items())
    lines = [
        f"device: {spec.runtime.device}, {spec.runtime.precision}",
        *([spec.measured] if spec.measured else []),
        f"training: {spec.training.describe()}",
        f"validation: {spec.validation.describe()}",
        f"networks: {', '.join(f'{name} {count:.2f} M parameters' for name, count in millions)}",
    ]
    if dry_run:
        with TemporaryDirectory() as folder:
            run = RunDirectory(Path(folder) / "run")
            run.begin("")
            lines += [f"dry run: {name} plays" for name in Loop(spec, run, Silent()).try_stages()]
    return lines
