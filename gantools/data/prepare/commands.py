"""``gantools data edges|crappify|blur|mask|lowres|gray|pairs|split``: the options of each, declared once.

They are dataclasses without comparison or representation: defining those takes time in every start-up. For the same
reason nothing here imports pydantic, numpy or torch before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from gantools.config.command import CommandOptions, Option
from gantools.errors import UsageError
from gantools.jobs.outputs import Existing, existing_policy

if TYPE_CHECKING:
    from gantools.config.options import Options
    from gantools.data.prepare.change import Change
    from gantools.data.prepare.tasks import Task, Work
    from gantools.jobs.result import Result

O = TypeVar("O", bound="Options")  # noqa: E741 - O as in Options
KindOrAuto = Literal["auto", "photos", "pairs", "ab", "unpaired"]

DegradationName = Literal[
    "low_resolution",
    "text",
    "jpeg",
    "webp",
    "gray",
    "noise",
    "poisson",
    "gaussian_blur",
    "sinc",
    "camera_blur",
    "resize",
    "missing",
]
MaskName = Literal["center", "random_block", "random_region", "scratches", "rectangles", "border", "text", "mixed"]


@dataclass(kw_only=True, eq=False, repr=False)
class Writing(CommandOptions):
    """Options of every command that writes into a folder."""

    workers: Annotated[int | None, Option("Number of processes; results do not depend on it [cores].", min=1)] = None
    skip_existing: Annotated[bool, Option("Leave existing results as they are.")] = False
    overwrite: Annotated[bool, Option("Replace existing results.")] = False
    dry_run: Annotated[bool, Option("Only print what would be written.", "-n --dry-run")] = False

    @property
    def existing(self) -> Existing:
        """What is done about results that exist. Raises UsageError."""
        return existing_policy(self.skip_existing, self.overwrite)


@dataclass(kw_only=True, eq=False, repr=False)
class WritingImages(Writing):
    """Options of every command that writes images."""

    format: Annotated[
        Literal["keep", "png", "jpg", "webp", "tif", "bmp"], Option("Format of the results; keep: each image's own.")
    ] = "png"
    quality: Annotated[int, Option("Quality of JPEG and WebP.", min=1, max=100)] = 95

    @property
    def wanted_format(self) -> str | None:
        """A key of the table of formats, or None to keep each image's own."""
        return None if self.format == "keep" else self.format


@dataclass(kw_only=True, eq=False, repr=False)
class Gray(WritingImages):
    """Photos without their colours; the base of every command that makes one image of each."""

    seed = 0

    def change(self, overrides: Sequence[str]) -> Change:  # noqa: ARG002 - the signature of all of them
        """What is done to an image. ``overrides`` are other settings, as ``KEY=VALUE``. Raises ConfigError."""
        from gantools.data.prepare import change

        return change.gray


@dataclass(kw_only=True, eq=False, repr=False)
class LowRes(Gray):
    """Photos, smaller."""

    scale: Annotated[int, Option("How many times smaller.", min=1, max=16)] = 4

    def change(self, overrides: Sequence[str]) -> Change:  # noqa: ARG002
        from gantools.data.prepare import change

        return change.Shrink(self.scale)


@dataclass(kw_only=True, eq=False, repr=False)
class AtRandom(Gray):
    """Options of every command whose changes are random."""

    seed: Annotated[int, Option("Random numbers depend on it and an image's name alone.", min=0)] = 0


@dataclass(kw_only=True, eq=False, repr=False)
class Edges(AtRandom):
    """Outlines of photos."""

    low: Annotated[float | None, Option("Lower threshold of Canny's detector [45].")] = None
    high: Annotated[float | None, Option("Upper threshold of Canny's detector [100].")] = None
    hints: Annotated[int, Option("Dabs of the photo's colours on each outline.", min=0)] = 0
    size_px: Annotated[int | None, Option("First make squares of this side.", "--size", min=1)] = None
    fit: Annotated[Literal["stretch", "crop", "pad"], Option("With --size: how a photo becomes a square.")] = "stretch"

    def change(self, overrides: Sequence[str]) -> Change:
        from gantools.data.options.datasets import EdgeOptions
        from gantools.data.prepare import change

        flags = {"canny_low": self.low, "canny_high": self.high, "max_hints": self.hints}
        return change.Outline(_settings(EdgeOptions, overrides, flags), self.size_px, self.fit)


@dataclass(kw_only=True, eq=False, repr=False)
class Crappify(AtRandom):
    """Photos, degraded."""

    do: Annotated[
        list[DegradationName] | None,
        Option("What is done, in this order [low_resolution, text, jpeg]."),
    ] = None

    def change(self, overrides: Sequence[str]) -> Change:
        from gantools.data.prepare import change
        from gantools.data.prepare.options import CrappifyOptions

        return change.Crappify(_settings(CrappifyOptions, overrides, {"do": self.do}).degradations())


@dataclass(kw_only=True, eq=False, repr=False)
class Blur(AtRandom):
    """Photos, blurred."""

    kind: Annotated[list[Literal["motion", "defocus", "gaussian"]] | None, Option("Kinds to draw from [motion].")] = (
        None
    )
    kernel: Annotated[
        list[str] | None, Option("Measured kernels to draw from: .npy or .mat.", metavar="FILE")
    ] = None  # fmt: skip

    def change(self, overrides: Sequence[str]) -> Change:
        from gantools.data.options.blur import BlurOptions
        from gantools.data.prepare import change

        flags: dict[str, Any] = {}
        if self.kind or self.kernel:
            drawn = {*(self.kind or ()), *(["measured"] if self.kernel else [])}
            kinds = ("motion", "defocus", "gaussian", "measured")
            flags = {**{f"{each}_weight": float(each in drawn) for each in kinds}, "kernel_files": self.kernel or None}
        options = _settings(BlurOptions, overrides, flags)
        if options.measured_weight:
            from gantools.data.degrade.blur import measured_kernels

            measured_kernels(options.kernel_files)  # an unusable file is refused before any work
        return change.Blur(options)


@dataclass(kw_only=True, eq=False, repr=False)
class Mask(AtRandom):
    """Photos with a part missing, or the masks."""

    kind: Annotated[
        MaskName | None,
        Option("What is missing [random_region]."),
    ] = None
    alone: Annotated[bool, Option("Write the masks themselves: white is missing.")] = False

    def change(self, overrides: Sequence[str]) -> Change:
        from gantools.data.prepare import change
        from gantools.data.prepare.options import MasksOptions

        return change.Mask(_settings(MasksOptions, overrides, {"kind": self.kind}).chosen(), self.alone)


@dataclass(kw_only=True, eq=False, repr=False)
class Split(Writing):
    """How a data set is split into train, val and test."""

    val: Annotated[float, Option("Fraction for validation.")] = 0.2
    test: Annotated[float, Option("Fraction for a test afterwards.")] = 0.0
    seed: Annotated[int, Option("Seed of the split; 2 is that of most recipes.", min=0)] = 2
    kind: Annotated[KindOrAuto, Option("What the folder holds; auto: what a recipe would take it for.", "--as")] = (
        "auto"
    )
    link: Annotated[bool, Option("Hard links instead of copies: they take no room.")] = False


@dataclass(frozen=True)
class Prepared:
    """What will be read and written; iterating over it does the work, with one result for each task."""

    tasks: tuple[Task, ...]
    work: Work
    options: Writing

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Result]:
        from gantools.cores import usable_cores
        from gantools.data.prepare import tasks

        if self.options.dry_run:
            return iter(tasks.dry_run(self.tasks))
        return tasks.run(self.tasks, self.work, workers=self.options.workers or usable_cores())


def change_images(source: str | Path, output: str | Path, options: Gray, overrides: Sequence[str] = ()) -> Prepared:
    """Every image below ``source`` becomes one below ``output``, as ``options`` say. Raises UsageError.

    ``options`` are ``Edges``, ``Crappify``, ``Blur``, ``Mask``, ``LowRes`` or ``Gray`` of ``gantools.api``;
    ``overrides`` are other settings of theirs, as ``KEY=VALUE``.

    >>> from gantools import api
    >>> [result.status for result in api.change_images("photos", "small", api.LowRes(scale=2))]
    ['done', 'done']
    """
    from gantools.data.prepare import tasks
    from gantools.data.prepare.change import ChangeImage

    change = options.change(overrides)
    planned = tasks.one_to_one(Path(source), Path(output), options.wanted_format, options.existing)
    return Prepared(planned, ChangeImage(change, options.seed, options.quality), options)


def make_pairs(folders: Sequence[str | Path], output: str | Path, options: WritingImages) -> Prepared:
    """Two folders are combined into A|B images; one of A|B images is divided into two. Raises UsageError, DataError."""
    from gantools.data.prepare import pairs

    if len(folders) not in (1, 2):
        raise UsageError(f"pairs takes two folders to combine or one to divide, not {len(folders)}")
    first, *others = map(Path, folders)
    if not others:
        divided = pairs.dividing(first, Path(output), options.wanted_format, options.existing)
        return Prepared(divided, pairs.Divide(options.quality), options)
    combined = pairs.combining(first, others[0], Path(output), options.wanted_format, options.existing)
    return Prepared(combined, pairs.Combine(options.quality), options)


def split_data(source: str | Path, output: str | Path, options: Split) -> Prepared:
    """Files of a data set become those of folders train, val and test; pairs stay together. Raises UsageError."""
    from gantools.data.prepare import split
    from gantools.data.prepare.recognise import kind_of

    source = Path(source)
    kind = kind_of(source) if options.kind == "auto" else options.kind
    planned = split.plan(
        source, Path(output), kind, val=options.val, test=options.test, seed=options.seed, existing=options.existing
    )
    return Prepared(planned, split.Place(options.link), options)


def _settings(kind: type[O], overrides: Sequence[str], flags: Mapping[str, Any]) -> O:
    """Options from KEY=VALUE and from flags (None: not given), which win. Raises ConfigError with every mistake."""
    from gantools.config import report
    from gantools.config.source import Tree

    tree = Tree({}, name="command line")
    tree.override(overrides)
    for key, value in flags.items():
        if value is not None:
            tree.assign((key,), value, "command line")
    return report.validate(kind, tree)
