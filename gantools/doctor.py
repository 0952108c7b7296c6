"""Check an installation: packages, imports, devices, disk space, weights, and a command that fixes each problem.

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
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gantools import __version__
from gantools.errors import ModelFileError
from gantools.pretrained import catalogue
from gantools.pretrained.card import card_path
from gantools.pretrained.feature_networks import FEATURE_NETWORKS, installed_file

IMPORTED = ("torch", "torchvision", "cv2")
OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
TIMEOUT_SECONDS = 120
LEAST_FREE_GIGABYTES, LEAST_SHARED_MEGABYTES = 1.0, 256
CPU_INFO, CPU_QUOTA = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup/cpu.max")
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


@dataclass(frozen=True)
class Probe:
    """What a package said about itself, or the last line of its failure."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


Probes: TypeAlias = Mapping[str, Probe]


def examine() -> Report:
    """Check everything. Packages are imported in processes of their own, so that broken ones are survived."""
    probes = probe_all()
    weights = catalogue.weights_folder()
    facts: dict[str, Any] = {
        "gantools": {"version": __version__},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "packages": _package_versions(),
        "computer": _computer_facts(),
        "device": probes["torch"].facts,
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
    threads = probes["torch"].facts.get("threads")
    return Report(
        facts, (*package_findings(), *import_findings(probes), *thread_findings(threads), *storage_findings())
    )


def pip(arguments: str) -> str:
    """The command that runs this Python's pip."""
    return f"{shlex.quote(sys.executable)} -m pip {arguments}"


# --- packages


@dataclass(frozen=True)
class Requirement:
    """A package with its lowest version, as gantools' metadata state it."""

    name: str
    floor: str
    optional: bool


def package_findings() -> Iterator[Finding]:
    """Missing, old or conflicting packages."""
    if version("gantools") is None:
        yield Finding("problem", "gantools is importable here, but not installed", pip("install -e ."))
    for wanted in requirements():
        installed, package = version(wanted.name), f"'{wanted.name}>={wanted.floor}'"
        if installed is None and not wanted.optional:
            yield Finding("problem", f"{wanted.name} is not installed", pip(f"install {package}"))
        if installed is not None and _release(installed) < _release(wanted.floor):
            what = f"{wanted.name} {installed} is older than {wanted.floor}"
            yield Finding("warning" if wanted.optional else "problem", what, pip(f"install --upgrade {package}"))
    torch = version("torch")
    for wanted in requirements("torchvision") if torch else ():  # its operators are built for one torch
        if wanted.name == "torch" and torch and _release(torch) < _release(wanted.floor):
            what = f"torchvision {version('torchvision')} was built for torch {wanted.floor}, here is torch {torch}"
            yield Finding("problem", what, pip("install --upgrade torch torchvision"))
    opencv = [name for name in OPENCV if version(name)]
    if len(opencv) > 1:  # the last one installed wins, in parts
        fix = f"{pip('uninstall -y ' + ' '.join(opencv))} && {pip('install opencv-python-headless')}"
        yield Finding("warning", f"{' and '.join(opencv)} share one cv2 folder; keep the headless one", fix)


def version(name: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(package: str = "gantools") -> list[Requirement]:
    """What an installed package requires with ``>=`` or ``==``; nothing when it is not installed."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    parsed = (re.match(r"([\w.-]+)(?:\[[^]]*])? *\(?(?:>=|==) *([\w.+]+)", line) for line in lines)
    found = zip(parsed, lines, strict=True)
    return [Requirement(match[1], match[2], "extra ==" in line) for match, line in found if match]


def _package_versions() -> dict[str, str | None]:
    """The installed version of each required package; of optional ones only those that are installed."""
    found = {wanted.name: version(wanted.name) for wanted in requirements()}
    needed = {wanted.name for wanted in requirements() if not wanted.optional}
    return {name: known for name, known in found.items() if known or name in needed}


def _release(text: str) -> tuple[int, ...]:
    """The release numbers of a version without trailing zeros: ``2.11.0+cu130`` → (2, 11)."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


# --- imports and devices


def probe_all() -> Probes:
    """Import each package in a process of its own, all at once."""
    paths = [os.environ.get("PYTHONPATH"), str(Path(__file__).resolve().parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-P", "-m", "gantools.doctor"]
    pipe = subprocess.PIPE
    running = {
        name: subprocess.Popen([*command, name], stdout=pipe, stderr=pipe, text=True, env=environment)
        for name in IMPORTED
    }
    return {name: _probe(process) for name, process in running.items()}


def _probe(process: subprocess.Popen[str]) -> Probe:
    try:
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Probe(error=f"did not answer in {TIMEOUT_SECONDS} s")
    if process.returncode:
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        return Probe(error=lines[-1] if lines else f"its process ended with code {process.returncode}")
    return Probe(json.loads(output.splitlines()[-1]))


def import_findings(probes: Probes) -> Iterator[Finding]:
    """Packages that cannot be imported, and devices that cannot be used."""
    reinstall = pip("install --upgrade --force-reinstall torch torchvision")
    for name, probe in probes.items():
        fix = reinstall
        if name == "cv2":
            uninstall, again = "uninstall -y opencv-python opencv-contrib-python", "install --force-reinstall"
            fix = f"{pip(uninstall)} && {pip(again)} opencv-python-headless"
        if "No module named" in (probe.error or ""):
            fix = pip(f"install {'opencv-python-headless' if name == 'cv2' else name}")
        if probe.error:
            yield Finding("problem", f"import {name}: {probe.error}", fix)
    torch = probes["torch"].facts
    for number, card in enumerate(torch.get("cuda", ())):
        if card["error"]:
            what = f"cuda:{number} ({card['name']}) cannot compute: {card['error']}"
            fix = pip("install --upgrade torch torchvision") + "  # or train with --device cpu"
            yield Finding("problem", what, fix)
    if torch and not torch["cuda"] and NVIDIA_DRIVER.exists():
        what, fix = "an NVIDIA driver is installed, but this torch was built without CUDA", reinstall
        if torch["cuda_build"] is not None:
            what = f"an NVIDIA driver is installed, but torch (for CUDA {torch['cuda_build']}) finds no usable card"
            fix = "nvidia-smi  # shows the driver and its cards: it may be older than this torch needs"
        yield Finding("warning", what, fix)


def _imported_facts(name: str) -> dict[str, Any]:
    """What a package says about itself once it is imported; of torch the devices and the one gantools would choose."""
    if name == "cv2":
        import cv2

        return {"version": cv2.__version__}
    if name == "torchvision":
        import torchvision  # registers its operators, which fails beside another torch than it was built for

        return {"version": torchvision.__version__}
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

    properties, error = torch.cuda.get_device_properties(number), None
    try:  # a build without kernels for the card fails only when something is computed
        float((torch.ones(2, device=f"cuda:{number}") * 2).sum())
    except RuntimeError as failure:
        error = str(failure).splitlines()[0]
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return {"name": properties.name, "gigabytes": round(properties.total_memory / 1e9, 1), "bf16": bf16, "error": error}


# --- computer


def _computer_facts() -> dict[str, Any]:
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):  # the system does not say
        memory = None
    lines = CPU_INFO.read_text(errors="replace").splitlines() if CPU_INFO.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gigabytes": memory,
        "threads_set": os.environ.get("OMP_NUM_THREADS"),
    }


def usable_cores() -> float:
    """Cores this process may use: its affinity, and a container's quota where there is one."""
    cores: float = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = CPU_QUOTA.read_text().split() if CPU_QUOTA.is_file() else ["max"]
    return cores if quota[0] == "max" else min(cores, round(int(quota[0]) / int(quota[1]), 1))


def thread_findings(threads: int | None) -> Iterator[Finding]:
    """``threads`` is how many torch uses; more than usable cores only wait for each other."""
    cores = max(1, int(usable_cores()))
    if threads is not None and threads > cores:
        what = f"torch uses {threads} threads, but only {cores} cores may be used here"
        yield Finding("warning", what, f"export OMP_NUM_THREADS={cores}")


# --- storage


def storage_findings() -> Iterator[Finding]:
    """Little free space, a folder that cannot be written, damaged cards."""
    for name, folder in _folders().items():
        if (free := _free_gigabytes(folder)) < LEAST_FREE_GIGABYTES:
            what = f"only {free} GB are free in the {name} folder, {folder}"
            yield Finding("warning", what, f"du -xh {shlex.quote(str(folder))} | sort -h | tail")
    home = _folders()["gantools"]
    if not os.access(_existing(home), os.W_OK):
        yield Finding("warning", f"{home} cannot be written: no weights can be fetched", "export GANTOOLS_HOME=FOLDER")
    megabytes = shared_memory_megabytes()
    if megabytes is not None and megabytes < LEAST_SHARED_MEGABYTES:
        what = f"/dev/shm has {megabytes} MB, too little for several loader processes"
        yield Finding("warning", what, "docker run --shm-size=1g …  # or train with data.workers=0")
    for weights in catalogue.installed():
        try:
            weights.card()
        except ModelFileError as error:
            remove = f"rm {shlex.quote(str(card_path(weights.path)))}"
            fix = pip("install --force-reinstall gantools") if weights.shipped else remove
            yield Finding("problem", str(error), fix)


def shared_memory_megabytes() -> int | None:
    """Size of the shared memory through which loader processes hand over batches; None where it is no file system."""
    return shutil.disk_usage(SHARED_MEMORY).total // 1_000_000 if SHARED_MEMORY.is_dir() else None


def _folders() -> dict[str, Path]:
    home = catalogue.weights_folder().parent
    return {"working": Path.cwd(), "gantools": home, "temporary": Path(tempfile.gettempdir())}


def _free_gigabytes(folder: Path) -> float:
    return round(shutil.disk_usage(_existing(folder)).free / 1e9, 1)


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)


if __name__ == "__main__":
    print(json.dumps(_imported_facts(sys.argv[1])))
