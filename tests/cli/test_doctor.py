"""``gantools doctor``: it tells what is wrong, survives broken packages and exits accordingly."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gantools import cores, doctor
from gantools.cli.commands import doctor as command
from gantools.doctor import Finding, Probe, Report
from gantools.images.image import Image
from gantools.images.io import writer

SOUND_TORCH = {"cuda": [], "cuda_build": None, "threads": 1}


def fake_package(folder: Path, name: str, body: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(body)


def invoke(*words: str):
    app = typer.Typer()
    app.command()(command.doctor)
    return CliRunner().invoke(app, list(words))


def test_this_installation_is_looked_over():
    report = doctor.examine()
    assert report.facts["packages"]["torch"]
    assert report.facts["device"]["chosen"]
    assert report.facts["computer"]["usable_cores"] >= 1
    assert report.facts["storage"]["free_gigabytes"]["working"] > 0
    assert not [finding for finding in report.findings if finding.what.startswith("import ")]
    json.dumps(report.facts)


def test_broken_packages_are_told_and_survived(tmp_path, monkeypatch):
    fake_package(tmp_path, "torch", "raise OSError('libcudart.so.13: cannot open shared object file')")
    fake_package(tmp_path, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    fake_package(tmp_path, "cv2", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = invoke("--json")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert told["ok"] is False
    by_package = {finding["what"].split()[1]: finding for finding in told["findings"] if finding["level"] == "problem"}
    assert "libcudart.so.13" in by_package["torch:"]["what"]
    assert "install --upgrade --force-reinstall torch torchvision" in by_package["torchvision:"]["mend"]
    assert "code -9" in by_package["cv2:"]["what"]


def test_a_hanging_import_is_given_up(tmp_path, monkeypatch):
    fake_package(tmp_path, "cv2", "import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "IMPORTED", ("cv2",))
    monkeypatch.setattr(doctor, "TIMEOUT_SECONDS", 0.5)
    assert "did not answer" in doctor.probe_all()["cv2"].error


@pytest.mark.parametrize(
    ("name", "error", "mend"),
    [
        ("cv2", "ImportError: libGL.so.1: cannot open shared object file", "opencv-python-headless"),
        ("cv2", "ModuleNotFoundError: No module named 'cv2'", "install opencv-python-headless"),
        ("torchvision", "RuntimeError: operator torchvision::nms does not exist", "torch torchvision"),
    ],
)
def test_every_failed_import_comes_with_its_remedy(name, error, mend):
    probed = {"torch": Probe(SOUND_TORCH), name: Probe(error=error)}
    (finding,) = [one for one in doctor.import_findings(probed) if one.level == "problem"]
    assert error in finding.what
    assert finding.fix.endswith(mend)


def test_a_card_that_cannot_compute_is_a_problem():
    card = {"name": "Old", "error": "no kernel image is available"}
    (finding,) = doctor.import_findings({"torch": Probe({**SOUND_TORCH, "cuda": [card]})})
    assert finding.level == "problem"
    assert "no kernel image" in finding.what


@pytest.mark.parametrize(("build", "said"), [(None, "without CUDA"), ("13.0", "finds no usable card")])
def test_an_unused_nvidia_driver_is_a_warning(tmp_path, monkeypatch, build, said):
    (tmp_path / "version").touch()
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", tmp_path / "version")
    (finding,) = doctor.import_findings({"torch": Probe({**SOUND_TORCH, "cuda_build": build})})
    assert finding.level == "warning"
    assert said in finding.what


def test_missing_old_and_conflicting_packages(monkeypatch):
    installed = {"gantools": "0.1", "torch": "2.11.0+cpu", "numpy": "1.26.4"}
    installed |= {"opencv-python": "4.13", "opencv-python-headless": "4.13"}
    monkeypatch.setattr(doctor, "version", installed.get)
    monkeypatch.setattr(doctor, "requirements", lambda: {"torch": "2.11", "numpy": "2.0", "pillow": "13"})
    assert [finding.what for finding in doctor.package_findings()] == [
        "numpy 1.26.4 is older than 2.0",
        "pillow is not installed",
        "opencv-python and opencv-python-headless share one cv2 folder; keep the headless one",
    ]


def test_requirements_are_read_from_metadata(monkeypatch):
    lines = ["torch>=2.11", "numpy", 'pytest (>=8.3) ; extra == "dev"', "pyyaml (>=6.0.1)"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: lines)
    assert doctor.requirements() == {"torch": "2.11", "pyyaml": "6.0.1"}


def test_little_room_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(doctor, "LEAST_FREE_GIGABYTES", float("inf"))
    monkeypatch.setattr(doctor, "shared_memory_megabytes", lambda: 64)
    told = [finding.what for finding in doctor.storage_findings()]
    assert [text.split()[0] for text in told] == ["only", "only", "only", "/dev/shm"]


def test_more_threads_than_a_containers_quota_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    assert cores.usable_cores() == 1
    (finding,) = doctor.thread_findings(threads=8)
    assert finding.fix == "export OMP_NUM_THREADS=1"
    assert list(doctor.thread_findings(threads=1)) == []
    assert list(doctor.thread_findings(threads=None)) == []


@pytest.mark.parametrize(
    ("findings", "code", "last"),
    [
        ((), 0, "OK"),
        ((Finding("warning", "w", "m"),), 0, "1 warning: see the lines above"),
        ((Finding("problem", "p", "m"),) * 2, 1, "2 problems: see the lines above"),
    ],
)
def test_exit_code_and_verdict(monkeypatch, findings, code, last):
    report = Report({"python": {"version": "3.11", "list": [{"a": True}], "nothing": None}}, findings)
    monkeypatch.setattr(doctor, "examine", lambda: report)
    answer = invoke()
    assert answer.exit_code == code
    assert answer.stdout.splitlines()[-1] == last
    assert "a yes" in answer.stdout


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home and an entry among the users, as containers give their processes."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("GANTOOLS_HOME", raising=False)

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("nobody")
def test_nobody_needs_a_home(gantools: Any, here: Path) -> None:
    writer.write(Image(np.zeros((8, 8, 3), np.uint8)), here / "in.png")
    assert "/nonexistent" in gantools("doctor").out
    assert "restore" in gantools("weights", "list").out
    done = gantools("infer", "restore", "in.png")
    assert (done.code, done.out) == (0, "in.restore.png\n"), done.err
    for words in (("--data", "~/x"), ("data.dir=~/x",)):
        refused = gantools("check", "srgan/mse", *words)
        assert (refused.code, refused.only_error) == (
            2,
            "data.dir: '~/x' does not exist; give a folder with --data DIR",
        )
    masked = gantools("check", "context_encoder/random_block", "--data", ".", "data.mask={name: file, path: ~/m.png}")
    assert "'~/m.png' does not exist" in masked.only_error
