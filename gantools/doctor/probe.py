"""Imports one package and prints what it says of itself as JSON; run in a process of its own, because it may crash."""

from __future__ import annotations

import json
import sys
from typing import Any


def torch_facts() -> dict[str, Any]:
    """The devices torch sees, and the one gantools would choose."""
    import torch

    from gantools import devices, speed

    chosen = devices.choose_device("auto")
    return {
        "chosen": str(chosen),
        "computes_bf16": devices.has_bf16(chosen),
        "threads": torch.get_num_threads(),
        "processor_speed": f"3×3 convolution: {speed.convolution(keep=False)}",
        "measured": [f"{one.subject}: {one}" for one in speed.all_kept()],
        "cuda_build": torch.version.cuda,
        "cuda": [_cuda_facts(number) for number in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
    }


def _cuda_facts(number: int) -> dict[str, Any]:
    import torch

    properties = torch.cuda.get_device_properties(number)
    return {
        "name": properties.name,
        "gigabytes": round(properties.total_memory / 1e9, 1),
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
        "error": _cuda_error(number),
    }


def _cuda_error(number: int) -> str | None:
    """A build without kernels for the card is seen only when something is computed on it."""
    import torch

    try:
        float((torch.ones(2, device=f"cuda:{number}") * 2).sum())
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def torchvision_facts() -> dict[str, Any]:
    """Importing it registers its operators, which fails beside another torch than it was built for."""
    import torchvision

    return {"version": torchvision.__version__}


def cv2_facts() -> dict[str, Any]:
    """OpenCV's own version."""
    import cv2

    return {"version": cv2.__version__}


PROBES = {"torch": torch_facts, "torchvision": torchvision_facts, "cv2": cv2_facts}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]]()))
