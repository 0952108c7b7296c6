"""The page in a browser, driven by mouse and keyboard: what it makes is what the command line makes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from gantools import api, infer


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


def test_a_mask_file_or_transparency_says_what_is_filled(tab: Any, photo: Path, tmp_path: Path) -> None:
    mask, holed = Image.new("L", (96, 72)), tmp_path / "holed.png"
    mask.paste(255, (40, 30, 60, 42))
    mask.save(tmp_path / "hole.png")
    with Image.open(photo) as image:
        image.putalpha(ImageOps.invert(mask))
        image.save(holed)
    for source, file, result in (
        (photo, tmp_path / "hole.png", "photo.context_encoder.jpg"),
        (holed, None, "holed.context_encoder.png"),
    ):
        tab.open("context_encoder", "Fill in")
        tab.upload(source)
        tab.canvas_of(source.name)
        if file is not None:
            tab.page.get_by_text("A mask from a file instead").click()
            tab.upload(file, 2)
            tab.page.locator(f"a[download='{file.name}']").wait_for()
        tab.button("Fill in").click()
        made, expected = tab.download(result), tmp_path / result
        (done,) = infer("context_encoder", source, mask=file, output=expected)
        assert made == expected.read_bytes(), done.error
        before, after = (each.bounding_box() for each in tab.page.locator(".slider-wrap img").all())
        assert before == after  # else what lies under the slider is not the same place


def test_a_drawing_goes_on_from_the_outline_of_a_photo(tab: Any, photo: Path, tmp_path: Path) -> None:
    tab.open("pix2pix", "Run")
    tab.canvas_of(None)
    tab.page.get_by_text("Make the outline from a photo").click()
    tab.upload(photo, 1)
    tab.page.locator("img[src$='photo.jpg']").wait_for()
    with tab.page.expect_response(lambda answer: answer.url.endswith("photo-outline.png")):
        tab.button("Make the outline").click()
    tab.page.wait_for_timeout(2000)  # until the canvas shows it
    tab.button("Run").click()
    drawn, outline = tmp_path / "drawing.png", tmp_path / "outline.png"
    drawn.write_bytes(tab.download("drawing.png"))
    api.draw_outline("pix2pix", photo, outline, side_px=len(pixels_of(drawn)))
    assert pixels_of(outline).min() < 50
    assert np.abs(pixels_of(drawn).astype(int) - pixels_of(outline)).mean() < 1


def test_styles_are_mixed_as_by_mix_also_after_a_projection_was_cancelled(
    tab: Any, photo: Path, tmp_path: Path
) -> None:
    tab.open("stylegan2/shoes", "Generate")
    tab.page.get_by_role("tab", name="Project a photo").click()
    tab.upload(photo)
    tab.page.locator("img[src$='photo.jpg']").wait_for()
    tab.button("Project").click()
    tab.page.get_by_text(re.compile(r"distance \d")).wait_for()
    tab.button("Cancel").click()
    tab.page.get_by_text(re.compile(r"distance \d")).wait_for(state="hidden")
    tab.page.get_by_role("tab", name="Mix styles").click()
    tab.button("Mix").click()
    seeds = {"row_images": "0-3", "column_images": "4-7", "rows": "coarse"}
    list(api.mix("stylegan2/shoes", **seeds, output=str(tmp_path / "mixtures.png")))
    assert tab.download("mixtures.png") == (tmp_path / "mixtures.png").read_bytes()


def test_a_drawn_outline_with_two_dabs_becomes_a_shoe_of_those_colours(tab: Any, tmp_path: Path) -> None:
    tab.open("pix2pix", "Run")
    tab.canvas_of(None)
    tab.drag((0.2, 0.3), (0.2, 0.7), (0.85, 0.7), (0.85, 0.58), (0.5, 0.45), (0.45, 0.3), (0.2, 0.3))
    dabs = {"red": (0.45, 0.6), "blue": (0.7, 0.63)}
    for number, (across, down) in enumerate(dabs.values(), 1):
        tab.choose_colour(number)
        tab.drag((across - 0.02, down), (across + 0.02, down), (across, down + 0.02), (across, down - 0.02))
    tab.button("Run").click()
    made = tmp_path / "shoe.png"
    made.write_bytes(tab.download("drawing.pix2pix.png"))
    shown = pixels_of(made).astype(int)
    side = len(shown)
    places = {name: (int(across * side), int(down * side)) for name, (across, down) in dabs.items()}
    seen = {name: shown[y - 8 : y + 8, x - 8 : x + 8].mean((0, 1)) for name, (x, y) in places.items()}
    assert seen["red"][0] > seen["red"][2] + 30
    assert seen["blue"][2] > seen["blue"][0] + 30
    assert shown[:16].mean() > 200  # the paper stays white


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


def test_jobs_of_two_tabs_wait_for_each_other_and_one_is_cancelled(
    tab: Any, other_tab: Any, photo: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    Image.effect_noise((3000, 2500), 50).convert("RGB").save(large)
    for each, path in ((tab, large), (other_tab, photo)):
        each.open("srgan/psnr", "Run")
        each.upload(path)
        each.button("Run").click()
    tab.page.wait_for_timeout(1000)
    assert other_tab.page.locator("a[download='photo.srgan-psnr.jpg']").count() == 0  # minutes before its turn
    tab.button("Cancel").click()
    assert len(other_tab.download("photo.srgan-psnr.jpg")) > 1000
    assert tab.page.locator("a[download='large.srgan-psnr.png']").count() == 0


def test_a_training_is_watched_and_stopped_as_by_ctrl_c(tab: Any, served: Any, tmp_path: Path) -> None:
    api.draw_data("srgan", tmp_path / "drawn", count=6, size_px=48)
    run = served.folder / "runs" / "small"
    small = (
        "data.crop_px=32 data.batch_images=2 model.generator.channels=4 model.generator.blocks=1 model.perceptual=null"
    )
    words = ["train", "srgan/real", "--data", tmp_path / "drawn", "--run-dir", run, "--device", "cpu", *small.split()]
    command = [sys.executable, "-m", "gantools", *map(str, words), "train.log_every_steps=1"]
    with subprocess.Popen(command, env=served.environment, stderr=subprocess.DEVNULL) as training:
        log = run / "metrics.jsonl"
        while not log.exists() or log.read_text().count("\n") < 3:
            assert training.poll() is None
            time.sleep(0.2)
        tab.open("srgan/psnr", "Run")
        tab.page.get_by_role("tab", name="Training").click()
        tab.page.get_by_text("is training, step").wait_for()
        assert tab.page.locator(".curves svg").count() > 0
        tab.button("Stop this training").click()
        assert training.wait(120) == 128 + signal.SIGINT
    tab.page.get_by_text("has stopped, step").wait_for()
    assert list((run / "checkpoints").iterdir())


def test_the_page_is_used_by_keyboard_and_its_parts_have_names(tab: Any) -> None:
    tab.open("stylegan2/shoes", "Generate")
    nameless = "() => [...document.querySelectorAll('button, input, textarea')].filter(each => each.checkVisibility()"
    nameless += " && !(each.ariaLabel || each.title || each.innerText.trim() || each.labels?.length)).length"
    assert tab.page.evaluate(nameless) == 0
    tab.page.get_by_role("textbox", name="Seeds such as").click()
    tab.page.keyboard.press("Control+A")
    tab.page.keyboard.type("3")
    for _ in range(12):  # past the other fields
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.innerText") == "Generate":
            break
    tab.page.keyboard.press("Enter")
    assert tab.download("seed0003.png")[1:4] == b"PNG"
