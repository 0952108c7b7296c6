"""Faces found in real photos by the real detector; and files of landmarks, good and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gantools import api
from gantools.data.prepare import align, faces, landmarks
from gantools.errors import DataError, ModelFileError, UsageError
from gantools.images.io import reader
from gantools.pretrained.catalogue import weights_folder

FIVE = [[100, 100], [140, 101], [120, 120], [105, 150], [135, 149]]


@pytest.fixture(scope="module")
def detector(shared_data: Path) -> Path:
    path = shared_data / "features" / "face_detection_yunet_2023mar.onnx"
    if not path.is_file():
        pytest.skip(f"no face detector at {path}")
    return path


@pytest.fixture(scope="module")
def portraits(shared_data: Path) -> list[np.ndarray]:
    """Faces of 64 px, enlarged four times."""
    paths = sorted((shared_data / "faces_celeba64").glob("*.png"))[::16]
    if not paths:
        pytest.skip("no faces in the folder of real images")
    return [np.asarray(cv2.resize(reader.read_rgb8(path), (256, 256), interpolation=cv2.INTER_CUBIC)) for path in paths]


def test_every_face_is_found_once_and_large_enough(detector: Path, portraits: list[np.ndarray]) -> None:
    for photo in portraits:
        (square,) = faces.find(photo, detector)
        assert 200 < align.side_px(square) < 450
        assert np.abs(square.mean(0) - 128).max() < 50


@pytest.mark.parametrize("turn", [25, 90, 180, 230])
def test_a_turned_face_is_the_same_face(turn: float, detector: Path, portraits: list[np.ndarray]) -> None:
    wide = cv2.copyMakeBorder(portraits[0], 120, 120, 120, 120, cv2.BORDER_REPLICATE)
    (square,) = faces.find(np.asarray(wide), detector)
    matrix = cv2.getRotationMatrix2D((247.5, 247.5), turn, 1)
    turned = cv2.warpAffine(wide, matrix, (496, 496), borderMode=cv2.BORDER_REPLICATE)
    (found,) = faces.find(np.asarray(turned), detector)
    error = np.linalg.norm(found - (square @ matrix[:, :2].T + matrix[:, 2]), axis=1)
    assert error.max() < 0.12 * align.side_px(square)


def test_several_faces_and_none(detector: Path, portraits: list[np.ndarray]) -> None:
    small = np.asarray(cv2.resize(portraits[1], (128, 128), interpolation=cv2.INTER_AREA))
    photo = np.full((700, 1500, 3), 90, np.uint8)
    photo[200:456, 900:1156], photo[100:228, 200:328] = portraits[0], small
    found = sorted(faces.find(photo, detector), key=align.side_px)
    assert len(found) == 2
    assert [round(float(square.mean(0)[0]) / 256) for square in found] == [1, 4]
    texture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    assert faces.find(np.asarray(cv2.resize(texture, (600, 400))), detector) == []
    assert faces.find(np.full((3, 4000, 3), 90, np.uint8), detector) == []


def test_what_only_looks_like_a_face_is_told_apart(detector: Path, shared_data: Path) -> None:
    photo = shared_data / "photos_kodak24" / "16.png"
    if not photo.is_file():
        pytest.skip(f"no photo {photo}")
    pixels = reader.read_rgb8(photo)  # a beach with palms
    assert faces.find(pixels, detector) == []
    assert list(faces._candidates(pixels, detector))


def test_nothing_is_said_on_stderr(
    detector: Path, portraits: list[np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
    try:
        faces.find(np.asarray(cv2.resize(portraits[0], (100, 100))), detector)
        assert capfd.readouterr() == ("", "")
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_WARNING
    finally:
        cv2.utils.logging.setLogLevel(before)


def test_the_file_at_hand_is_the_published_one(detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="gantools weights fetch yunet"):
        faces.installed_detector()
    assert api.fetch_weights("yunet", detector) == faces.installed_detector() == weights_folder() / "yunet.onnx"
    (row,) = [row for row in api.list_weights() if row["name"] == "yunet"]
    assert (row["kind"], row["state"], row["megabytes"]) == ("face detector", "installed", 0.2)
    faces.installed_detector().write_bytes(b"another")
    with pytest.raises(ModelFileError, match="not the file that was published"):
        faces.installed_detector()


def read(folder: Path, content: Any) -> dict[str, landmarks.Squares]:
    path = folder / "marks.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return landmarks.read(path)


def test_a_photo_is_found_by_as_much_of_its_path_as_the_file_has(tmp_path: Path) -> None:
    dlib = np.random.default_rng(0).normal(0, 50, (68, 2))
    dlib[36:42], dlib[42:48], dlib[48], dlib[54] = FIVE[0], FIVE[1], FIVE[3], FIVE[4]
    moved = (np.array(FIVE) + 7).tolist()
    marked = read(tmp_path, {"a.png": FIVE, "deep/a.png": [FIVE, moved], "b.png": dlib.tolist()})
    (plain,), (first, second) = (landmarks.of_photo(Path(name), marked) for name in ("x/a.png", "x/deep/a.png"))
    assert np.array_equal(plain, first)
    assert np.allclose(second, first + 7)
    assert np.allclose(landmarks.of_photo(Path("b.png"), marked)[0], plain)
    assert landmarks.of_photo(Path("c.png"), marked) == ()


EXCHANGED = [FIVE[1], FIVE[0], *FIVE[2:]]
BROKEN = {
    "empty": (b"", "is no JSON"),
    "text": (b"a.png 1 2", "is no JSON"),
    "cut": (b'{"a.png": [[1, 2', "is no JSON"),
    "not UTF-8": (b'{"\xff": 1}', "is no JSON"),
    "deep": (b"[" * 100_000, "is no JSON"),
    "digits": (b'{"a.png": [[' + b"1" * 5000 + b", 2]]}", "is no JSON"),
    "a list": ([FIVE], "give an object of names of photos"),
    "no photos": ({}, "give an object of names of photos"),
    "a number": ({"a.png": 3}, "'a.png': give [[x, y], …] of 5 points"),
    "nothing": ({"a.png": None}, "'a.png': give [[x, y], …] of 5 points"),
    "no faces": ({"a.png": []}, "'a.png': give [[x, y], …] of 5 points"),
    "four points": ({"a.png": FIVE[:4]}, "'a.png': give [[x, y], …] of 5 points"),
    "three numbers": ({"a.png": [[*point, 1] for point in FIVE]}, "'a.png': give [[x, y], …] of 5 points"),
    "ragged": ({"a.png": [[1, 2], [3]]}, "'a.png': give [[x, y], …] of 5 points"),
    "text for numbers": ({"a.png": [["1", "2"]] * 5}, "'a.png': give [[x, y], …] of 5 points"),
    "true": ({"a.png": [[True, 2]] * 5}, "'a.png': give [[x, y], …] of 5 points"),
    "names": ({"a.png": {"eye": [1, 2]}}, "'a.png': give [[x, y], …] of 5 points"),
    "not finite": (b'{"a.png": [[NaN, 1], [2, 3], [4, 5], [6, 7], [8, 9]]}', "'a.png': has points that are no finite"),
    "too large": (b'{"a.png": [[1e999, 1], [2, 3], [4, 5], [6, 7], [8, 9]]}', "'a.png': has points that are no finite"),
    "a huge whole number": (
        f'{{"a.png": [[1{"0" * 400}, 1], [2, 3], [4, 5], [6, 7], [8, 9]]}}'.encode(),
        "'a.png': give",
    ),
    "eyes exchanged": ({"b.png": FIVE, "a.png": EXCHANGED}, "'a.png': these are no points of a face"),
    "one point": ({"a.png": [[1, 1]] * 68}, "'a.png': these are no points of a face"),
}


@pytest.mark.parametrize(("content", "line"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_of_landmarks_is_one_line(content: Any, line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"--landmarks {tmp_path}/marks.json: {line}")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400
