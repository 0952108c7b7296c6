"""Installed packages against what gantools asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from gantools.doctor.report import Finding, Level, pip

OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")


@dataclass(frozen=True)
class Requirement:
    """A package with a lowest version, as gantools's metadata state it."""

    name: str
    floor: str
    optional: bool


def versions() -> dict[str, str | None]:
    """The installed version of each package gantools asks for, None where it is missing; unused extras are left out."""
    found = {wanted.name: version(wanted.name) for wanted in requirements()}
    needed = {wanted.name for wanted in requirements() if not wanted.optional}
    return {name: installed for name, installed in found.items() if installed or name in needed}


def version(name: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(package: str = "gantools") -> list[Requirement]:
    """What an installed package asks for with ``>=`` or ``==``; nothing when it is not installed itself."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    parsed = (re.match(r"([\w.-]+)(?:\[[^]]*])? *\(?(?:>=|==) *([\w.+]+)", line) for line in lines)
    return [
        Requirement(match[1], match[2], "extra ==" in line) for match, line in zip(parsed, lines, strict=True) if match
    ]


def findings() -> Iterator[Finding]:
    """Missing, too old or quarrelling packages."""
    if version("gantools") is None:
        yield Finding("problem", "gantools itself is not installed, only found beside you", pip("install -e ."))
    for wanted in requirements():
        yield from _judge(wanted)
    yield from _torch_pair()
    yield from _opencv_twins([name for name in OPENCV if version(name)])


def _judge(wanted: Requirement) -> Iterator[Finding]:
    installed = version(wanted.name)
    if installed is None and not wanted.optional:
        yield Finding("problem", f"{wanted.name} is not installed", pip(f"install '{wanted.name}>={wanted.floor}'"))
    if installed is not None and _numbers(installed) < _numbers(wanted.floor):
        what = f"{wanted.name} {installed} is older than {wanted.floor}"
        level: Level = "warning" if wanted.optional else "problem"
        yield Finding(level, what, pip(f"install --upgrade '{wanted.name}>={wanted.floor}'"))


def _torch_pair() -> Iterator[Finding]:
    """torchvision's operators are built against one torch."""
    torch, torchvision = version("torch"), version("torchvision")
    for wanted in requirements("torchvision") if torch else ():
        assert torch is not None
        if wanted.name == "torch" and _numbers(torch) < _numbers(wanted.floor):
            what = f"torchvision {torchvision} was built for torch {wanted.floor}, here is torch {torch}"
            yield Finding("problem", what, pip("install --upgrade torch torchvision"))


def _opencv_twins(installed: Sequence[str]) -> Iterator[Finding]:
    """Several builds of OpenCV write into the same ``cv2`` folder: the last one installed wins, in parts."""
    if len(installed) > 1:
        mend = f"{pip('uninstall -y ' + ' '.join(installed))} && {pip('install opencv-python-headless')}"
        yield Finding("warning", f"{' and '.join(installed)} share one cv2 folder; keep the headless one", mend)


def _numbers(text: str) -> tuple[int, ...]:
    """The release numbers of a version: ``2.11.0+cu130`` → (2, 11); trailing zeros do not count."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
