"""``gantools export``: a generator as a file for other programs, which is compared with the network first."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantools import __version__, files
from gantools.checkpoint import onnx_file
from gantools.errors import GantoolsError, UsageError
from gantools.exporting import newest
from gantools.exporting.options import ExportOptions
from gantools.inference import find_weights
from gantools.pretrained.card import read_card

if TYPE_CHECKING:
    from gantools.checkpoint.weights import Export
    from gantools.exporting.parity import Difference
    from gantools.inference.model import Model

SUFFIXES = (".onnx", ".pt2", ".safetensors")
NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """A written file, the weights it is of, how it differs from the network, and lines about it."""

    path: Path
    weights: Path
    recipe: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a user is told: what the file takes and gives, and how far its results are from the network's."""
        if not self.differences:
            return list(self.notes)
        each = ", ".join(map(str, self.differences))
        return [*self.notes, f"largest difference from the network, by {self.differences[0].engine}: {each}"]

    def facts(self) -> dict[str, Any]:
        """The same as JSON values."""
        each = [asdict(difference) for difference in self.differences]
        facts = {"path": str(self.path), "weights": str(self.weights), "recipe": self.recipe}
        return {**facts, "bytes": self.path.stat().st_size, "differences": each, "notes": list(self.notes)}


def export_model(model: str | Path, output: Path, options: ExportOptions) -> Exported:
    """Write a generator of ``model`` to ``output`` in the format of its suffix: :func:`gantools.api.export_model`."""
    _require(output, options)
    newest.make_ready(model)
    path = find_weights.resolve(model)
    if onnx_file.is_onnx(path):
        raise UsageError(f"{str(path)!r}: is an exported model already; give the run or the weights that it is of")
    recipe = find_weights.recipe_of(path)
    if output.exists() and output.samefile(path):
        raise UsageError(f"{str(output)!r}: is what is to be exported; give another -o")
    if find_weights.takes(path, options.export) == "latent":
        if output.suffix == ".safetensors":
            raise UsageError(f"{str(path)!r} ({recipe}) makes images from noise; it is exported as .onnx or .pt2")
        return _exported_latent(path, output, recipe, options)
    import torch

    from gantools.inference.model import open_model

    opened = open_model(path, export=options.export, device=torch.device("cpu"))
    header = _header(path, opened.export, options)
    if output.suffix == ".safetensors":
        return Exported(output, path, recipe, (), tuple(_write_tensors(output, opened, header, options)))
    from gantools.exporting import graph_file

    content, differences, notes = graph_file.made(output.suffix, opened, header, options)
    files.write_bytes(output, content)
    return Exported(output, path, recipe, differences, notes)


def _exported_latent(path: Path, output: Path, recipe: str, options: ExportOptions) -> Exported:
    from gantools.exporting import latent_file
    from gantools.generation.model import open_model

    opened = open_model(path, options.export)
    header = _header(path, opened.export, options)
    content, differences, notes = latent_file.made(output.suffix, opened, header, options)
    files.write_bytes(output, content)
    return Exported(output, path, recipe, differences, notes)


def _require(output: Path, options: ExportOptions) -> None:
    """Raise UsageError for what can be known to be wrong without torch."""
    suffix = output.suffix
    if suffix not in SUFFIXES:
        raise UsageError(f"-o {output}: its suffix names the format; give one of {', '.join(SUFFIXES)}")
    if os.path.isdir(output):
        raise UsageError(f"-o {output}: is a folder; name a file in it")
    if os.path.lexists(output) and not options.overwrite:
        raise UsageError(f"{str(output)!r}: exists already; --overwrite replaces it")
    plain, default = suffix == ".safetensors", ExportOptions()
    of_graphs = ("size", "uint8", "dropout")
    unfit = [name for name in of_graphs if plain and getattr(options, name) != getattr(default, name)]
    unfit += ["opset"] if suffix != ".onnx" and options.opset != default.opset else []
    if unfit:
        flags = " and ".join(f"--{name}" for name in unfit)
        raise UsageError(f"{flags}: a {suffix} file holds {'weights alone' if plain else 'no ONNX'}; leave it out")
    missing = [name for name in NEEDED if suffix == ".onnx" and importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"writing ONNX needs {', '.join(missing)}: pip install 'gantools[export]'")


def _header(path: Path, export: Export, options: ExportOptions) -> dict[str, Any]:
    """What weights files say of themselves, of this network alone, with the card of installed weights."""
    from gantools.checkpoint import weights

    described, card = weights.describe(path), read_card(path)
    name = options.export or next(iter(described.exports))
    about = {**described.about, "exported_by": f"gantools {__version__}"}
    if card is not None:
        about["card"] = card.model_dump(mode="json")
    return {
        "schema": weights.SCHEMA,
        "recipe": described.recipe,
        "exports": {name: asdict(export)},
        "about": about,
    }


def _write_tensors(output: Path, model: Model, header: dict[str, Any], options: ExportOptions) -> list[str]:
    """The network's tensors by their own names."""
    from gantools.checkpoint import tensors

    stored = {
        name: value.half() if options.half and value.is_floating_point() else value
        for name, value in model.network.state_dict().items()
    }
    if unstorable := [name for name, value in stored.items() if not tensors.is_finite(value)]:
        raise GantoolsError(f"{unstorable[0]} has values that float16 cannot hold; leave out --half")
    with files.whole_file(output) as stream:
        tensors.write(stream, stored, {"format": "pt", "gantools_export": json.dumps(header)})
    values = sum(value.numel() for value in stored.values())
    return [f"{len(stored)} tensors, {values:,} values in {'float16' if options.half else 'float32'}"]
