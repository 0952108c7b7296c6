"""``gantools weights``: list, describe, download and export weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gantools.cli.output import console, results
from gantools.cli.output.progress import animated

if TYPE_CHECKING:
    from gantools.pretrained.catalogue import Installed
    from gantools.pretrained.feature_networks import FeatureNetwork

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout.")]

MEGABYTE = 1_000_000


@app.command("list")
@console.guarded
def list_weights(json_lines: Json = False) -> None:
    """List the installed weights, and the feature networks that can be downloaded."""
    from gantools.pretrained.catalogue import installed
    from gantools.pretrained.feature_networks import FEATURE_NETWORKS

    rows = [*map(_weights_row, installed()), *map(_network_row, FEATURE_NETWORKS.values())]
    for row in rows:
        if json_lines:
            console.result_json(row)
        else:
            console.result(_line(row))


@app.command("info")
@console.guarded
def info(
    weights: Annotated[
        str, typer.Argument(metavar="NAME|RUN|FILE", help="Installed weights, a feature network, a run or a file.")
    ],
    json_lines: Json = False,
) -> None:
    """Show a weights file's card (data, licence, metrics, limits) and its networks."""
    facts = _facts(weights)
    if json_lines:
        console.result_json(facts)
        return
    import yaml

    text = yaml.safe_dump(json.loads(json.dumps(facts)), sort_keys=False, allow_unicode=True, width=100)
    console.result(text.rstrip())


@app.command("fetch")
@console.guarded
def fetch(
    name: Annotated[str, typer.Argument(metavar="NETWORK", help="vgg16, squeezenet1_0, alexnet …: see list.")],
    from_file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Install this file instead of downloading.")
    ] = None,
) -> None:
    """Download a feature network's ImageNet weights, check and install them. Uses the network."""
    from gantools.pretrained import feature_networks
    from gantools.pretrained.catalogue import weights_folder

    network = feature_networks.find(name)
    if from_file is not None:
        path = feature_networks.install(network, from_file, weights_folder())
    else:
        console.message(f"{network.url} ({network.megabytes:g} MB unless installed)")
        path = feature_networks.fetch(network, weights_folder(), progress=animated())
    console.message(f"{name}: installed, its sha256 is correct")
    console.result(console.quoted(str(path)))


@app.command("export")
@console.guarded
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder; with -o it may still be training.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to [RUN/weights/last.safetensors].")
    ] = None,
    overwrite: results.Overwrite = False,
) -> None:
    """Write the weights of a run's newest checkpoint, for example of a run that was killed."""
    from gantools import exporting

    results.refuse_existing([output], overwrite)
    path, step = exporting.export(run, output)
    console.message(f"weights of step {step}")
    console.result(console.quoted(str(path)))


def _weights_row(weights: Installed) -> dict[str, Any]:
    card = weights.card()
    return {
        "kind": "weights",
        "name": weights.name,
        "recipe": card.recipe if card else None,
        "about": card.purpose if card else "no card",
        "megabytes": round(weights.path.stat().st_size / MEGABYTE, 1),
        "state": "shipped" if weights.shipped else "installed",
        "path": str(weights.path),
    }


def _network_row(network: FeatureNetwork) -> dict[str, Any]:
    from gantools.pretrained.catalogue import weights_folder
    from gantools.pretrained.feature_networks import installed_file

    file = installed_file(network, weights_folder())
    return {
        "kind": "feature network",
        "name": network.name,
        "about": network.used_for,
        "megabytes": network.megabytes,
        "state": "installed" if file else "not installed",
        "path": str(file) if file else None,
        "url": network.url,
    }


def _line(row: dict[str, Any]) -> str:
    name = console.quoted(row["name"])
    return f"{name:<20} {row['state']:<14} {row['megabytes']:>6g} MB  {row['kind']}: {console.quoted(row['about'])}"


def _facts(spec: str) -> dict[str, Any]:
    """Path, card and networks of a name or file."""
    from gantools.inference.find_weights import resolve
    from gantools.pretrained.card import find_picture, read_card
    from gantools.pretrained.feature_networks import FEATURE_NETWORKS

    if spec in FEATURE_NETWORKS:
        return _network_row(FEATURE_NETWORKS[spec])
    path = resolve(spec, also=FEATURE_NETWORKS)
    card, picture = read_card(path), find_picture(path)
    return {
        "path": str(path),
        "picture": str(picture) if picture else None,
        "card": card.model_dump(mode="json") if card else None,
        "file": _description(path),
    }


def _description(path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from gantools.checkpoint.weights import describe

    described = asdict(describe(path))
    del described["tensors"]
    return described
