"""Check an installation: packages, devices, threads, disk space, with a command that fixes each problem.

``python -m gantools.doctor PACKAGE`` prints what an imported package says about itself; it runs in a process of its
own, because a broken package may crash it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gantools import __version__
from gantools.cores import usable_cores
from gantools.pretrained import catalogue
from gantools.pretrained.feature_networks import FEATURE_NETWORKS, installed_file

IMPORTED = ("torch", "torchvision", "cv2")
OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
TIMEOUT_SECONDS = 120
LEAST_FREE_GIGABYTES, LEAST_SHARED_MEGABYTES = 1.0, 256
CPU_INFO = Path("/proc/cpuinfo")
NVIDIA_DRIVER, SHARED_MEMORY = Path("/proc/driver/nvidia/version"), Path("/dev/shm")


@dataclass(frozen=True)
class Finding:
    """Something wrong and the command that fixes it. A ``problem`` stops gantools, a ``warning`` does not."""

    level: Literal["problem", "warning"]
    what: str
    fix: str


@dataclass(frozen=True)
class Report:
    """Facts by topic, and the findings."""

    facts: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True when nothing stops gantools; warnings do not."""
        return all(finding.level == "warning" for finding in self.findings)


class Probe(NamedTuple):
    """What a package said about itself, or the last line of its failure."""

    facts: Mapping[str, Any] = {}
    error: str | None = None


def examine() -> Report:
    """Check everything. Packages are imported in processes of their own, so that broken ones are survived."""
    probes, weights = probe_all(), catalogue.weights_folder()
    torch = probes["torch"].facts
    facts: dict[str, Any] = {
        "gantools": {"version": __version__},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "packages": {name: version(name) for name in requirements()},
        "computer": _computer_facts(),
        "device": torch,
        "storage": {
            "home": str(weights.parent),
            "free_gigabytes": {name: _free_gigabytes(folder) for name, folder in _folders().items()},
            "shared_memory_megabytes": shared_memory_megabytes(),
        },
        "weights": {
            "recipes": [one.name for one in catalogue.installed()],
            "feature_networks": [one.name for one in FEATURE_NETWORKS.values() if installed_file(one, weights)],
        },
    }
    threads = thread_findings(torch.get("threads"))
    return Report(facts, (*package_findings(), *import_findings(probes), *threads, *storage_findings()))


def pip(arguments: str) -> str:
    """The command that runs this Python's pip."""
    return f"{shlex.quote(sys.executable)} -m pip {arguments}"


def requirements() -> dict[str, str]:
    """The packages that gantools requires with ``>=`` and their lowest versions; none when it is not installed."""
    try:
        lines = metadata.requires("gantools") or []
    except metadata.PackageNotFoundError:
        return {}
    found = (re.match(r"([\w.-]+)(?:\[[^]]*])? *\(?>= *([\w.+]+)\)?$", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def version(name: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def package_findings() -> Iterator[Finding]:
    """Missing, old or conflicting packages."""
    if version("gantools") is None:
        yield Finding("problem", "gantools is importable here, but not installed", pip("install -e ."))
    for name, floor in requirements().items():
        installed, fix = version(name), pip(f"install --upgrade '{name}>={floor}'")
        if installed is None:
            yield Finding("problem", f"{name} is not installed", fix)
        elif _release(installed) < _release(floor):
            yield Finding("problem", f"{name} {installed} is older than {floor}", fix)
    opencv = [name for name in OPENCV if version(name)]
    if len(opencv) > 1:  # the last one installed wins, in parts
        fix = f"{pip('uninstall -y ' + ' '.join(opencv))} && {pip('install opencv-python-headless')}"
        yield Finding("warning", f"{' and '.join(opencv)} share one cv2 folder; keep the headless one", fix)


def _release(text: str) -> list[int]:
    """The first three release numbers of a version: ``2.11.0+cu130`` → [2, 11, 0]."""
    numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]]
    return numbers + [0] * (3 - len(numbers))


def probe_all() -> dict[str, Probe]:
    """Import each package in a process of its own, all at once."""
    with ThreadPoolExecutor(len(IMPORTED)) as pool:
        return dict(zip(IMPORTED, pool.map(_probe, IMPORTED), strict=True))


def _probe(name: str) -> Probe:
    paths = [os.environ.get("PYTHONPATH"), str(Path(__file__).resolve().parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-P", "-m", "gantools.doctor", name]
    try:
        done = subprocess.run(
            command, env=environment, timeout=TIMEOUT_SECONDS, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(error=f"did not answer in {TIMEOUT_SECONDS} s")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"its process ended with code {done.returncode}"]
        return Probe(error=lines[-1].strip())
    return Probe(json.loads(done.stdout.splitlines()[-1]))


def import_findings(probes: Mapping[str, Probe]) -> Iterator[Finding]:
    """Packages that cannot be imported, and devices that cannot be used."""
    reinstall = pip("install --upgrade --force-reinstall torch torchvision")
    uninstall_cv2 = pip("uninstall -y opencv-python opencv-contrib-python")
    reinstall_cv2 = f"{uninstall_cv2} && {pip('install --force-reinstall opencv-python-headless')}"
    for name, probe in probes.items():
        if probe.error:
            yield Finding("problem", f"import {name}: {probe.error}", reinstall_cv2 if name == "cv2" else reinstall)
    torch = probes["torch"].facts
    for number, card in enumerate(torch.get("cuda", ())):
        if card["error"]:
            what = f"cuda:{number} ({card['name']}) cannot compute: {card['error']}"
            yield Finding("problem", what, f"{reinstall}  # or train with --device cpu")
    if torch and not torch["cuda"] and NVIDIA_DRIVER.exists():
        build = torch["cuda_build"]
        what = f"torch (for CUDA {build}) finds no usable card" if build else "this torch was built without CUDA"
        fix = "nvidia-smi  # shows the driver: it may be older than this torch needs" if build else reinstall
        yield Finding("warning", f"an NVIDIA driver is installed, but {what}", fix)


def _torch_facts() -> dict[str, Any]:
    """What torch says of its devices, and the one that gantools would choose."""
    import torch

    from gantools import devices, speed

    chosen, cards = devices.choose_device("auto"), []
    for number in range(torch.cuda.device_count()):
        properties, error = torch.cuda.get_device_properties(number), None
        try:  # a build without kernels for the card fails only when something is computed
            float((torch.ones(2, device=f"cuda:{number}") * 2).sum())
        except RuntimeError as failure:
            error = str(failure).splitlines()[0]
        bf16, gigabytes = devices.has_bf16(torch.device("cuda", number)), round(properties.total_memory / 1e9, 1)
        cards.append({"name": properties.name, "gigabytes": gigabytes, "bf16": bf16, "error": error})
    return {
        "chosen": str(chosen),
        "computes_bf16": devices.has_bf16(chosen),
        "threads": torch.get_num_threads(),
        "processor_speed": f"3×3 convolution: {speed.convolution(keep=False)}",
        "measured": [f"{one.subject}: {one}" for one in speed.all_kept()],
        "cuda_build": torch.version.cuda,
        "cuda": cards,
        "mps": torch.backends.mps.is_available(),
    }


def _computer_facts() -> dict[str, Any]:
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):  # the system does not say
        memory = None
    model = re.search(r"model name\s*: (.+)", CPU_INFO.read_text(errors="replace")) if CPU_INFO.is_file() else None
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gigabytes": memory,
        "threads_set": os.environ.get("OMP_NUM_THREADS"),
    }


def thread_findings(threads: int | None) -> Iterator[Finding]:
    """``threads`` is how many torch uses; more than usable cores only wait for each other."""
    cores = usable_cores()
    if threads is not None and threads > cores:
        what = f"torch uses {threads} threads, but only {cores} cores may be used here"
        yield Finding("warning", what, f"export OMP_NUM_THREADS={cores}")


def storage_findings() -> Iterator[Finding]:
    """Little free space, and little shared memory."""
    for name, folder in _folders().items():
        if (free := _free_gigabytes(folder)) < LEAST_FREE_GIGABYTES:
            what = f"only {free} GB are free in the {name} folder, {folder}"
            yield Finding("warning", what, f"du -xh {shlex.quote(str(folder))} | sort -h | tail")
    megabytes = shared_memory_megabytes()
    if megabytes is not None and megabytes < LEAST_SHARED_MEGABYTES:
        what = f"/dev/shm has {megabytes} MB, too little for several loader processes"
        yield Finding("warning", what, "docker run --shm-size=1g …  # or train with data.workers=0")


def shared_memory_megabytes() -> int | None:
    """Size of the shared memory through which loader processes hand over batches; None where it is no file system."""
    return shutil.disk_usage(SHARED_MEMORY).total // 1_000_000 if SHARED_MEMORY.is_dir() else None


def _folders() -> dict[str, Path]:
    home = catalogue.weights_folder().parent
    return {"working": Path.cwd(), "gantools": home, "temporary": Path(tempfile.gettempdir())}


def _free_gigabytes(folder: Path) -> float:
    """Room on the disk where ``folder`` is, or would be."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return round(shutil.disk_usage(there).free / 1e9, 1)


if __name__ == "__main__":
    package = import_module(sys.argv[1])
    print(json.dumps(_torch_facts() if package.__name__ == "torch" else {"version": package.__version__}))
