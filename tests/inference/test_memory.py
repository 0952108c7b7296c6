"""What a network's features take, as it is estimated and as a process of its own finds it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from gantools.devices import is_out_of_memory
from gantools.inference import memory
from gantools.inference.memory import HEAP_BYTES, AcceleratorMemory, CpuMemory, may_be_too_large

_MEASURE = r"""
import re, resource, sys
from pathlib import Path
import torch
from gantools.inference.memory import bytes_per_px
from gantools.inference.kernels.select import NetworkVariants
from gantools.models import GENERATORS
from gantools.models.options import CompactRestorationOptions, CompactSROptions
options, side_px = {"restoration": CompactRestorationOptions, "sr": CompactSROptions}[sys.argv[1]](), int(sys.argv[2])
torch.set_num_threads(1)
torch.manual_seed(0)
network = GENERATORS.build(options).eval().requires_grad_(False)
variants = NetworkVariants(network, torch.device("cpu"))
estimate = bytes_per_px(lambda image: variants(image, None), 3, 16, torch.device("cpu")) * side_px**2
pages = int(Path("/proc/self/statm").read_text().split()[1])
with torch.inference_mode():
    variants(torch.rand(1, 3, side_px, side_px), None)
peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024  # not its parent's
print(int(estimate), peak - pages * resource.getpagesize())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("network", "side_px"), [("restoration", 1328), ("sr", 384)])
def test_the_peak_is_what_is_counted_on(network: str, side_px: int) -> None:
    """Features as estimated, and what the C library keeps of them, which differs from run to run by a tenth."""
    process = subprocess.run([sys.executable, "-c", _MEASURE, network, str(side_px)], check=True, capture_output=True)
    estimate, peak = map(int, process.stdout.split())
    print(f"{network}: estimated {estimate >> 20} MB, peak {peak >> 20} MB")
    assert estimate / 1.5 <= peak <= 1.25 * (estimate + min(estimate, HEAP_BYTES))


@pytest.mark.parametrize(("available", "free"), [(1 << 20, 0.4 * (1 << 20)), (4 << 30, 0.8 * (4 << 30) - HEAP_BYTES)])
def test_what_the_heap_keeps_is_not_free(monkeypatch: pytest.MonkeyPatch, available: int, free: float) -> None:
    monkeypatch.setattr(memory, "_available_bytes", lambda: iter([available]))
    assert CpuMemory().free_bytes() == pytest.approx(free, abs=1)
    with pytest.raises(MemoryError):
        CpuMemory().claim(int(free) + 2)


def test_available_memory_is_asked_of_the_system() -> None:
    memory = CpuMemory()
    assert 0 < memory.preferred_bytes() <= memory.free_bytes()
    memory.claim(1)
    with pytest.raises(MemoryError):
        memory.claim(1 << 60)


@pytest.mark.parametrize(("kind", "comfortable"), [("cuda", 4 << 30), ("mps", 3 << 29)])
def test_no_piece_on_an_accelerator_is_larger_than_its_kernels_can_count(
    kind: str, comfortable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 GiB free would put 2³¹ elements and more into one tensor."""
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (80 << 30, 96 << 30))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 80 << 30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 0)
    memory = AcceleratorMemory(torch.device(kind))
    assert memory.preferred_bytes() == comfortable <= torch.bfloat16.itemsize << 31
    assert memory.free_bytes() == pytest.approx(64 << 30)


@pytest.mark.parametrize(
    ("text", "no_memory", "too_large"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", True, True),
        ("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", True, True),
        ("CUDA driver error: out of memory", True, True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True, True),
        ("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1 GB)", True, True),
        ("Invalid buffer size: 12.34 GiB", True, True),
        ("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED", False, True),
        ("GET was unable to find an engine to execute this computation", False, True),
        ("MPSGraph does not support tensor dims larger than INT_MAX", False, True),
        ("Expected canUse32BitIndexMath(input) to be true, but got false.", False, True),
        ("CUDA error: an illegal memory access was encountered", False, False),
        ("mat1 and mat2 shapes cannot be multiplied", False, False),
    ],
)
def test_what_an_error_says_of_memory_and_size(text: str, no_memory: bool, too_large: bool) -> None:
    assert is_out_of_memory(RuntimeError(text)) == no_memory
    assert may_be_too_large(RuntimeError(text)) == too_large
    assert not may_be_too_large(ValueError(text))
