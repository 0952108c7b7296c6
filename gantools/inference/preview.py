"""An image file as any browser shows it: decoded as ``infer`` decodes, upright, in 8 bits. No torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gantools.errors import ImageError
from gantools.images.image import Image, Metadata, to_8_bit
from gantools.images.io import writer
from gantools.inference.options import InferOptions
from gantools.inference.pipeline.decode_pool import DecodePool
from gantools.jobs.plan import Job


def decoded(source: Path, options: InferOptions) -> Image:
    """Decode one file in a process of its own, as ``options`` allow. Raises ImageError and UsageError."""
    pool = DecodePool([Job(source.name, source, None, None)], options)
    try:
        found = next(iter(pool))
    finally:
        pool.close()
    if found.image is None:
        raise found.error or ImageError(f"{source.name!r}: nothing was decoded")
    return found.image


def write_preview(source: Path, output: Path, options: InferOptions) -> None:
    """Write what a file shows as a PNG. Raises ImageError and UsageError."""
    image = decoded(source, options)
    alpha = None if image.alpha is None else to_8_bit(image.alpha)
    plain = replace(image, pixels=to_8_bit(image.pixels), alpha=alpha, metadata=Metadata(icc=image.metadata.icc))
    writer.write(plain, output)
