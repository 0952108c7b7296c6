"""Moving images: GIF, animated WebP and PNG by Pillow, MP4 by OpenCV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from gantools import files
from gantools.errors import GantoolsError, UsageError
from gantools.images.image import Pixels
from gantools.images.ops.color import as_rgb

SUFFIXES = (".gif", ".webp", ".png", ".apng", ".mp4")


def require_format(output: Path) -> None:
    """Raise UsageError for a suffix that no moving image has."""
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {output}: a walk is written as {', '.join(SUFFIXES)}")


def write(frames: Iterable[Pixels], output: Path, *, fps: float, loop: bool) -> None:
    """Write frames as one moving image, atomically. Shapes: uint8 (H, W, C). Raises GantoolsError, OSError."""
    with files.staged_file(output) as staged:
        if output.suffix.lower() == ".mp4":
            _write_mp4(frames, staged, fps)
        else:
            _write_animation(frames, staged, output.suffix.lower(), fps, loop=loop)


def _write_animation(frames: Iterable[Pixels], path: Path, suffix: str, fps: float, *, loop: bool) -> None:
    first, *others = (PillowImage.fromarray(frame.squeeze()) for frame in frames)
    kind = {".gif": "GIF", ".webp": "WEBP"}.get(suffix, "PNG")
    extra = {"lossless": False, "quality": 90} if kind == "WEBP" else {}
    with path.open("wb") as stream:
        first.save(
            stream, kind, save_all=True, append_images=others, duration=1000 / fps, loop=0 if loop else 1, **extra
        )


def _write_mp4(frames: Iterable[Pixels], path: Path, fps: float) -> None:
    """MPEG-4 part 2, which OpenCV's wheels can write; H.264 they cannot."""
    named = path.with_name(f"{path.name}.mp4")  # OpenCV goes by the suffix
    writer: cv2.VideoWriter | None = None
    try:
        for frame in frames:
            bgr = np.ascontiguousarray(as_rgb(frame)[..., ::-1])
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(named), code, fps, (bgr.shape[1], bgr.shape[0]))
                if not writer.isOpened():
                    raise GantoolsError("this OpenCV writes no MP4; use .webp or .gif")
            writer.write(bgr)
        if writer is not None:
            writer.release()
        named.replace(path)
    finally:
        named.unlink(missing_ok=True)
