"""Image-to-image GAN recipes: one training loop, one file format, one command line.

What is listed in ``__all__`` is imported at its first use: ``import gantools`` alone imports nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gantools.api import (
        compare,
        configure,
        describe,
        evaluate,
        evaluate_pairs,
        export_weights,
        generate,
        infer,
        load_model,
        read_config,
        resume,
        train,
    )

__version__ = "0.1.0"

__all__ = [
    "compare",
    "configure",
    "describe",
    "evaluate",
    "evaluate_pairs",
    "export_weights",
    "generate",
    "infer",
    "load_model",
    "read_config",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gantools' has no attribute {name!r}")
    from gantools import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
