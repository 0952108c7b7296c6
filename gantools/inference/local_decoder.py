"""Decoding within this process: nothing to start, and no protection from a decoder that crashes."""

from __future__ import annotations

import time
from collections.abc import Callable

from gantools.images import reader
from gantools.inference.decoders import Decoded, standard_input
from gantools.inference.plan import Job
from gantools.inference.settings import Settings


def _standard_content() -> bytes:
    with standard_input() as stream:
        return stream.read()


class LocalDecoder:
    """Decodes in the thread that asks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def decode(self, job: Job, admit: Callable[[int], None]) -> Decoded:  # noqa: ARG002 - as Decoder's
        """Decode a job's picture. Raises ImageError."""
        started = time.perf_counter()
        picture = reader.read(
            _standard_content() if job.source is None else job.source,
            name=job.input,
            max_pixels=self.settings.max_pixels or reader.MAX_PIXELS,
            allow_truncated=self.settings.allow_truncated,
            first_frame=self.settings.first_frame,
        )
        return Decoded(picture, seconds=time.perf_counter() - started)

    def interrupt(self) -> None:
        """Nothing can be ended."""

    def close(self) -> None:
        """Nothing is held."""
