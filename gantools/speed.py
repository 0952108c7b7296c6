"""What is faster on this processor: measured once for each machine, kept in ``$GANTOOLS_HOME/speed``.

A processor's flags do not say it: bf16 is twice as fast as fp32 on some that have AVX512-BF16, and slower on others.
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
"""Makes something ready, and gives what is then timed."""

SWITCH = "GANTOOLS_MEASURE"
"""With 0 in this environment variable nothing is measured: the first of all choices is taken."""
MARGIN = 1.1
"""A choice gives way to the next one only where that is so many times as fast: noise changes nothing."""
BUSY_LOAD = 1.25
"""Processes that want a core, for each there is, from which on a computer is busy."""
HOPELESS = 4
"""Who takes so many times as long as the first even while both warm up is not timed again."""
LEAST_ROUNDS, MOST_ROUNDS = 3, 9
PATIENCE_SECONDS = 0.5
CPU_INFO = Path("/proc/cpuinfo")
_CPU_FACTS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
_ARM_FACTS = ("CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features")
_CHANNELS, _SIDE_PX = 128, 32


class TooSlow(Exception):
    """One turn takes longer than the measurement may."""


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
        said = [f"{name} {self.ratios[name]:.2f} times" for name in others]
        return f"{self.fastest} ({', '.join(said)} as fast as {plain}, measured on this processor)"


def both_clocks() -> tuple[float, float]:
    """Seconds on the clock, and of processor time, which other programs hardly disturb."""
    return time.perf_counter(), time.process_time()


def ratios(
    contenders: Mapping[str, Contender],
    *,
    most_seconds: float = math.inf,
    clocks: Callable[[], tuple[float, float]] = both_clocks,
) -> dict[str, float]:
    """How many times as fast as the first each contender is, in processor time: by medians or least times, the less.

    They take turns, so that a busy moment meets them all. Whoever is hopelessly slow at first has no further turn, and
    who fails is left out. Raises TooSlow when the first needs more than ``most_seconds``, or what it raises.
    """
    if not is_wanted():
        return dict.fromkeys(contenders, 1.0)
    plain, *others = contenders
    begun, first = clocks()[0], {plain: _seconds(contenders[plain], clocks)}
    if first[plain] > most_seconds:
        raise TooSlow
    for name in others:
        with suppress(RuntimeError):  # this processor, or this torch, has it not
            first[name] = _seconds(contenders[name], clocks)
    seconds: dict[str, list[float]] = {name: [] for name in first if first[name] <= HOPELESS * first[plain]}
    for turn in range(MOST_ROUNDS):
        if turn >= LEAST_ROUNDS and clocks()[0] - begun > PATIENCE_SECONDS:
            break
        for name, took in seconds.items():
            took.append(_seconds(contenders[name], clocks))
    medians = first | {name: statistics.median(took) for name, took in seconds.items()}
    least = first | {name: min(took) for name, took in seconds.items()}
    return {name: min(times[plain] / times[name] for times in (medians, least)) for name in first}


def is_wanted() -> bool:
    """Whether choices are made by measurement."""
    return os.environ.get(SWITCH) != "0"


def is_quiet() -> bool:
    """Whether this computer does little else: threads that wait for each other make any ratio of times otherwise."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return load <= BUSY_LOAD * (os.cpu_count() or 1)


def _seconds(contender: Contender, clocks: Callable[[], tuple[float, float]]) -> float:
    run = contender()
    begun = clocks()[1]
    run()
    return max(clocks()[1] - begun, 1e-9)


def measured(subject: str, options: Any, measure: Callable[[], Mapping[str, float]]) -> tuple[Measured, bool]:
    """What ``measure`` finds, or found before on this machine; and whether it is kept for the next time.

    ``options`` is what the times depend on besides ``subject``, as JSON. Of several processes that measure at once the
    first one's is kept, and all of them use it. What is measured beside other work is not kept.
    """
    if not is_wanted():
        return Measured(subject, measure()), False
    known = _kept(subject, options)
    if known is not None:
        return known, True
    found = Measured(subject, {name: round(ratio, 3) for name, ratio in measure().items()})
    if not is_quiet():
        return found, False
    _keep(found, options)
    known = _kept(subject, options)
    return known or found, known is not None


def all_kept() -> list[Measured]:
    """Everything that was measured on this machine, with the threads and the torch of this process."""
    found = (_read(path) for path in sorted(folder().glob("*.json")))
    known = (Measured(one["subject"], one["ratios"]) for one in found if one and one["machine"] == machine())
    return sorted(known, key=lambda one: one.subject)


def folder() -> Path:
    """Where measurements are kept; who removes it has everything measured again."""
    return catalogue.weights_folder().parent / "speed"


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
    """Model and flags of this processor, the flags as a digest."""
    if not CPU_INFO.is_file():
        return platform.processor() or platform.machine()
    first = CPU_INFO.read_text(errors="replace").split("\n\n")[0]
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    said = {key: facts[key] for key in (*_CPU_FACTS, *_ARM_FACTS) if key in facts}
    return f"{said.get('model name') or platform.machine()} {_digest(said)}"


def convolution(*, keep: bool = True) -> Measured:
    """A convolution with its gradients in fp32 and bf16, contiguous and channels_last: what all networks consist of.

    ``keep`` False: only measured, where it is not known already.
    """
    subject, options = "3×3 convolution", [_CHANNELS, _SIDE_PX]
    if keep:
        return measured(subject, options, _convolution_ratios)[0]
    return _kept(subject, options) or Measured(subject, _convolution_ratios())


def _convolution_ratios() -> Mapping[str, float]:
    with torch.random.fork_rng(devices=[]):
        layer = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        maps = torch.randn(1, _CHANNELS, _SIDE_PX, _SIDE_PX)

    def contender(layout: torch.memory_format, bf16: bool) -> Contender:
        def run() -> None:
            with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                made = own(given)
            made.backward(torch.ones_like(made))

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


def _kept(subject: str, options: Any) -> Measured | None:
    known = _read(_path(subject, options))
    if known is None or (known["machine"], known["subject"], known["options"]) != (machine(), subject, options):
        return None
    return Measured(subject, known["ratios"])


def _read(path: Path) -> dict[str, Any] | None:
    """A kept measurement; None where there is none, or the file is damaged."""
    try:
        known = json.loads(path.read_bytes())
        ratios = {str(name): float(ratio) for name, ratio in known["ratios"].items()}
        sound = bool(ratios) and all(0 <= ratio < math.inf for ratio in ratios.values())
        return {key: known[key] for key in ("machine", "subject", "options")} | {"ratios": ratios} if sound else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _keep(found: Measured, options: Any) -> None:
    """Write a measurement down, unless another process has: where that cannot be, it is measured again next time."""
    path = _path(found.subject, options)
    with suppress(OSError):
        if path.exists() and _read(path) is None:
            path.unlink()
        text = json.dumps({"machine": machine(), "options": options, **asdict(found)}, indent=2, ensure_ascii=False)
        files.write_new(path, (text + "\n").encode())


def _path(subject: str, options: Any) -> Path:
    return folder() / f"{_digest([machine(), subject, options])}.json"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
