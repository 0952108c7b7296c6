"""Peak memory of a contender, each in a process of its own: ``python -m gantools.benchmark.memory CASE CONTENDER``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from gantools.benchmark.cases import Case, chosen
from gantools.benchmark.contenders import PLAIN, modes, our_step, plain_step
from gantools.devices import choose_device
from gantools.errors import TrainingError

STEPS = 3
"""The third step has every buffer: gradients, moments, and those of the step before."""


def peak_megabytes(case: Case, contender: str, device: torch.device, *, small: bool) -> float:
    """The process's peak, everything included; on a GPU the device's memory. Raises TrainingError when it fails."""
    size = "small" if small else "full"
    command = [sys.executable, "-m", "gantools.benchmark.memory", case.name, contender, str(device), size]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise TrainingError(f"measuring the memory of {case.name}, {contender}: {last[0]}")
    return float(ended.stdout)


def _main(name: str, contender: str, device_name: str, size: str) -> None:
    (case,), device = chosen([name]), choose_device(device_name)
    settings = case.settings(small=size == "small")
    if contender == PLAIN:
        step = plain_step(settings, case.stage, device)
    else:
        mode = next(mode for mode in modes(device) if mode.name == contender)
        step = our_step(settings, case.stage, device, mode)
    for _ in range(STEPS):
        step()
    print(_peak_bytes(device) / 2**20)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage's: that begins with the parent's, in whose memory the child lived until exec.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    _main(*sys.argv[1:])
