"""What is faster on this CPU: measured once per machine, kept in ``$GANTOOLS_HOME/speed``.

The flags of a CPU do not say it: bf16 is twice as fast as fp32 on some CPUs with AVX512-BF16, and slower on others.
docs/decisions/0020 says how a choice is made and why results stay the same.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from gantools import files
from gantools.pretrained import catalogue

Contender: TypeAlias = Callable[[], Callable[[], object]]
"""Prepares something and returns what is then timed."""

SWITCH = "GANTOOLS_MEASURE"
"""With 0 in this environment variable nothing is measured: the first of all choices is taken."""
MARGIN = 1.1
"""A choice gives way to the next one only where that is so many times as fast: noise changes nothing."""
BUSY_LOAD = 1.25
"""Processes that want a core, per core, from which on a computer is busy."""
HOPELESS = 4
"""What takes so many times as long as the first at the warm-up is not timed again."""
LEAST_ROUNDS, MOST_ROUNDS = 3, 9
PATIENCE_SECONDS = 0.5
CPU_INFO = Path("/proc/cpuinfo")
_CPU_FACTS = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features"),
)
_CHANNELS, _SIDE_PX = 128, 32


class TooSlow(Exception):
    """One run takes longer than the measurement may."""


@dataclass(frozen=True)
class Measured:
    """How many times as fast as the first of them several ways to compute are; ``ratios`` begins with it, at 1."""

    subject: str
    ratios: Mapping[str, float]

    @property
    def fastest(self) -> str:
        """The one to take: a later one only where it is clearly faster."""
        chosen, *others = self.ratios
        for name in others:
            if self.ratios[name] >= MARGIN * self.ratios[chosen]:
                chosen = name
        return chosen

    def __str__(self) -> str:
        plain, *others = self.ratios
        compared = ", ".join(f"{name} {self.ratios[name]:.2f} times" for name in others)
        return f"{self.fastest} ({compared} as fast as {plain}, measured on this CPU)"


def is_wanted() -> bool:
    """Whether choices are made by measurement."""
    return os.environ.get(SWITCH) != "0"


def is_quiet() -> bool:
    """Whether this computer does little else: threads that wait for each other distort any ratio of times."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return load <= BUSY_LOAD * (os.cpu_count() or 1)


def ratios(
    contenders: Mapping[str, Contender],
    *,
    most_seconds: float = math.inf,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """How many times as fast as the first each contender is, in CPU time: by medians or least times, the smaller.

    They take turns, so that a busy moment meets them all, after one turn that warms up. What is hopelessly slow there
    has no further turn, and what fails is left out. Raises TooSlow when the first needs more than ``most_seconds``, or
    what it raises.
    """
    if not is_wanted():
        return dict.fromkeys(contenders, 1.0)

    def seconds(contender: Contender) -> float:
        run = contender()
        started = clock()
        run()
        return max(clock() - started, 1e-9)

    plain, *others = contenders
    started = clock()
    first = {plain: seconds(contenders[plain])}
    if first[plain] > most_seconds:
        raise TooSlow
    for name in others:
        with suppress(RuntimeError):  # this CPU, or this torch, does not have it
            first[name] = seconds(contenders[name])
    times: dict[str, list[float]] = {name: [] for name in first if first[name] <= HOPELESS * first[plain]}
    for turn in range(MOST_ROUNDS):
        if turn >= LEAST_ROUNDS and clock() - started > PATIENCE_SECONDS * torch.get_num_threads():
            break
        for name, taken in times.items():
            taken.append(seconds(contenders[name]))
    medians = first | {name: statistics.median(taken) for name, taken in times.items()}
    least = first | {name: min(taken) for name, taken in times.items()}
    return {name: min(found[plain] / found[name] for found in (medians, least)) for name in first}


def measured(subject: str, options: Any, measure: Callable[[], Mapping[str, float]]) -> tuple[Measured, bool]:
    """What ``measure`` finds, or found before on this machine; and whether it is kept for the next time.

    ``options`` is what the times depend on besides ``subject``, as JSON. Of several processes that measure at once the
    first one's result is kept, and all of them use it. What is measured beside other work is not kept.
    """
    if not is_wanted():
        return Measured(subject, measure()), False
    path = _path(subject, options)
    known = _read(path)
    if known is not None:
        return known, True
    found = Measured(subject, {name: round(ratio, 3) for name, ratio in measure().items()})
    if is_quiet():
        content = {"machine": machine(), "options": options, **asdict(found)}
        with suppress(OSError):  # then it is measured again next time
            if path.exists() and _read(path) is None:
                path.unlink()
            files.write_new(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        known = _read(path)
    return known or found, known is not None


def all_kept() -> list[Measured]:
    """Everything that was measured on this machine, with the threads and the torch of this process."""
    found = (_read(path) for path in folder().glob("*.json"))
    return sorted((one for one in found if one is not None), key=lambda one: one.subject)


def folder() -> Path:
    """Where measurements are kept. Without it everything is measured again."""
    return catalogue.weights_folder().parent / "speed"


def _path(subject: str, options: Any) -> Path:
    return folder() / f"{_digest([machine(), subject, options])}.json"


def _read(path: Path) -> Measured | None:
    """A measurement of this machine; None where there is none, or the file is damaged."""
    try:
        known = json.loads(path.read_bytes())
        found = Measured(known["subject"], {str(name): float(ratio) for name, ratio in known["ratios"].items()})
        sound = known["machine"] == machine() and all(0 <= ratio < math.inf for ratio in found.ratios.values())
        return found if sound and found.ratios else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def machine() -> dict[str, Any]:
    """What times depend on besides the work."""
    return {
        "processor": processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def processor() -> str:
    """Model and flags of this CPU, the flags as a digest."""
    if not CPU_INFO.is_file():
        return platform.processor() or platform.machine()
    first = CPU_INFO.read_text(errors="replace").split("\n\n")[0]
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    relevant = {key: facts[key] for key in _CPU_FACTS if key in facts}
    return f"{relevant.get('model name') or platform.machine()} {_digest(relevant)}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def convolution(*, keep: bool = True) -> Measured:
    """A convolution with its gradients in fp32 and bf16, contiguous and channels_last: what all networks consist of.

    ``keep`` False: a new measurement is not kept.
    """
    subject, options = "3×3 convolution", [_CHANNELS, _SIDE_PX]
    if keep:
        return measured(subject, options, _convolution_ratios)[0]
    return _read(_path(subject, options)) or Measured(subject, _convolution_ratios())


def _convolution_ratios() -> Mapping[str, float]:
    with torch.random.fork_rng(devices=[]):
        layer = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        maps = torch.randn(1, _CHANNELS, _SIDE_PX, _SIDE_PX)

    def contender(layout: torch.memory_format, bf16: bool) -> Contender:
        def run() -> None:
            with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                output = own(given)
            output.backward(torch.ones_like(output))

        own = copy.deepcopy(layer).to(memory_format=layout)
        given = maps.contiguous(memory_format=layout).requires_grad_()
        return lambda: run

    formats = {"": torch.contiguous_format, " channels_last": torch.channels_last}
    return ratios(
        {
            f"{name}{suffix}": contender(layout, bf16)
            for name, bf16 in (("fp32", False), ("bf16", True))
            for suffix, layout in formats.items()
        }
    )
