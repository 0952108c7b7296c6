"""``gantools data align`` as it is typed, with a detector that finds red squares."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from gantools import api
from gantools.data.prepare import faces
from gantools.errors import UsageError
from gantools.images.io import reader
from tests.images.make import exif_block

ALONE = ("--size", "32", "--workers", "1")
FIVE = np.array([[30, 30], [50, 30], [40, 40], [33, 55], [47, 55]])
"""A face of 90 px around (40, 42.5)."""

Place = tuple[int, int, int]


def photo(name: str, *places: Place, height: int = 120, width: int = 200) -> Path:
    """A gray photo with red squares at (x, y), each of so many px."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    for x, y, side in places:
        pixels[y : y + side, x : x + side] = (250, 0, 0)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels).save(path)
    return path


def red_squares(pixels: np.ndarray, _detector: Path) -> list[np.ndarray]:
    red = (pixels[..., 0].astype(int) - pixels[..., 1] > 100).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(red)
    return [np.array([[x, y], [x, y + h], [x + w, y + h], [x + w, y]]) - 0.5 for x, y, w, h, _ in stats[1:]]


@pytest.fixture
def detecting(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "installed_detector", lambda: Path("none.onnx"))
    monkeypatch.setattr(faces, "find", red_squares)


def red(path: str | Path) -> float:
    """How much of a portrait is the face."""
    pixels = reader.read_rgb8(path)
    assert pixels.shape == (32, 32, 3)
    return float((pixels[..., 0] > 200).mean())


def names(folder: str | Path = ".") -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.usefixtures("detecting")
def test_one_photo_gets_its_portrait_beside_it(gantools: Any) -> None:
    photo("me.jpg", (20, 20, 60))
    done = gantools("data", "align", "me.jpg", *ALONE)
    assert (done.code, done.out, done.err) == (0, "me.aligned.png\n", "")
    assert red("me.aligned.png") > 0.95
    assert gantools("data", "align", "me.jpg", "-o", "made/it.jpg", *ALONE).out == "made/it.jpg\n"
    assert gantools("data", "align", "me.jpg", "-o", "faces", *ALONE).out == f"faces{os.sep}me.png\n"
    kept = gantools("data", "align", "me.jpg", "-o", "kept", "--format", "keep", *ALONE)
    assert kept.out == f"kept{os.sep}me.jpg\n"
    assert reader.probe("made/it.jpg").format == reader.probe("kept/me.jpg").format == "jpeg"


@pytest.mark.usefixtures("detecting")
def test_of_several_faces_the_largest_is_taken_and_the_number_said(gantools: Any) -> None:
    photo("we.png", (10, 10, 20), (60, 20, 50), (150, 30, 30))
    done = gantools("data", "align", "we.png", "--json", *ALONE)
    row, summary = map(json.loads, done.out.splitlines())
    assert (row["faces"], row["squares"]) == (3, [[[59.5, 19.5], [59.5, 69.5], [109.5, 69.5], [109.5, 19.5]]])
    said = "3 faces; this is the largest: --face all takes all, --face 2 the second largest"
    assert (row["note"], done.err) == (said, f"'we.png': {said}\n")
    assert (row["input_size"], row["output_size"], summary["summary"]["done"]) == ([200, 120], [32, 32], 1)
    third = gantools("data", "align", "we.png", "-o", "third.png", "--face", "3", "--json", *ALONE)
    assert json.loads(third.out.splitlines()[0])["squares"][0][0] == [9.5, 9.5]
    assert third.err == ""
    few = gantools("data", "align", "we.png", "-o", "no.png", "--face", "4", *ALONE)
    assert (few.code, few.only_error) == (1, "'we.png': --face 4: has 3 faces")


@pytest.mark.usefixtures("detecting")
def test_all_faces_are_files_of_their_own(gantools: Any) -> None:
    photo("we.png", (10, 10, 20), (60, 20, 50), (150, 30, 30))
    photo("me.png", (20, 20, 60))
    every = ("data", "align", "we.png", "me.png", "-o", "all", "--face", "all", *ALONE)
    done = gantools(*every)
    made = [f"all{os.sep}{name}" for name in ("we.face1.png", "we.face2.png", "we.face3.png", "me.face1.png")]
    assert (done.code, done.out.splitlines()) == (0, made)
    assert all(red(name) > 0.95 for name in made)
    assert gantools(*every).only_error.startswith(f"exists already: {made[0]!r}, {made[1]!r}, {made[2]!r}")
    Path(made[0]).unlink()  # as if the run had been killed before the first, which is written last
    assert gantools(*every).only_error.startswith(f"exists already: {made[1]!r}")
    assert gantools(*every, "--skip-existing").out.splitlines() == made[:3]
    assert gantools(*every, "--skip-existing").out == ""
    (row, *_) = map(json.loads, gantools(*every, "--overwrite", "--json").out.splitlines())
    assert (row["output"], row["more_outputs"], len(row["squares"])) == (made[0], made[1:3], 3)
    Path("we.face2.png").write_bytes(Path("me.png").read_bytes())
    over = gantools("data", "align", "we.png", "we.face2.png", "-o", "./", "--face", "all", "--overwrite", *ALONE)
    assert (over.code, "inputs are never written over: 'we.face2.png'" in over.only_error) == (2, True)


@pytest.mark.usefixtures("detecting")
def test_photos_without_a_face_fail_alone(gantools: Any) -> None:
    photo("photos/a.png", (20, 20, 60))
    photo("photos/deep/b.png")
    Path("photos/broken.jpg").write_text("no image")
    done = gantools("data", "align", "photos", "-o", "faces", "-r", *ALONE)
    assert (done.code, done.out, names("faces")) == (3, f"faces{os.sep}a.png\n", ["a.png"])
    assert done.err.splitlines()[:2] == [
        "gantools: 'photos/broken.jpg': not a PNG, JPEG, WebP, TIFF, BMP or PPM image",
        "gantools: 'photos/deep/b.png': no face found; --landmarks FILE says where faces are, --crop center takes the "
        "middle of the image",
    ]
    alone = gantools("data", "align", "photos/deep/b.png", *ALONE)
    assert (alone.code, alone.out, len(alone.err.splitlines())) == (1, "", 1)
    middle = gantools("data", "align", "photos/deep/b.png", "--crop", "center", *ALONE)
    assert (middle.code, middle.err, reader.read_rgb8("photos/deep/b.aligned.png").shape) == (0, "", (32, 32, 3))
    top = gantools("data", "align", "photos", "-o", "top", *ALONE)
    assert (top.code, "2 images in 1 sub-folder not read; -r reads them" in top.err) == (3, True)


@pytest.mark.usefixtures("detecting")
def test_a_dry_run_and_existing_results_change_nothing(gantools: Any) -> None:
    photo("photos/a.png", (20, 20, 60))
    photo("photos/b.png", (20, 20, 60))
    planned = gantools("data", "align", "photos", "-o", "faces", "-n", *ALONE)
    assert (planned.code, len(planned.out.splitlines()), Path("faces").exists()) == (0, 2, False)
    gantools("data", "align", "photos/a.png", "-o", "faces", *ALONE)
    before = Path("faces/a.png").stat().st_mtime_ns
    again = gantools("data", "align", "photos", "-o", "faces", *ALONE)
    assert (again.code, again.only_error) == (
        2,
        "exists already: 'faces/a.png'; --overwrite replaces it, --skip-existing leaves it",
    )
    rest = gantools("data", "align", "photos", "-o", "faces", "--skip-existing", *ALONE)
    assert (rest.code, rest.out, names("faces")) == (0, f"faces{os.sep}b.png\n", ["a.png", "b.png"])
    assert Path("faces/a.png").stat().st_mtime_ns == before


@pytest.mark.usefixtures("here")
def test_landmarks_need_no_detector(gantools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", "home")
    photo("photos/a.png", (0, 0, 85))
    photo("photos/b.png", (100, 0, 85))
    photo("photos/c.png")
    both = [FIVE.tolist(), (FIVE * 1.2).tolist()]
    Path("marks.json").write_text(json.dumps({"a.png": FIVE.tolist(), "photos/b.png": both}))
    done = gantools("data", "align", "photos", "-o", "faces", "--landmarks", "marks.json", "--pad", "none", *ALONE)
    assert (done.code, names("faces")) == (3, ["a.png", "b.png"])
    assert done.err.splitlines()[:2] == [
        "'photos/b.png': 2 faces; this is the largest: --face all takes all, --face 2 the second largest",
        "gantools: 'photos/c.png': has no points in the file of --landmarks; --crop center needs none",
    ]
    assert 0.7 < red("faces/a.png") < 0.95, "a part of it is beyond the photo"
    assert red("faces/b.png") < 0.2


def stored(kind: str, upright: np.ndarray) -> None:
    """Write the same photo in another way."""
    image = PillowImage.fromarray(upright)
    match kind:
        case "gray.png":
            image.convert("L").save(kind)
        case "alpha.png":
            image.putalpha(255)
            image.save(kind)
        case "deep.png":
            cv2.imwrite(kind, upright[..., ::-1].astype(np.uint16) * 257)
        case "turned.jpg":  # orientation 6: to be turned by 90° clockwise
            image.transpose(PillowImage.Transpose.ROTATE_90).save(kind, exif=exif_block(6), quality=98, subsampling=0)
        case "palette.png":
            image.quantize(64).save(kind)


@pytest.mark.parametrize("kind", ["gray.png", "alpha.png", "deep.png", "turned.jpg", "palette.png"])
def test_every_kind_of_photo_is_upright_rgb(kind: str, gantools: Any, here: Path) -> None:
    ramp = np.linspace(0, 250, 120).astype(np.uint8)
    upright = np.repeat(np.stack([ramp, 250 - ramp, ramp // 2 + 60], -1)[:, None], 100, axis=1)
    if kind == "gray.png":
        upright[...] = upright[..., :1]
    stored(kind, upright)
    PillowImage.fromarray(upright).save("plain.png")
    Path("marks.json").write_text(json.dumps(dict.fromkeys([kind, "plain.png"], FIVE.tolist())))
    done = gantools("-q", "data", "align", kind, "plain.png", "-o", "out", "--landmarks", "marks.json", *ALONE)
    assert (done.code, done.err) == (0, "")
    made, plain = reader.read_rgb8(Path("out") / kind.replace("jpg", "png")), reader.read_rgb8("out/plain.png")
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - plain).max() <= 6
    assert np.ptp(made[..., 0].astype(int)) > 100


REFUSED = {
    "gone.png": "no such file or folder: 'gone.png'",
    "empty -o out": "'empty': no images in it",
    "photos": "a folder or several images need a folder for the results: -o DIR",
    "a.png a.png -o out": "several inputs would become one output: 'a.png' and 'a.png'",
    "photos -o out.png": "-o 'out.png': is one image, and there are several",
    "- -o out": "-: photos are read from files and folders and written there, not through pipes",
    "a.png -o -": "-: photos are read from files and folders and written there, not through pipes",
    "a.png -o a.png": "inputs are never written over: 'a.png'",
    "photos -o photos": "inputs are never written over:",
    "a.png -o a.txt/x.png": "'a.txt' is not a folder, so nothing can be written below it",
    "a.png -o a.txt": "'a.txt' is not a folder, so nothing can be written below it",
    "a.png -o there.png": "exists already: 'there.png'",
    "a.png -o x.jpg --format png": "-o 'x.jpg' and --format png contradict each other",
    "a.png --skip-existing --overwrite": "--skip-existing and --overwrite contradict each other",
    "a.png --face 0": "--face 0: give largest, all, or a number: 1 is the largest face, 2 the next",
    "a.png --face -1": "--face -1: give largest, all, or a number",
    "a.png --face smallest": "--face smallest: give largest, all, or a number",
    "a.png --crop top": "invalid value for '--crop': 'top' is not one of 'face', 'center'",
    "a.png --pad mirror": "invalid value for '--pad': 'mirror' is not one of 'blur', 'none'",
    "a.png --size 15": "invalid value for '--size':",
    "a.png --size 1e3": "invalid value for '--size':",
    "a.png --crop center --face all": "--crop center takes the middle, whatever it shows: leave out --landmarks,",
    "a.png --crop center --landmarks marks.json": "--crop center takes the middle, whatever it shows: leave out",
    "a.png --landmarks gone.json": "--landmarks gone.json: cannot be read: No such file or directory",
    "a.png --landmarks photos": "--landmarks photos: cannot be read: Is a directory",
    "a.png --landmarks a.png": "--landmarks a.png: is no JSON",
    "a.png": "no face detector is installed: run `gantools weights fetch yunet` (0.2 MB)",
    "a.png --face all": "no face detector is installed: run `gantools weights fetch yunet` (0.2 MB)",
}


@pytest.mark.parametrize(("typed", "line"), REFUSED.items(), ids=REFUSED)
def test_a_refusal(typed: str, line: str, gantools: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(here / "home"))
    for name in ("a.png", "there.png", "photos/a.png", "photos/b.png"):
        photo(name, (20, 20, 60))
    Path("empty").mkdir()
    Path("a.txt").write_text("mine")
    Path("marks.json").write_text(json.dumps({"a.png": FIVE.tolist()}))
    before = names()
    ended = gantools("data", "align", *typed.split())
    assert (ended.code, ended.out) == (2, "")
    assert line in ended.only_error
    assert names() == before


def test_in_python(here: Path) -> None:
    path = photo("a.png", (0, 0, 85))
    Path("marks.json").write_text(json.dumps({"a.png": FIVE.tolist()}))
    (result,) = api.align_faces([path], api.Align(output="out", size_px=32, landmarks="marks.json"))
    assert (result.status, result.output, result.facts and result.facts["faces"]) == ("done", Path("out/a.png"), 1)
    with pytest.raises(UsageError, match="count from 1"):
        api.align_faces([path], api.Align(face=0))
