"""``gantools data align``: its options, each declared once, and its start. No numpy."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from gantools.config.command import Option
from gantools.data.prepare.commands import Prepared, Writing
from gantools.errors import UsageError
from gantools.jobs import image_files
from gantools.jobs.plan import STANDARD, placed

if TYPE_CHECKING:
    from gantools.data.prepare.landmarks import Squares
    from gantools.data.prepare.tasks import Task

Which: TypeAlias = Literal["largest", "all"] | int
"""The faces of a photo that are wanted; a number counts them from the largest on, from 1."""


def parse_face(text: str) -> Which:
    """Read ``--face``. Raises UsageError."""
    words: Mapping[str, Which] = {"largest": "largest", "all": "all"}
    if text in words:
        return words[text]
    if re.fullmatch("[0-9]{1,3}", text) and int(text) > 0:
        return int(text)
    raise UsageError(f"--face {text}: give largest, all, or a number: 1 is the largest face, 2 the next")


@dataclass(kw_only=True, eq=False, repr=False)
class Align(Writing):
    """Photos of faces, as FFHQ has them."""

    output: Annotated[
        str | None,
        Option("Result file or folder. Default for one photo: NAME.aligned.png beside it.", "-o --output", "FILE|DIR"),
    ] = None
    recursive: Annotated[bool, Option("Include sub-folders.", "-r --recursive")] = False
    size_px: Annotated[int, Option("Side of a result.", "--size", min=16, max=4096)] = 1024
    face: Annotated[
        Which,
        Option("Which of several faces; N: the N-th largest.", metavar="largest|all|N", parse=parse_face,
               default="largest"),
    ] = "largest"  # fmt: skip
    landmarks: Annotated[
        str | None,
        Option("JSON of photos' names and the points of their faces, 5 or 68 each: no detector.", metavar="FILE"),
    ] = None
    crop: Annotated[
        Literal["face", "center"], Option("face: by eyes and mouth; center: the middle, for what is no face.")
    ] = "face"
    pad: Annotated[
        Literal["blur", "none"], Option("What lies beyond the photo: blur mirrors and blurs it; none: black.")
    ] = "blur"
    format: Annotated[
        Literal["keep", "png", "jpg", "webp", "tif", "bmp"] | None,
        Option("Format of the results; keep: each photo's own. Default: png, or as -o FILE says."),
    ] = None
    quality: Annotated[int, Option("Quality of JPEG and WebP.", min=1, max=100)] = 95

    @property
    def to_file(self) -> bool:
        """Whether ``output`` is one image; else it is a folder."""
        return self.output is not None and image_files.known(self.output)

    @property
    def wanted_format(self) -> str | None:
        """A key of the table of formats; None: that of each photo, or that which ``output`` says."""
        wanted = self.format or ("keep" if self.to_file else "png")
        return None if wanted == "keep" else wanted


def align_faces(photos: Sequence[str | Path], options: Align) -> Prepared:
    """The faces in photos and folders of photos become upright squares, as StyleGAN2's are (FFHQ).

    Iterating over it does the work; a result's ``facts`` say how many ``faces`` a photo has, and the ``squares`` in it
    that were cut out. Raises UsageError, also where no face detector is installed (``fetch_weights("yunet")``), and
    DataError for a file of landmarks that cannot be read.

    >>> from gantools import api
    >>> [result.status for result in api.align_faces(["photos"], api.Align(output="faces", crop="center", size_px=64))]
    ['done', 'done']
    """
    from gantools.data.prepare import faces, landmarks, portraits

    if options.crop == "center" and (options.landmarks or options.face != "largest" or options.pad != "blur"):
        raise UsageError("--crop center takes the middle, whatever it shows: leave out --landmarks, --face and --pad")
    if isinstance(options.face, int) and options.face < 1:
        raise UsageError(f"face {options.face}: faces count from 1, the largest")
    marked = landmarks.read(Path(options.landmarks)) if options.landmarks else None
    tasks = _planned([os.fspath(photo) for photo in photos], options, marked)
    detector = faces.installed_detector() if options.crop == "face" and marked is None else None
    work = portraits.Portray(detector, options.face, options.size_px, options.pad, options.quality)
    return Prepared(tasks, work, options)


def _planned(photos: Sequence[str], options: Align, marked: Mapping[str, Squares] | None) -> tuple[Task, ...]:
    """The tasks of photos and folders: their places as those of ``infer``, and the marked faces of each.

    Of all faces of a photo the first is planned; others that exist, of an earlier run, are treated as it is.
    Raises UsageError: something is missing, two outputs are one, an output is an input or exists.
    """
    from gantools.data.prepare import landmarks  # needs numpy
    from gantools.data.prepare.portraits import Marked
    from gantools.data.prepare.tasks import Task, settled

    if STANDARD in (*photos, options.output):
        raise UsageError("-: photos are read from files and folders and written there, not through pipes")
    output = options.output and os.fspath(options.output)
    if output and not options.to_file:
        output = os.path.join(output, "")  # a folder, also where there is none yet
    tasks: list[Task] = []
    for job in placed(photos, "aligned", output, options.wanted_format, recursive=options.recursive):
        if not isinstance(job.source, Path) or not isinstance(job.output, Path):
            continue
        outputs = _of_all_faces(job.output) if options.face == "all" else (job.output,)
        if marked is None:
            tasks.append(Task(job.input, (job.source,), outputs))
        else:
            tasks.append(Marked(job.input, (job.source,), outputs, squares=landmarks.of_photo(job.source, marked)))
    return settled(tasks, options.existing)


def _of_all_faces(path: Path) -> tuple[Path, ...]:
    from gantools.data.prepare.portraits import MOST_FACES, of_face  # needs numpy

    first = path.with_name(f"{path.stem}.face1{path.suffix}")
    others = (of_face(first, number) for number in range(2, MOST_FACES + 1))
    return (first, *filter(os.path.lexists, others))
