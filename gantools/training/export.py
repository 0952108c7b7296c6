"""The weights files of a run: from its networks while it trains, or from a checkpoint that it left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gantools.checkpoint import weights
from gantools.config.schema import RunConfig
from gantools.errors import ModelFileError
from gantools.training.recipe import Recipe, exported_networks, networks_of


def write(
    path: Path,
    recipe: Recipe[Any, Any],
    networks: Mapping[str, nn.Module],
    config: RunConfig,
    step: int,
    validation: Mapping[str, float],
    run: Mapping[str, Any],
) -> None:
    """Write the exported ones of ``networks`` as they are. Raises OSError, or ModelFileError for NaN or infinity.

    ``run`` is its ``run.json``, which knows whose weights it began with or learned from: their licences go with them.
    """
    about = {"step": step, "seed": config.seed, "validation": validation, "config": config.portable()}
    start = run.get("init_from") or {}
    if imported := start.get("imported"):
        about["started_from"] = imported
    taught = [*start.get("distilled_from", ()), *run.get("teachers", ())]
    if taught:
        about["distilled_from"] = [each for number, each in enumerate(taught) if each not in taught[:number]]
    weights.save(path, config.recipe, recipe.exports(), exported_networks(recipe, networks), about)


def write_from_state(
    path: Path, kind: type[Recipe[Any, Any]], config: RunConfig, step: int, state: Any, run: Mapping[str, Any]
) -> None:
    """Write what the run wrote, or would have written, beside the checkpoint with this ``state``.

    Raises ModelFileError for a state that does not fit ``config``, and as ``write`` does.
    """
    with torch.random.fork_rng([]):  # the first weights, which are replaced, are drawn
        recipe = kind(config)
    networks = networks_of(list(recipe.stages()))
    try:
        for name, network in networks.items():
            network.load_state_dict(state["networks"][name])
        if state["average"] is not None:
            for name, network in exported_networks(recipe, networks).items():
                network.load_state_dict(state["average"]["average"][name])
        validation = state["validation"]["latest"]
    except (RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(f"the checkpoint of step {step} does not fit its configuration ({reason})") from error
    write(path, recipe, networks, config, step, validation, run)
