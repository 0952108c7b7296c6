"""Decoded images kept in memory, up to a limit."""

from __future__ import annotations

from collections.abc import Callable

from gantools.images.image import Pixels

Images = tuple[Pixels, ...]


class BoundedCache:
    """Keeps what was decoded first until the memory is used up.

    Nothing is evicted: epochs visit every image once, so throwing out the oldest would throw out what is needed next.
    """

    def __init__(self, megabytes: float) -> None:
        self.free_bytes = int(megabytes * 2**20)
        self._kept: dict[int, Images] = {}

    def recall(self, index: int, decode: Callable[[int], Images]) -> Images:
        """The images of ``index``: as kept, or decoded now. They are read-only."""
        kept = self._kept.get(index)
        return kept if kept is not None else self._keep(index, decode(index))

    def _keep(self, index: int, images: Images) -> Images:
        size_bytes = sum(image.nbytes for image in images)
        for image in images:
            image.flags.writeable = False
        if size_bytes <= self.free_bytes:
            self._kept[index] = images
            self.free_bytes -= size_bytes
        return images
