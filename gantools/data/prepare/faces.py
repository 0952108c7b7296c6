"""The faces in a photo, found by YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y) through OpenCV.

YuNet knows upright faces from 10 to 300 px. So a photo is searched at several sizes and turned by several angles; then
each face that may be one is cut out, upright and of the size that YuNet knows best, and looked at again: this is
certain, and finds the points of a turned face where it would find those of an upright one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from gantools import files
from gantools.data.prepare.align import Points, aligned, corners, four_points, side_px
from gantools.errors import ImageError, ModelFileError, UsageError
from gantools.images.image import Pixels
from gantools.pretrained import feature_networks
from gantools.pretrained.catalogue import weights_folder

Found: TypeAlias = tuple[float, Points]
"""How certain it is that this is a face, from 0 to 1, and its square as ``align.corners`` finds it."""

SEARCHES = ((320, 45), (640, 90), (1280, 360))
"""Long side of a photo that is searched, and the step of the angles that it is turned by, in degrees."""

CANDIDATE, CERTAIN = 0.5, 0.8
"""What the detector says at least of what may be a face, and of a face. It says 0.9 of most faces."""

LOOK_PX = 320
LOOKS = 2
APART = 0.35
"""Faces are this part of the larger one's side apart: cheek to cheek it is more."""


def installed_detector() -> Path:
    """YuNet's file. Raises UsageError where there is none, ModelFileError for another file of its name."""
    network = feature_networks.find("yunet")
    path = feature_networks.installed_file(network, weights_folder())
    if path is None:
        raise UsageError(
            f"no face detector is installed: run `gantools weights fetch yunet` ({network.megabytes:g} MB); without it "
            "`gantools data align` takes --landmarks FILE, which says where faces are, or --crop center"
        )
    if files.sha256(path) != network.sha256:
        raise ModelFileError(f"'{path}': not the file that was published; run `gantools weights fetch yunet`")
    return path


def find(photo: Pixels, detector: Path) -> list[Points]:
    """The squares of all faces, as ``align.corners`` finds them. Shapes: uint8 RGB [H, W, 3] → [4, 2] each."""
    candidates = _apart(_candidates(photo, detector))
    looked_at = (_looked_at(photo, square, detector) for _, square in candidates)
    return [square for _, square in _apart(found for found in looked_at if found is not None)]


def _candidates(photo: Pixels, detector: Path) -> Iterator[Found]:
    height, width = photo.shape[:2]
    for number, (long_side_px, step) in enumerate(SEARCHES):
        factor = long_side_px / max(height, width)
        if number and factor > 1:
            return
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC))
        for degrees in range(0, 360, step):
            turned, back = _turned(small, degrees)
            for certainty, square in _detected(turned, detector):
                yield certainty, (square @ back[:, :2].T + back[:, 2] + 0.5) / factor - 0.5


def _turned(photo: Pixels, degrees: float) -> tuple[Pixels, Points]:
    """A photo turned within a larger one, and the matrix [2, 3] that takes points back."""
    height, width = photo.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    size = [round(side) for side in np.abs(turn[:, :2]) @ (width, height)]
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(photo, turn, size)), np.asarray(cv2.invertAffineTransform(turn))


def _looked_at(photo: Pixels, square: Points, detector: Path) -> Found | None:
    """The face in a square, more exactly; None where it is none."""
    certainty = 0.0
    for _ in range(LOOKS):
        try:
            look = aligned(photo, square, LOOK_PX, "none")
        except ImageError:  # its middle is beyond the photo
            return None
        found = _detected(look, detector)
        if not found:
            return None
        certainty, within = min(found, key=lambda each: math.dist(each[1].mean(0), (LOOK_PX / 2, LOOK_PX / 2)))
        across, down = ((square[corner] - square[0]) / LOOK_PX for corner in (3, 1))
        square = square[0] + (within + 0.5) @ np.stack([across, down])
    return (certainty, square) if certainty >= CERTAIN else None


def _apart(found: Iterable[Found]) -> list[Found]:
    """The most certain of those that are one face."""
    kept: list[Found] = []
    for certainty, square in sorted(found, key=lambda each: -each[0]):
        if all(
            math.dist(square.mean(0), other.mean(0)) > APART * max(side_px(square), side_px(other)) for _, other in kept
        ):
            kept.append((certainty, square))
    return kept


def _detected(photo: Pixels, detector: Path) -> list[Found]:
    """What YuNet finds. Shapes: uint8 RGB [H, W, 3]."""
    height, width = photo.shape[:2]
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns, of nothing
    try:
        network = cv2.FaceDetectorYN.create(str(detector), "", (width, height), CANDIDATE)
        _, rows = network.detect(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    finally:
        cv2.utils.logging.setLogLevel(level)
    found = []
    for row in () if rows is None else rows:  # box, five points, certainty
        try:
            found.append((float(row[14]), corners(four_points(row[4:14].reshape(5, 2)))))
        except ImageError:  # points of no face
            continue
    return found
