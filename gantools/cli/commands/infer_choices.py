"""The words that options of ``gantools infer`` take."""

from __future__ import annotations

from enum import Enum


class Source(Enum):
    """What the input pictures are."""

    drawing = "drawing"
    photo = "photo"


class Direction(Enum):
    """Which way a model that learnt both translates."""

    a2b = "a2b"
    b2a = "b2a"


class Deconvolve(Enum):
    """How a known blur is undone without a network."""

    wiener = "wiener"
    richardson_lucy = "richardson_lucy"


class Format(Enum):
    """File formats of results."""

    keep = "keep"
    png = "png"
    jpg = "jpg"
    webp = "webp"
    tif = "tif"


class Depth(Enum):
    """Bits per sample of results."""

    keep = "keep"
    eight = "8"
    sixteen = "16"


class Metadata(Enum):
    """Whether EXIF, ICC, XMP and resolution stay."""

    keep = "keep"
    strip = "strip"


class Alpha(Enum):
    """What becomes of transparency."""

    keep = "keep"
    process = "process"
    drop = "drop"


class Gray(Enum):
    """What becomes of gray pictures."""

    auto = "auto"
    keep = "keep"
    color = "color"


class Frames(Enum):
    """What becomes of files with several frames or pages."""

    refuse = "refuse"
    first = "first"


class Precision(Enum):
    """Arithmetic of the network."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
