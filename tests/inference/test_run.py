"""From Python: one call over files, one object over arrays; refusals before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import gantools
from gantools import infer, load_model
from gantools.errors import ModelFileError, UsageError
from gantools.files import STAGED_PREFIX
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.inference import dry_run
from gantools.inference.dry_run import estimate
from gantools.inference.options import DEFAULTS, InferOptions
from tests.inference.networks import opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    writer.write(Image(np.full((3, 5, 3), 90, np.uint8)), path)
    return path


def test_one_call_from_python(doubling: Path, photo: Path) -> None:
    leftover = photo.with_name(f"{STAGED_PREFIX}1.png")
    leftover.touch()
    os.utime(leftover, (0, 0))
    (result,) = infer(doubling, photo, device="cpu")
    assert not leftover.exists(), "it was a killed run's"
    assert result.output == photo.with_name("in.doubling.png")
    assert (result.input_size, result.output_size) == ((5, 3), (10, 6))
    assert (reader.read(result.output).pixels == 90).all()


def test_nothing_is_opened_when_nothing_is_left_to_do_and_written_in_a_dry_run(doubling: Path, photo: Path) -> None:
    target = photo.with_name("in.doubling.png")
    (result,) = infer(doubling, photo, dry_run=True)
    assert (result.status, result.output) == ("planned", target)
    assert list(photo.parent.iterdir()) == [photo]
    target.write_bytes(b"here")
    assert [result.status for result in infer(doubling, photo, skip_existing=True, device="nowhere")] == ["skipped"]
    assert target.read_bytes() == b"here"


def test_refusals_come_before_the_first_result(doubling: Path, photo: Path) -> None:
    for model, options, said in (
        (doubling, {"device": "nowhere"}, "no such device"),
        (doubling, {"device": "cpu", "export": "other"}, "--export other"),
        (doubling, {"depth": 16, "output": photo.with_name("x.jpg")}, "--depth 16: JPEG holds no 16-bit samples"),
        (photo, {}, "is an image, not a model"),
        ("srgan", {"source": "photo", "device": "cpu"}, "--from photo: .* was not trained on outlines"),
        ("srgan", {"tta_": True}, "'tta_' is no option of infer; did you mean \"tta\""),
        ("srgan", {"depth": 12}, "depth 12: give one of keep, 8, 16"),
    ):
        with pytest.raises((UsageError, ModelFileError), match=said):
            infer(model, photo, **options)  # type: ignore[arg-type]
    assert list(photo.parent.iterdir()) == [photo]


def test_options_are_checked_by_name_and_value() -> None:
    assert InferOptions(tile="512", scale_to="trained", batch="auto", shard="2/8") == InferOptions(  # type: ignore[arg-type]
        tile=512, scale_to="trained", shard=(2, 8)
    )
    for given in ({"tile": "-1"}, {"batch": "0"}, {"shard": "3/2"}, {"scale_to": "0"}):
        with pytest.raises(UsageError, match="give"):
            InferOptions(**given)  # type: ignore[arg-type]


def test_shares_and_stopping_from_python(doubling: Path, photo: Path) -> None:
    for number in range(5):
        photo.with_name(f"{number}.png").write_bytes(photo.read_bytes())
    photo.unlink()
    folder, target = photo.parent, photo.parent / "out"
    with infer(doubling, folder, output=target, shard=(2, 2), device="cpu") as results:
        assert [Path(result.input).name for result in results] == ["1.png", "3.png"]
    with infer(doubling, folder, output=target, skip_existing=True, device="cpu") as results:
        assert next(results).status == "done"
    assert next(results, None) is None, "what is closed gives nothing more"


def test_the_share_that_a_scheduler_gives(doubling: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        photo.with_name(f"{number}.png").write_bytes(photo.read_bytes())
    photo.unlink()
    given = {"output": photo.parent / "out", "shard": "auto", "device": "cpu"}
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    with pytest.raises(UsageError, match="GANTOOLS_SHARDS"):
        infer(doubling, photo.parent, **given)
    monkeypatch.setenv("GANTOOLS_SHARDS", "2")
    for dry in (True, False):
        with infer(doubling, photo.parent, dry_run=dry, **given) as results:
            assert "shard 2/2, from JOB_COMPLETION_INDEX=1, GANTOOLS_SHARDS=2" in results.notes
            assert [Path(result.input).name for result in results] == ["1.png"]
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "4")
    monkeypatch.setenv("GANTOOLS_SHARDS", "5")
    assert list(infer(doubling, photo.parent, **given)) == [], "more processes than images: this one has none"


def test_outlines_of_photos_are_drawn_for_a_model_that_learned_from_drawings(photo: Path) -> None:
    drawn, plain = (
        infer("pix2pix", photo, source=source, output=photo.with_name(f"{source}.png"), device="cpu")
        for source in ("photo", "drawing")
    )
    assert [result.status for result in (*drawn, *plain)] == ["done"] * 2
    assert photo.with_name("photo.png").read_bytes() != photo.with_name("drawing.png").read_bytes()


def test_time_grows_with_the_pixels_that_the_network_sees(identity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "_trial_seconds", lambda model, options: dry_run.TRIAL_PX**2 * 1e-5)
    model = opened(identity)
    for sizes, says in (
        ([(400, 300)], "1 image, 0.12 megapixels through the network: about 1.2 s"),
        ([(400, 300), (800, 600)], "2 images, 0.60 megapixels through the network: about 6.0 s"),
        ([(5000, 4000)], "about 3 min 20 s"),
    ):
        assert says in estimate(sizes, model, DEFAULTS)
    small = replace(model, export=replace(model.export, resized_px=30, applied_at="trained"))
    assert "0.00 megapixels through the network: about 0.0 s" in estimate([(400, 300)], small, DEFAULTS)


# Arrays and Pillow images.


def noise(*shape: int, dtype: Any = np.uint8) -> Any:
    rng = np.random.default_rng(0)
    return rng.random(shape).astype(dtype) if dtype in (np.float32, np.float64) else rng.integers(0, 256, shape, dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)], ids=str)
def test_arrays_come_back_as_they_were(identity: Path, shape: tuple[int, ...], dtype: Any) -> None:
    same, given = load_model(identity, device="cpu"), noise(*shape, dtype=dtype)
    given[..., -1] += (given[..., -1] == 0).astype(dtype)  # nothing is fully transparent
    given = given.clip(0, 1) if given.dtype.kind == "f" else given
    made = same(given)
    assert (made.shape, made.dtype) == (given.shape, given.dtype)
    np.testing.assert_allclose(made, given, atol=1e-5 if given.dtype.kind == "f" else 0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_pillow_images_come_back_as_they_were(identity: Path, mode: str) -> None:
    same = load_model(identity, device="cpu")
    given = PIL.Image.fromarray(noise(5, 7, dtype=np.uint16) if mode == "I;16" else noise(5, 7, 3))
    given = given if mode == "I;16" else given.convert(mode)
    made = same(given)
    assert (made.mode, made.size) == ({"P": "RGB", "1": "L"}.get(mode, mode), given.size)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(given.convert(made.mode)))


def test_an_array_becomes_what_its_file_becomes(doubling: Path, tmp_path: Path) -> None:
    pixels = noise(9, 8, 3)
    writer.write(Image(pixels), tmp_path / "in.png")
    (result,) = infer(doubling, tmp_path / "in.png", tta=True, device="cpu")
    twice = load_model(doubling, tta=True, device="cpu")
    np.testing.assert_array_equal(twice(pixels), reader.read(result.output).pixels)
    assert twice.scale == 2
    assert [each.shape for each in twice([pixels, pixels[:4]])] == [(18, 16, 3), (8, 16, 3)]


def test_a_mask_says_what_is_filled_in() -> None:
    fill = load_model("context_encoder", device="cpu")
    pixels, mask = noise(40, 50, 3), np.zeros((40, 50), np.bool_)
    mask[10:20, 15:25] = True
    made = fill(pixels, mask)
    np.testing.assert_array_equal(made[~mask], pixels[~mask])
    assert (made[mask] != pixels[mask]).any()
    with pytest.raises(UsageError, match="what is missing"):
        fill(pixels)
    with pytest.raises(UsageError, match="mask of shape"):
        fill(pixels, mask[1:])


def test_what_is_no_image_is_refused(identity: Path) -> None:
    same = load_model(identity, device="cpu")
    for given in (np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4), np.int64), np.full((3, 4), 1.5), "in.png"):
        with pytest.raises(UsageError, match="image"):
            same(given)
    with pytest.raises(UsageError, match="mask: this model takes whole images"):
        same(np.zeros((3, 4), np.uint8), np.ones((3, 4), np.bool_))


def test_the_package_imports_nothing_until_it_is_used() -> None:
    code = "import gantools, sys; print({'torch', 'numpy', 'cv2', 'gantools.api'} & {*sys.modules}, dir(gantools))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("set()")
    assert all(repr(name) in said and callable(getattr(gantools, name)) for name in gantools.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gantools.nothing  # noqa: B018
