"""Quick commands stay quick: nothing heavy is imported to answer or to refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "numpy", "cv2", "PIL", "rich.progress", "fsspec")
SCRIPT = f"""
import atexit, sys
from gantools.cli.start import main
atexit.register(lambda: sys.stderr.write("\\nheavy: " + " ".join(n for n in {HEAVY} if n in sys.modules) + "\\n"))
main()
"""


def imported(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Exit code of ``gantools ARGUMENTS`` and which heavy modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, env=os.environ
    )
    return done.returncode, done.stderr.splitlines()[-1].removeprefix("heavy: ").removeprefix("heavy:")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list"], 0),
        (["list", "--json"], 0),
        (["show", "pix2pix"], 0),
        (["show", "pix2pix", "seed=3"], 0),
        (["--help"], 0),
        (["train", "--help"], 0),
        (["infer", "--help"], 0),
        (["--version"], 0),
        (["schema", "srgan"], 0),
        (["train", "--bogus"], 2),
        (["train", "pix2px"], 2),
        (["train", "pix2pix", "model.generator.downs=many"], 2),
        (["data", "synth", "srgan"], 2),
        (["data", "edges", "--help"], 0),
        (["data", "blur", "--settings"], 0),
        (["data", "align", "--help"], 0),
        (["weights", "list"], 0),
        (["mix", "--help"], 0),
        (["edit", "--help"], 0),
        (["directions", "learn", "--help"], 0),
        (["compare", "--help"], 0),
        (["eval", "--help"], 0),
        (["eval", "srgan", "--data", "nowhere"], 2),
        (["eval", "--fail-under", "x"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_no_heavy_imports(arguments: list[str], code: int, tmp_path: Path) -> None:
    assert imported(*arguments, cwd=tmp_path) == (code, "")


def test_the_check_would_notice(tmp_path: Path) -> None:
    code, heavy = imported("check", "pix2pix", cwd=tmp_path)
    assert code == 2
    assert {"torch", "numpy"} <= set(heavy.split())


def test_compare_reads_what_a_model_takes_without_torch(tmp_path: Path) -> None:
    code, heavy = imported("compare", "srgan", "-o", "c.html", cwd=tmp_path)
    assert code == 2
    assert "torch" not in heavy.split()


def test_faces_are_looked_for_without_torch(tmp_path: Path) -> None:
    code, heavy = imported("data", "align", "none.jpg", cwd=tmp_path)
    assert (code, "torch" in heavy.split()) == (2, False)


def test_help_imports_no_configuration(tmp_path: Path) -> None:
    script = (
        "import atexit, sys; from gantools.cli.start import main;"
        "heavy = ('pydantic', 'yaml', 'multiprocessing', 'concurrent.futures');"
        "atexit.register(lambda: sys.stderr.write(' '.join(name for name in heavy if name in sys.modules)));"
        "main()"
    )
    command = [sys.executable, "-c", script, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
