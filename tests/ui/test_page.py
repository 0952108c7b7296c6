"""The page in a browser, driven by mouse and keyboard: what it makes is what the command line makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gantools import infer


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo with EXIF."""
    path, exif = tmp_path / "photo.jpg", Image.Exif()
    exif[0x010E] = "a drawn photo"
    rows, columns = np.mgrid[:72, :96]
    pixels = np.stack([rows * 3, columns * 2, 255 - rows - columns], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


def pixels_of(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_an_image_becomes_the_bytes_that_infer_writes_and_is_compared_by_a_slider(
    tab: Any, photo: Path, tmp_path: Path
) -> None:
    tab.open("srgan/psnr", "Run")
    tab.upload(photo)
    tab.button("Run").click()
    made = tab.download("photo.srgan-psnr.jpg")
    (result,) = infer("srgan/psnr", photo, output=tmp_path / "by-infer.jpg")
    assert made == (tmp_path / "by-infer.jpg").read_bytes(), result.error
    assert tab.page.get_by_text("gantools infer srgan/psnr photo.jpg").count() == 1
    handle = tab.page.get_by_test_id("slider").locator(".icon-wrap")
    before = handle.bounding_box()
    tab.page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    tab.page.mouse.down()
    tab.page.mouse.move(before["x"] - 100, before["y"], steps=4)
    tab.page.mouse.up()
    assert handle.bounding_box()["x"] < before["x"] - 50


def test_exactly_the_painted_pixels_are_filled(tab: Any, photo: Path, tmp_path: Path) -> None:
    original = tmp_path / "photo.png"
    with Image.open(photo) as image:
        image.save(original)
    tab.open("context_encoder", "Fill in")
    tab.upload(original)
    tab.canvas_of("photo.png")
    tab.drag((0.45, 0.5), (0.55, 0.5))
    tab.button("Fill in").click()
    filled, mask = tmp_path / "filled.png", tmp_path / "mask.png"
    filled.write_bytes(tab.download("photo.context_encoder.png"))
    mask.write_bytes(tab.download("photo-mask.png"))
    with Image.open(mask) as image:
        painted = np.asarray(image)[..., 3] > 127
    changed = (pixels_of(filled) != pixels_of(original)).any(axis=2)
    assert painted.shape == changed.shape
    assert 4 <= painted.sum() < painted.size / 2
    assert not changed[~painted].any()
    assert changed[painted].mean() > 0.5
    (result,) = infer("context_encoder", original, mask=mask, output=tmp_path / "by-infer.png")
    assert filled.read_bytes() == (tmp_path / "by-infer.png").read_bytes(), result.error


@pytest.mark.parametrize(
    ("name", "says"),
    [("broken.png", "broken.png: "), ("vast.png", "vast.png: 10000×10000 is 100,000,000 pixels")],
)
def test_a_file_that_is_broken_or_too_large_is_one_message(tab: Any, tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    if name == "vast.png":
        Image.new("1", (10_000, 10_000)).save(path)
    tab.open("srgan/psnr", "Run")
    tab.upload(path)
    tab.button("Run").click()
    message = tab.page.get_by_test_id("toast-text")
    message.wait_for()
    assert message.count() == 1
    assert message.inner_text().startswith(says)
    assert "/" not in message.inner_text()
