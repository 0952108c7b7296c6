"""A network through torch.compile, once for every image shape. Whatever cannot be compiled runs as it is.

docs/benchmarks.md has the measured gains; docs/decisions/0017 and 0028 say why it is off by default.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gantools.devices import is_out_of_memory

Network: TypeAlias = Callable[[Tensor], Tensor]

MOST_SHAPES = 64
"""Shapes whose code is held at a time; torch keeps all of it on disk."""

MOST_GRAPH_PX = 1 << 20
"""Above a megapixel the kernel launches that a CUDA graph saves no longer count."""

_TOLERANCE = {None: 1e-3, torch.bfloat16: 0.02, torch.float16: 0.02}
"""How far compiled code may be from the network on average; wrong code is off by more."""


class CompiledNetwork:
    """A network that is compiled for every image shape, on CUDA with CUDA graphs for small images.

    Compiling depends on the shape alone, so an image's result does not depend on the images before it. Each compiled
    shape is compared with the network on the same noise. A shape that fails runs uncompiled; the first one is reported.
    """

    def __init__(self, network: Network, dtype: torch.dtype | None) -> None:
        self._network, self._dtype = network, dtype
        self._by_shape: dict[tuple[int, ...], Network] = {}
        self._warned = False

    def __call__(self, image: Tensor) -> Tensor:
        shape = tuple(image.shape)
        if shape not in self._by_shape:
            self._by_shape[shape] = self._compiled(image)
        return self._by_shape[shape](image.contiguous())

    def _compiled(self, image: Tensor) -> Network:
        """The network for images of this shape. Raises torch.OutOfMemoryError, so that the image is cut."""
        # Beyond its limit, 8 shapes by default, torch runs a function uncompiled without a word.
        config: Any = import_module("torch._dynamo.config")
        config.recompile_limit = max(config.recompile_limit, 2 * MOST_SHAPES)
        if len(self._by_shape) == MOST_SHAPES:
            self._by_shape.clear()
            torch.compiler.reset()
        graphs = image.device.type == "cuda" and image.shape[0] * image.shape[2] * image.shape[3] <= MOST_GRAPH_PX
        mode = "reduce-overhead" if graphs else None
        noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1).to(image.device)
        try:
            compiled: Network = torch.compile(self._network, dynamic=False, fullgraph=True, mode=mode)
            error = float((compiled(noise).float() - self._network(noise).float()).abs().mean())
            if not error <= _TOLERANCE[self._dtype]:
                raise ArithmeticError(f"compiled, it is off by {error:.2g} on average")
        except Exception as error:  # a compiler can fail in any way, and images are computed without it
            if is_out_of_memory(error):
                raise
            self._warn(error)
            return self._network
        # The next replay of a CUDA graph overwrites its output.
        return (lambda image: compiled(image).clone()) if graphs else compiled

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            warnings.warn(f"--compile: a network runs uncompiled ({reason})", stacklevel=2)
