"""Which device a name means on this computer, and what it can compute with."""

from __future__ import annotations

import torch

from gantools.errors import UsageError


def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then MPS, then the CPU. Raises UsageError for a device that is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: no such device; give auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: gantools runs on cpu, cuda and mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device {name}: this computer has {torch.cuda.device_count()} CUDA devices; try --device cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this computer has no Metal device; try --device cpu")
    return device


def make_fast(device: torch.device) -> None:
    """Let CUDA try out its convolutions and compute float32 in TF32: for the whole program, as torch has it."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cuda.matmul.allow_tf32 = True


def has_bf16(device: torch.device) -> bool:
    """True where the device multiplies bf16 in hardware (on a CPU: AVX512-BF16 or AMX)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    try:
        able = torch.cpu.get_capabilities()
    except AttributeError:  # older torch has no public question
        return False
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
