"""Load metrics: each with the feature network it needs, all called in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gantools.errors import UsageError
from gantools.metrics import features
from gantools.metrics.protocols import MetricProtocol
from gantools.pretrained.catalogue import weights_folder
from gantools.pretrained.feature_networks import FEATURE_NETWORKS, installed_file

if TYPE_CHECKING:
    import torch

    from gantools.images.image import Pixels
    from gantools.images.ops.masks import Mask
    from gantools.metrics.frechet import Embedder

LPIPS_HEADS: Mapping[str, str] = {"alexnet": "alex", "vgg16": "vgg", "squeezenet1_1": "squeeze"}


class MetricFunction(Protocol):
    """Computes one metric of one result. ``hole`` is True where pixels were missing, if any were."""

    def __call__(self, made: Pixels, truth: Pixels, hole: Mask | None) -> float: ...


@dataclass(frozen=True)
class LoadedMetrics:
    """Metrics by name: ``functions`` for single images, ``embedders`` for whole sets.

    ``networks`` says which feature network a metric uses.
    """

    protocols: tuple[MetricProtocol, ...]
    functions: Mapping[str, MetricFunction]
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    @property
    def undirected(self) -> tuple[str, ...]:
        """The metrics of which neither more nor less is better: values should come near the truth's own."""
        return tuple(protocol.name for protocol in self.protocols if protocol.better == "neither")

    def lines(self) -> list[str]:
        """The protocol of every metric, a line each."""
        return [protocol.line(self.networks.get(protocol.name)) for protocol in self.protocols]


class FeatureFiles:
    """The feature networks at hand: files that were given, recognised by their content, before installed ones."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._given = {features.recognise(path): path for path in files}

    def find(self, network: str) -> Path | None:
        """The file of a network, where there is one."""
        installed = FEATURE_NETWORKS.get(network)
        return self._given.get(network) or (installed_file(installed, weights_folder()) if installed else None)

    def choose(self, protocol: MetricProtocol) -> tuple[str, Path]:
        """The network that a metric looks with: a given one first. Raises UsageError where none is at hand."""
        wanted = sorted(protocol.networks, key=lambda network: network not in self._given)
        for network in wanted:
            if path := self.find(network):
                return network, path
        known = [network for network in protocol.networks if network in FEATURE_NETWORKS]
        fetch = f", or run `gantools weights fetch {known[0]}`" if known else ""
        networks = " or ".join(protocol.networks)
        raise UsageError(
            f"{protocol.name} looks through {networks}: give its weights with --feature-weights FILE{fetch}"
        )

    def heads(self, network: str) -> Path:
        """LPIPS' learnt weights for a backbone: given, or those that come with torchmetrics. Raises UsageError."""
        short, spec = LPIPS_HEADS[network], find_spec("torchmetrics")
        folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
        installed = [folder / "functional" / "image" / "lpips_models" / f"{short}.pth" for folder in folders]
        found = self._given.get(f"lpips_{short}") or next((path for path in installed if path.is_file()), None)
        if found is None:
            raise UsageError(
                f"lpips_{short} has learnt weights beside those of {network}: install torchmetrics, which brings them, "
                f"or give its authors' {short}.pth with --feature-weights"
            )
        return found


def prepare(protocols: Iterable[MetricProtocol], files: FeatureFiles, device: torch.device | str) -> LoadedMetrics:
    """Make metrics ready. Raises UsageError when a feature network is missing, ModelFileError when it is unfit."""
    wanted = tuple(protocols)
    functions: dict[str, MetricFunction] = {}
    embedders: dict[str, Embedder] = {}
    networks: dict[str, str] = {}
    for protocol in wanted:
        arguments: tuple[Any, ...] = ()
        if protocol.networks:
            network, path = files.choose(protocol)
            networks[protocol.name], arguments = network, (path,)
            if protocol.name.startswith("lpips"):
                arguments = (path, files.heads(network), network)
            elif protocol.takes == "sets":
                arguments = (path, network)
        if protocol.takes == "sets":
            embedders[protocol.name] = _attribute(protocol)(*arguments, device)
        else:
            functions[protocol.name] = _function(protocol, arguments, device)
    return LoadedMetrics(wanted, functions, embedders, networks)


def _function(protocol: MetricProtocol, arguments: tuple[Any, ...], device: torch.device | str) -> MetricFunction:
    """One way to call every kind of metric."""
    measure = _attribute(protocol)
    if protocol.takes == "hole":

        def of_hole(made: Pixels, truth: Pixels, hole: Mask | None) -> float:
            if hole is None:
                raise UsageError(f"{protocol.name} measures what was missing from images, and nothing is missing here")
            return float(measure(made, truth, np.asarray(hole)))

        return of_hole
    if protocol.takes == "result":
        return lambda made, truth, hole: measure(made)  # noqa: ARG005 - it judges the result alone
    if protocol.takes == "class":
        score, index = measure(*arguments, device), int(protocol.name.partition(":")[2])
        return lambda made, truth, hole: score(made, index)  # noqa: ARG005
    compare = measure(*arguments, device) if protocol.takes == "features" else measure
    return lambda made, truth, hole: compare(made, truth)  # noqa: ARG005


def _attribute(protocol: MetricProtocol) -> Callable[..., Any]:
    module, _, attribute = protocol.target.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"gantools.metrics.{module}"), attribute)
    return found
