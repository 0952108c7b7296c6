"""What is installed: weights, feature networks, and whether gantools can work here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools.config.command import with_changes
from gantools.importing.options import ImportOptions

if TYPE_CHECKING:
    from gantools.doctor import Report
    from gantools.pretrained.feature_networks import FeatureNetwork


def check_installation() -> Report:
    """Facts about this installation, and what is wrong with it, with commands that fix it."""
    from gantools import doctor

    return doctor.examine()


def list_weights() -> list[dict[str, Any]]:
    """The installed weights, and the other networks that can be downloaded, as ``gantools weights list --json``.

    >>> from gantools import api
    >>> sorted({row["kind"] for row in api.list_weights()})
    ['face detector', 'feature network', 'weights', 'weights of others']
    """
    from gantools.inference.find_weights import origin_of
    from gantools.pretrained.catalogue import installed
    from gantools.pretrained.feature_networks import FEATURE_NETWORKS, PUBLIC_WEIGHTS

    rows = []
    for weights in installed():
        card = weights.card()
        about = {"recipe": card.recipe if card else None, "about": card.purpose if card else origin_of(weights.path)}
        megabytes = round(weights.path.stat().st_size / 1e6, 1)
        state = "shipped" if weights.shipped else "installed"
        row = {"kind": "weights", "name": weights.name, **about, "megabytes": megabytes, "state": state}
        rows.append({**row, "path": str(weights.path)})
    installed_names = {row["name"] for row in rows}
    public = [network for name, network in PUBLIC_WEIGHTS.items() if name not in installed_names]
    return [*rows, *map(_of_network, [*FEATURE_NETWORKS.values(), *public])]


def describe_weights(weights: str) -> dict[str, Any]:
    """The card and networks of installed weights, a feature network, a run or a file, as ``gantools weights info``.

    Raises UsageError and ModelFileError.
    """
    from gantools.checkpoint.weights import describe
    from gantools.inference.find_weights import resolve
    from gantools.pretrained.card import find_image, read_card
    from gantools.pretrained.catalogue import installed
    from gantools.pretrained.feature_networks import FEATURE_NETWORKS, PUBLIC_WEIGHTS

    if weights in FEATURE_NETWORKS:
        return _of_network(FEATURE_NETWORKS[weights])
    if weights in PUBLIC_WEIGHTS and not any(each.name == weights for each in installed()):
        return _of_network(PUBLIC_WEIGHTS[weights])
    path = resolve(weights, also=FEATURE_NETWORKS)
    card, image, file = read_card(path), find_image(path), asdict(describe(path))
    del file["tensors"]
    shown = {"image": str(image) if image else None, "card": card.model_dump(mode="json") if card else None}
    return {"path": str(path), **shown, "file": file}


def describe_networks(model: str | Path) -> dict[str, Any]:
    """What a model's file says of its networks, read without torch: ``exports`` by name, ``recipe``, ``about``.

    ``path`` is the file, ``blends_with`` what ``--blend`` goes to. Raises UsageError and ModelFileError.

    >>> from gantools import api
    >>> api.describe_networks("srgan")["exports"]["generator"]["scale"]
    4
    """
    from gantools.exporting import newest
    from gantools.inference import find_weights
    from gantools.pretrained.card import read_card

    newest.make_ready(model)
    path = find_weights.resolve(model)
    card = read_card(path)
    return {"path": str(path), "blends_with": card.starts_from if card else None, **find_weights.header(path)}


def fetch_weights(
    network: str,
    file: Path | None = None,
    *,
    message: Callable[[str], None] = lambda _text: None,
    progress: bool = False,
) -> Path:
    """Download, check and install a network's weights, or install ``file`` instead; where they are.

    Weights of other codes are imported, too. ``message`` gets what will be downloaded, ``progress`` shows a bar on
    stderr. Raises UsageError, ModelFileError, and GantoolsError without a connection.
    """
    from gantools.pretrained import feature_networks
    from gantools.pretrained.catalogue import weights_folder

    known = feature_networks.find(network)
    is_public = network in feature_networks.PUBLIC_WEIGHTS
    folder = weights_folder().parent / "downloads" if is_public else weights_folder()
    if file is None:
        message(f"{known.url} ({known.megabytes:g} MB unless installed)")
        path = feature_networks.fetch(known, folder, progress=progress)
    else:
        path = feature_networks.install(known, file, folder)
    if not is_public:
        return path
    return _imported(known, path)


def _imported(known: FeatureNetwork, path: Path) -> Path:
    """Weights of another code, installed as ours; the downloaded file is of no further use."""
    from gantools.importing import run

    origin = {"origin": known.url, "licence": known.licence, "sha256": known.sha256}
    installed = run.import_weights(path, ImportOptions(name=known.name, overwrite=True), origin)
    path.unlink(missing_ok=True)
    return installed


def import_weights(file: str | os.PathLike[str], options: ImportOptions | None = None, **changes: Any) -> Path:
    """Write another code's weights as ours, as ``gantools weights import``; the new file.

    ``changes`` are options of the command by name, such as ``output="ffhq.safetensors"`` or ``network="G"``. Nothing in
    the file is executed. Raises UsageError and ModelFileError for what is refused, GantoolsError where ``check`` finds
    another image; nothing is written then.
    """
    from gantools.importing import run

    return run.import_weights(Path(file), with_changes(options or ImportOptions(), changes, "weights import"))


def _of_network(network: FeatureNetwork) -> dict[str, Any]:
    from gantools.pretrained.catalogue import weights_folder
    from gantools.pretrained.feature_networks import installed_file

    file = installed_file(network, weights_folder())
    return {
        "kind": network.kind,
        "name": network.name,
        "about": network.used_for,
        "megabytes": network.megabytes,
        "state": "installed" if file else "not installed",
        "path": str(file) if file else None,
        "url": network.url,
        "licence": network.licence,
    }
