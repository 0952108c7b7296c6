"""Whether torch, torchvision and cv2 can be imported, and what torch sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from gantools.doctor.report import Finding, pip

PROBED = ("torch", "torchvision", "cv2")
TIMEOUT_SECONDS = 120
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
HEADLESS = "uninstall -y opencv-python opencv-contrib-python && {} install --force-reinstall opencv-python-headless"


@dataclass(frozen=True)
class Probe:
    """What a package said of itself, or the last line of its failure."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


Probed: TypeAlias = Mapping[str, Probe]


def probe_all() -> Probed:
    """Import each package in a process of its own, all at once."""
    running = {name: _start(name) for name in PROBED}
    return {name: _result(process) for name, process in running.items()}


def _start(name: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    command = [sys.executable, "-P", "-m", "gantools.doctor.probe", name]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def _result(process: subprocess.Popen[str]) -> Probe:
    try:
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Probe(error=f"did not answer in {TIMEOUT_SECONDS} s")
    if process.returncode:
        return Probe(error=_last_line(errors) or f"its process ended with code {process.returncode}")
    return Probe(json.loads(output.splitlines()[-1]))


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def device_facts(probed: Probed) -> Mapping[str, Any]:
    """What torch sees; empty when it cannot be imported."""
    return probed["torch"].facts


def findings(probed: Probed) -> Iterator[Finding]:
    """Packages that cannot be imported, and devices that cannot be used."""
    for name, probe in probed.items():
        if probe.error:
            yield Finding("problem", f"import {name}: {probe.error}", _mend(name, probe.error))
    yield from _cuda_findings(probed["torch"])


def _mend(name: str, error: str) -> str:
    if "No module named" in error:
        package = "opencv-python-headless" if name == "cv2" else name
        return pip(f"install {package}")
    if name == "cv2":
        return pip(HEADLESS.format(pip("").rstrip()))
    return pip("install --upgrade --force-reinstall torch torchvision")


def _cuda_findings(torch: Probe) -> Iterator[Finding]:
    for number, card in enumerate(torch.facts.get("cuda", ())):
        if card["error"]:
            what = f"cuda:{number} ({card['name']}) cannot compute: {card['error']}"
            yield Finding(
                "problem", what, pip("install --upgrade torch torchvision") + "  # or train with --device cpu"
            )
    if torch.facts and not torch.facts["cuda"] and NVIDIA_DRIVER.exists():
        yield _unused_driver(torch.facts["cuda_build"])


def _unused_driver(cuda_build: str | None) -> Finding:
    if cuda_build is None:
        mend = pip("install --upgrade --force-reinstall torch torchvision")
        return Finding("warning", "an NVIDIA driver is here, but this torch was built without CUDA", mend)
    what = f"an NVIDIA driver is here, but torch (built for CUDA {cuda_build}) finds no card it can use"
    return Finding(
        "warning", what, "nvidia-smi  # shows the driver and its cards: it may be older than this torch needs"
    )
