"""Photos become portraits: the faces in each cut out, or its middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gantools.data.prepare import faces
from gantools.data.prepare.align import Pad, Points, aligned, centred, side_px
from gantools.data.prepare.tasks import Made, Task, size_of, write
from gantools.errors import ImageError
from gantools.images.image import Pixels
from gantools.images.io import reader

MOST_FACES = 100
"""As many faces of a photo are written."""

ADVICE = "--landmarks FILE says where faces are, --crop center takes the middle of the image"


@dataclass(frozen=True)
class Marked(Task):
    """A photo whose faces are known: their squares, none where nobody has marked any."""

    squares: tuple[Points, ...] = ()


@dataclass(frozen=True)
class Portray:
    """Write the faces of a photo as upright squares. Those that are not marked are searched by ``detector``.

    Without either the middle of the photo is taken.
    """

    detector: Path | None
    which: Literal["largest", "all"] | int
    size_px: int
    pad: Pad
    quality: int

    def __call__(self, task: Task) -> Made:
        photo = reader.read_rgb8(task.sources[0])
        if isinstance(task, Marked):
            squares, missing = task.squares, "has no points in the file of --landmarks; --crop center needs none"
        elif self.detector is not None:
            squares, missing = tuple(faces.find(photo, self.detector)), f"no face found; {ADVICE}"
        else:
            write(centred(photo, self.size_px), task, quality=self.quality)
            return Made(size_of(photo), (self.size_px, self.size_px))
        if not squares:
            raise ImageError(missing)
        return self._cut_out(photo, sorted(squares, key=side_px, reverse=True), task)

    def _cut_out(self, photo: Pixels, squares: Sequence[Points], task: Task) -> Made:
        """Write those that are wanted, the first last: where it exists, all do."""
        chosen = self._chosen(squares)
        paths = [task.output, *(of_face(task.output, number) for number in range(2, len(chosen) + 1))]
        for number in reversed(range(len(chosen))):
            portrait = aligned(photo, chosen[number], self.size_px, self.pad)
            write(portrait, replace(task, outputs=tuple(paths)), quality=self.quality, which=number)
        note = None
        if self.which == "largest" and len(squares) > 1:
            note = f"{len(squares)} faces; this is the largest: --face all takes all, --face 2 the second largest"
        facts = {"faces": len(squares), "squares": [square.round(2).tolist() for square in chosen]}
        return Made(size_of(photo), (self.size_px, self.size_px), tuple(paths[1:]), facts, note)

    def _chosen(self, squares: Sequence[Points]) -> Sequence[Points]:
        if self.which == "all":
            return squares[:MOST_FACES]
        number = 1 if self.which == "largest" else self.which
        if number > len(squares):
            raise ImageError(f"--face {number}: has {len(squares)} face{'s' * (len(squares) > 1)}")
        return squares[number - 1 : number]


def of_face(first: Path, number: int) -> Path:
    """The file of a photo's N-th face, beside that of the first: ``a.face2.png`` of ``a.face1.png``."""
    return first.with_name(f"{first.stem.removesuffix('1')}{number}{first.suffix}")
