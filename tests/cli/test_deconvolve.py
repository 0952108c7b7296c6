"""``gantools infer deblur --kernel``: a known blur undone without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.data.synthetic import drawing
from gantools.images.image import Image, Metadata
from gantools.images.io import reader, writer
from gantools.images.ops.blur import convolve, normalised
from gantools.metrics.pixels import psnr_rgb

LINE = np.eye(3)


@pytest.fixture
def blurred(here: Path) -> Path:
    """A folder with ``photo.png``, its blurred version ``in.png``, and ``kernel.npy``."""
    np.save(here / "kernel.npy", LINE)
    photo = drawing.draw_image("scenes", 0, 64, seed=0)
    writer.write(Image(photo), here / "photo.png")
    pixels = (convolve(photo, normalised(LINE)) + 0.5).clip(0, 255).astype(np.uint8)
    writer.write(Image(pixels, metadata=Metadata(dpi=(72.0, 72.0))), here / "in.png")
    return here


@pytest.mark.parametrize("method", [[], ["--method", "richardson_lucy", "--iterations", "30"], ["--balance", "0.003"]])
def test_a_blurred_photo_becomes_sharper(method: list[str], gantools: Any, blurred: Path) -> None:
    before = sorted(blurred.iterdir())
    planned = gantools("infer", "deblur", "in.png", "--kernel", "kernel.npy", *method, "-n")
    assert sorted(blurred.iterdir()) == before
    done = gantools("infer", "deblur", "in.png", "--kernel", "kernel.npy", *method)
    assert (planned.code, planned.out) == (done.code, done.out)
    name = "in.deblur-richardson_lucy.png" if method[:1] == ["--method"] else "in.deblur-wiener.png"
    assert (done.code, done.out) == (0, f"{name}\n"), done.err
    photo, given, made = (reader.read(blurred / name) for name in ("photo.png", "in.png", name))
    assert psnr_rgb(made.pixels, photo.pixels) > psnr_rgb(given.pixels, photo.pixels) + 1
    assert made.metadata.dpi == given.metadata.dpi


def test_alpha_gray_and_16_bits_are_kept(gantools: Any, blurred: Path) -> None:
    rng = np.random.default_rng(0)
    gray = np.repeat(rng.integers(0, 65536, (9, 7, 1), np.uint16), 3, axis=2)
    alpha = rng.integers(0, 65536, (9, 7), np.uint16)
    writer.write(Image(gray, alpha, gray=True), blurred / "deep.png")
    assert gantools("infer", "deblur", "deep.png", "--kernel", "kernel.npy", "-o", "made.png").code == 0
    made = reader.read(blurred / "made.png")
    assert (made.gray, made.pixels.dtype) == (True, np.uint16)
    assert made.alpha is not None
    np.testing.assert_array_equal(made.alpha, alpha)
    assert gantools("infer", "deblur", "deep.png", "--kernel", "kernel.npy", "-o", "b.png", "--alpha", "drop").code == 0
    assert reader.read(blurred / "b.png").alpha is None


def test_folders_and_json(gantools: Any, blurred: Path) -> None:
    (blurred / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    done = gantools("infer", "deblur", ".", "-o", "out", "--kernel", "kernel.npy", "--json")
    assert done.code == 3
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert {row["input"]: row["status"] for row in rows[:-1]} == {
        "broken.png": "failed",
        "in.png": "done",
        "photo.png": "done",
    }
    summary = rows[-1]["summary"]
    assert (summary["kernel"], summary["method"], summary["done"], summary["failed"]) == ("kernel.npy", "wiener", 2, 1)
