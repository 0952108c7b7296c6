"""Devices: by name, with their precision settings, and how they report that memory ran out."""

from __future__ import annotations

import torch

from gantools.errors import UsageError

_NO_MEMORY = (
    "allocate memory",  # the CPU
    "out of memory",  # "CUDA error: …", "CUDA driver error: …", "MPS backend …", outside of torch's allocators
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "Invalid buffer size",  # Metal: larger than a buffer may be
)


def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then MPS, then the CPU. Raises UsageError for a missing device."""
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
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # streams, graphs and compiled kernels go to the current device
    return device


def set_speed(device: torch.device, *, fast: bool) -> None:
    """Let CUDA compute float32 as float32; with ``fast`` in TF32, and by the fastest convolution algorithm.

    torch's own default is TF32, with 10 bits of fraction instead of 23, for convolutions. These are settings of the
    whole program. The older names are set: they also set ``fp32_precision``, and torch's compiler reads them.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = fast
        torch.backends.cudnn.allow_tf32 = fast
        torch.backends.cuda.matmul.allow_tf32 = fast


def has_bf16(device: torch.device) -> bool:
    """True where the device multiplies bf16 in hardware (on a CPU: AVX512-BF16 or AMX)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older torch cannot be asked
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, however torch reports it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)
