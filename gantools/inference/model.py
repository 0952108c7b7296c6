"""Opening weights: the description is checked against the network it names before any tensor is read."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gantools.checkpoint import onnx_file, weights
from gantools.checkpoint.weights import Export
from gantools.devices import set_speed
from gantools.errors import ModelFileError, UsageError
from gantools.inference.find_weights import require_image_model, resolve
from gantools.inference.kernels.select import Layout, NetworkVariants, why_not_compiled
from gantools.inference.options import LARGEST_SCALE_TO_PX, InferOptions, Precision
from gantools.models import GENERATORS
from gantools.models.contract import Generator
from gantools.models.options import RunnableOptions, SpandrelOptions
from gantools.registry import did_you_mean

__all__ = ["Model", "open_model", "resolve"]

Shapes = dict[str, tuple[int, ...]]

_OPTIONS: TypeAdapter[RunnableOptions] = TypeAdapter(RunnableOptions)
# auto is float32 on every device: the eight significant bits of bf16 just show in an 8-bit image.
_AUTOCAST: Mapping[Precision, torch.dtype | None] = {
    "auto": None,
    "fp32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


@dataclass(frozen=True, eq=False)
class Model:
    """A generator ready to run, in the mode that its export asks for. ``autocast`` None means float32.

    ``network`` is what was saved; ``variants`` computes the same in fewer operations, in ``layouts`` where they are not
    the usual ones.
    """

    recipe: str
    export: Export
    options: RunnableOptions
    network: nn.Module
    autocast: torch.dtype | None
    compile: bool = False
    layouts: Mapping[torch.dtype | None, Layout] = field(default_factory=dict)

    @cached_property
    def variants(self) -> NetworkVariants:
        """The network as it is computed on this device."""
        return NetworkVariants(self.network, self.device, self.compile, self.layouts)

    @property
    def device(self) -> torch.device:
        """Where the network's weights lie."""
        return next(self.network.parameters()).device

    @property
    def sees_masks(self) -> bool:
        """Whether the network takes the mask as one channel more."""
        told = isinstance(self.options, SpandrelOptions) or self.options.in_channels == self.options.out_channels + 1
        return told and self.export.takes == "masked"

    @property
    def assumed_bytes_per_px(self) -> float | None:
        """Memory of the activations per input pixel where another program computes the network; None: torch does."""
        return None

    @property
    def generator(self) -> Generator:
        """The network as what it says about itself."""
        return cast(Generator, self.network)


def open_model(
    path: Path,
    *,
    export: str | None,
    device: torch.device,
    precision: Precision = "auto",
    blend: Blend | None = None,
    compile: bool = False,
    fast: bool = False,
) -> Model:
    """Open the generator called ``export`` (None: the only one) of a weights file and put it on ``device``.

    With ``blend`` its weights lie between these and others. ``compile``: by torch's compiler, where that may help; else
    a warning says why not. Without ``fast`` float32 is float32 on CUDA too, not TF32.
    Raises ModelFileError when the file does not hold what it describes, UsageError when ``export`` is not in it or the
    others are not of such a network.
    """
    if onnx_file.is_onnx(path):
        from gantools.inference import onnx_model

        asked = InferOptions(precision=precision, compile=compile, export=export, device=str(device), fast=fast)
        return onnx_model.open_for(path, asked if blend is None else replace(asked, blend=blend.share))
    set_speed(device, fast=fast)
    described = weights.describe(path)
    name = chosen(described.exports, export, path)
    require_image_model(path, name)
    options = options_of(described.exports[name], path)
    _require_precision(options, precision)
    network: nn.Module
    if isinstance(options, SpandrelOptions):
        network = _of_other_code(_tensors(path, name, described.exports[name], blend), described.exports[name], path)
    else:
        network = _empty_network(options, _stored_shapes(path, name), described.exports[name], path)
        _fill(network, _tensors(path, name, described.exports[name], blend), path)
    network = network.train(described.exports[name].mode == "train").to(device)
    why_not = why_not_compiled(network, device) if compile else None
    if why_not:
        warnings.warn(f"--compile: this network runs uncompiled ({why_not})", stacklevel=2)
    compiled = compile and why_not is None
    return Model(described.recipe, described.exports[name], options, network, _AUTOCAST[precision], compiled)


def _tensors(path: Path, name: str, export: Export, blend: Blend | None) -> dict[str, Tensor]:
    tensors = weights.load(path).tensors[name]
    return tensors if blend is None else mixed(tensors, export, blend, path)


def _require_precision(options: RunnableOptions, precision: Precision) -> None:
    """Raise UsageError for a precision in which a network of another code cannot be computed."""
    if not isinstance(options, SpandrelOptions):
        return
    supported = {"bf16": options.supports_bf16, "fp16": options.supports_fp16}
    if not supported.get(precision, True):
        raise UsageError(f"--precision {precision}: {options.architecture} cannot be computed in it; leave it out")


def _of_other_code(tensors: Mapping[str, Tensor], export: Export, path: Path) -> nn.Module:
    """The network of another code with its tensors. Raises ModelFileError where they are not what the file says."""
    from gantools.models.generators.spandrel import SpandrelNetwork

    network = SpandrelNetwork.of_stored({key: value.float() for key, value in tensors.items()})
    if network.architecture != export.options["architecture"]:
        raise ModelFileError(f"{str(path)!r}: says {export.options['architecture']}, but holds {network.architecture}")
    _require_description(network, "spandrel", export, path)
    return network


def chosen(exports: Mapping[str, Export], wanted: str | None, path: Path) -> str:
    """The network called ``wanted`` (None: the only one). Raises UsageError."""
    if wanted is not None and wanted not in exports:
        raise UsageError(f"--export {wanted}: {str(path)!r} has no such network{did_you_mean(wanted, exports)}")
    if wanted is None and len(exports) != 1:
        raise UsageError(f"{str(path)!r} holds {len(exports)} networks; choose with --export: {', '.join(exports)}")
    return wanted or next(iter(exports))


def options_of(export: Export, path: Path) -> RunnableOptions:
    """The options that a file states of a network. Raises ModelFileError."""
    try:
        return _OPTIONS.validate_json(json.dumps(export.options))
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(f"{str(path)!r}: describes no network of gantools: {where}: {first['msg']}") from error


def _stored_shapes(path: Path, name: str) -> Shapes:
    prefix = f"{name}/"
    with safe_open(path, framework="pt") as stored:
        keys = [key for key in stored.keys() if key.startswith(prefix)]  # noqa: SIM118 - safe_open is no mapping
        return {key.removeprefix(prefix): tuple(stored.get_slice(key).get_shape()) for key in keys}


def _empty_network(options: RunnableOptions, stored: Shapes, export: Export, path: Path) -> nn.Module:
    """The described network without memory for its weights, if the stored tensors and the description fit it."""
    network = described_network(options, len(stored), export, path)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    _require_equal_shapes(wanted, stored, options.name, path)
    return network


def described_network(options: RunnableOptions, stored: int, export: Export, path: Path) -> nn.Module:
    """The described network without memory for its weights, of which ``stored`` tensors exist.

    Raises ModelFileError where there is no such network, or the file says something else about it than it does.
    """
    network = _built(options, stored, path)
    _require_description(network, options.name, export, path)
    return network


def _require_description(network: nn.Module, kind: str, export: Export, path: Path) -> None:
    """Raise ModelFileError unless what a file says of its network is so."""
    says = cast(Generator, network)
    facts = (says.scale, says.size_multiple, says.minimum_size_px)
    if facts != (export.scale, export.size_multiple, export.minimum_size_px) or export.mode not in ("eval", "train"):
        raise ModelFileError(f"{str(path)!r}: what it says of size and mode does not fit its {kind}")
    if export.gray not in ("keep", "color"):  # or of a later gantools, as what follows
        raise ModelFileError(f"{str(path)!r}: what it says of gray images, {export.gray!r}, is unknown")
    known = {
        "applied_at": ("trained", "native"),
        "shrunk_by": ("area", "darkest"),
        "luminance": ("made", "kept"),
        "fill": ("mean", "telea", "ns"),
    }
    for name, words in known.items():
        if getattr(export, name) not in words:
            raise ModelFileError(f"{str(path)!r}: its {name}, {getattr(export, name)!r}, is unknown")
    side = export.resized_px
    if side is not None and (type(side) is not int or not 1 <= side <= LARGEST_SCALE_TO_PX):
        raise ModelFileError(f"{str(path)!r}: its resized_px, {side!r}, is no side of an image")
    if export.takes not in ("picture", "masked"):
        raise ModelFileError(f"{str(path)!r}: its {kind} takes {export.takes!r}, which this gantools cannot give")


def _built(options: RunnableOptions, stored: int, path: Path) -> nn.Module:
    counts = [value for key, value in options.arguments().items() if key in ("blocks", "downs")]
    if any(count > stored for count in counts):  # building a million layers would take for ever
        raise ModelFileError(f"{str(path)!r}: holds {stored} tensors, too few for the {options.name} that it describes")
    try:
        with torch.device("meta"), _NoInitialisation():
            return GENERATORS.build(options)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{str(path)!r}: no {options.name} can be built as described ({error})") from error


class _NoInitialisation(TorchFunctionMode):
    """First weights are replaced anyway, and torch imports for a second before it draws some without memory."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is Tensor.normal_ or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def _require_equal_shapes(wanted: Shapes, stored: Shapes, kind: str, path: Path) -> None:
    """Raise ModelFileError that says in one line how the stored tensors differ from those of the network."""
    other = [key for key in wanted.keys() & stored.keys() if wanted[key] != stored[key]]
    findings = [
        _count("lacks", sorted(wanted.keys() - stored.keys())),
        _count("has too many", sorted(stored.keys() - wanted.keys())),
        _count("has in another shape", sorted(other)),
    ]
    if any(findings):
        differences = ", ".join(finding for finding in findings if finding)
        raise ModelFileError(f"{str(path)!r}: does not fit the {kind} that it describes: {differences}")


def _count(what: str, keys: list[str]) -> str:
    """``"lacks 3 tensors (first 'head.bias')"``, or nothing."""
    return f"{what} {len(keys)} tensor{'s' * (len(keys) > 1)} (first {keys[0]!r})" if keys else ""


def _fill(network: nn.Module, stored: Mapping[str, Tensor], path: Path) -> None:
    """Give the network its weights. They may be stored in half precision; they are computed with in float32."""
    for key, empty in network.state_dict().items():
        if empty.is_floating_point() != stored[key].is_floating_point():
            raise ModelFileError(f"{str(path)!r}: {key!r} is stored as {stored[key].dtype}")
    floats = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
    network.load_state_dict(floats, assign=True)
    network.requires_grad_(False)


@dataclass(frozen=True)
class Blend:
    """``share`` of a model, 0 to 1, and the rest of the weights ``other``: 0 is ``other`` alone, 1 the model alone.

    Paper: network interpolation (Wang 2018, arXiv 1809.00219). It works where one of them was trained from the other.
    """

    other: Path
    share: float


def mixed(tensors: Mapping[str, Tensor], export: Export, blend: Blend, path: Path) -> dict[str, Tensor]:
    """Return ``share * tensors + (1 - share) * other``, floats as float32; whole numbers as in ``tensors``.

    ``tensors`` are those of ``export`` in the weights file ``path``. Raises UsageError when ``blend.other`` holds no
    network like it.
    """
    other = weights.load(blend.other)
    alike = [name for name, each in other.exports.items() if each.options == export.options]
    if not alike:
        raise UsageError(f"--blend: {str(blend.other)!r} holds no network like that of {str(path)!r}")
    others = other.tensors[alike[0]]
    if {key: value.shape for key, value in others.items()} != {key: value.shape for key, value in tensors.items()}:
        raise UsageError(f"--blend: the tensors of {str(blend.other)!r} are not those of {str(path)!r}")
    return {key: _between(value, others[key], blend.share) for key, value in tensors.items()}


def _between(value: Tensor, other: Tensor, share: float) -> Tensor:
    return other.float().lerp(value.float(), share) if value.is_floating_point() else value
