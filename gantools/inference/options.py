"""What a user asks of an inference run besides the files. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.images.image import Image

Depth: TypeAlias = Literal["keep", 8, 16]
Alpha: TypeAlias = Literal["keep", "process", "drop"]
Gray: TypeAlias = Literal["auto", "keep", "color"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]

ScaleTo: TypeAlias = Literal["auto", "trained", "native"] | int

CENTER: Literal["center"] = "center"
"""The mask that is a square in the middle."""


LARGEST_SIDE_PX = 999_999
"""A short side of more pixels is a mistake."""


def parse_scale_to(text: str) -> ScaleTo:
    """What ``--scale-to`` says. Raises UsageError."""
    if text in ("auto", "trained", "native"):
        return cast(ScaleTo, text)
    if re.fullmatch("[0-9]{1,6}", text) and int(text) > 0:
        return int(text)
    raise UsageError(f"--scale-to {text}: give trained, native, or a short side in pixels")


@dataclass(frozen=True)
class Settings:
    """How pictures are read, put through the network and written.

    ``lossless`` is for WebP: ``keep`` writes without loss what was read so from a WebP.
    ``alpha``: ``keep`` resizes transparency beside the colours, ``process`` sends it through the network as a gray
    picture, ``drop`` leaves it out. ``gray``: ``keep`` gives a gray picture for a gray one, ``color`` what the network
    makes of it, ``auto`` what the weights say: colours from those that learnt to give them.
    ``max_pixels`` bounds what is decoded (None: the reader's limit); an output may have four times as many.
    ``mask`` says what is missing, for networks that fill holes: a mask picture, a folder of them, or ``center`` (None:
    what is transparent).
    ``scale_to`` is the size at which a picture goes through the network, which gives back a result of the picture's own
    size: ``trained`` brings its short side to that of the training images, ``native`` leaves it, a number is a short
    side in pixels, and ``auto`` is what the weights say.
    ``prepare`` changes a decoded picture before the network sees it (a photo into an outline drawing), ``prepare_at``
    its ``original`` size, or when it is ``resized`` to the network's.
    ``timeout_seconds`` is how long a decoder may take for a picture, and a second more for each of its megapixels.
    ``io_workers`` is the number of decoder processes (None: as many as the processors call for; 0: pictures are decoded
    within this process, which starts sooner and which a crashing decoder takes along).
    ``batch`` is the number of pictures of one size that go through the network together (None: as many as pay).
    ``fast`` lets go of what makes a result the same in any company and on any run: bf16 where it is
    faster (on a processor that is measured; not where a precision is asked for), batches by size.
    ``tile`` is the side of the parts, in input pixels, in which a picture goes through the network (None: as large as
    is comfortable, 0: always whole). ``tta`` takes the mean over a picture's eight flips and turns.
    ``compile`` has torch's compiler make code for every size of picture that comes, on CUDA with kernels launched
    together: seconds to a minute for each, kept on disk for other runs. A picture comes out the same in any company,
    and as without it but for last digits.
    """

    quality: int = 95
    lossless: bool | Literal["keep"] = "keep"
    depth: Depth = "keep"
    metadata: Literal["keep", "strip"] = "keep"
    alpha: Alpha = "keep"
    gray: Gray = "auto"
    max_pixels: int | None = None
    allow_truncated: bool = False
    first_frame: bool = False
    fail_fast: bool = False
    mask: str | None = None
    scale_to: ScaleTo = "auto"
    prepare: Callable[[Image], Image] | None = None
    prepare_at: Literal["original", "resized"] = "original"
    tile: int | None = None
    tta: bool = False
    timeout_seconds: float = 60.0
    io_workers: int | None = None
    batch: int | None = None
    fast: bool = False
    compile: bool = False
