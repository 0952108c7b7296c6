"""Traced graphs into functions of this computer's own, by torch's compiler."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

Lower: TypeAlias = Callable[[Any, Any, dict[str, Any]], Any]
"""Turns a traced graph, its inputs and the compiler's options into a function."""


def inductor(graph: Any, inputs: Any, options: dict[str, Any]) -> Any:
    """Compile a graph: C++ for processors, Triton for GPUs. torch keeps what was compiled, also for other runs."""
    return import_module("torch._inductor.compile_fx").compile_fx(graph, inputs, config_patches=options)


class Complaint:
    """Says once why something runs uncompiled."""

    def __init__(self, about: str) -> None:
        self._about, self._told = about, False

    def tell(self, error: Exception) -> None:
        """Warn of it in one line, if nothing was said yet."""
        if not self._told:
            self._told = True
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            warnings.warn(f"{self._about} runs uncompiled ({reason})", stacklevel=2)
