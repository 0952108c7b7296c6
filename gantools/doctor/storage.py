"""Room on disk and in shared memory, gantools's own folder, installed weights."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gantools.doctor.report import Finding, pip
from gantools.errors import ModelFileError
from gantools.pretrained import catalogue
from gantools.pretrained.card import card_path
from gantools.pretrained.feature_networks import FEATURE_NETWORKS, installed_file

SHARED_MEMORY = Path("/dev/shm")
LEAST_FREE_GIGABYTES = 1.0
LEAST_SHARED_MEGABYTES = 256


def facts() -> dict[str, Any]:
    """Free room, by place."""
    return {
        "home": str(gantools_home()),
        "free_gigabytes": {name: free_gigabytes(folder) for name, folder in _folders().items()},
        "shared_memory_megabytes": shared_memory_megabytes(),
    }


def weights_facts() -> dict[str, Any]:
    """Installed weights and feature networks, by name."""
    folder = catalogue.weights_folder()
    fetched = [network.name for network in FEATURE_NETWORKS.values() if installed_file(network, folder)]
    return {"recipes": [weights.name for weights in catalogue.installed()], "feature_networks": fetched}


def gantools_home() -> Path:
    """``$GANTOOLS_HOME``."""
    return catalogue.weights_folder().parent


def free_gigabytes(folder: Path) -> float:
    """Room left for this user where ``folder`` is, or would be made."""
    return round(shutil.disk_usage(_existing(folder)).free / 1e9, 1)


def shared_memory_megabytes() -> int | None:
    """Size of the shared memory that loader processes hand batches over in; None where it is no file system."""
    if not SHARED_MEMORY.is_dir():
        return None
    return shutil.disk_usage(SHARED_MEMORY).total // 1_000_000


def findings() -> Iterator[Finding]:
    """Too little room, a folder that cannot be written, damaged cards."""
    yield from _disk_findings()
    yield from _shared_memory_findings(shared_memory_megabytes())
    yield from _card_findings()


def _disk_findings() -> Iterator[Finding]:
    for name, folder in _folders().items():
        free = free_gigabytes(folder)
        if free < LEAST_FREE_GIGABYTES:
            what = f"only {free} GB are free in the {name} folder, {folder}"
            yield Finding("warning", what, f"du -xh {shlex.quote(str(folder))} | sort -h | tail")
    home = gantools_home()
    if not os.access(_existing(home), os.W_OK):
        yield Finding("warning", f"{home} cannot be written: no weights can be fetched", "export GANTOOLS_HOME=FOLDER")


def _shared_memory_findings(megabytes: int | None) -> Iterator[Finding]:
    if megabytes is not None and megabytes < LEAST_SHARED_MEGABYTES:
        what = f"/dev/shm has {megabytes} MB, too little for several loader processes"
        yield Finding("warning", what, "docker run --shm-size=1g …  # or train with data.workers=0")


def _card_findings() -> Iterator[Finding]:
    for weights in catalogue.installed():
        try:
            weights.card()
        except ModelFileError as error:
            remove = f"rm {shlex.quote(str(card_path(weights.path)))}"
            yield Finding(
                "problem", str(error), pip("install --force-reinstall gantools") if weights.shipped else remove
            )


def _folders() -> dict[str, Path]:
    return {"working": Path.cwd(), "gantools": gantools_home(), "temporary": Path(tempfile.gettempdir())}


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)
