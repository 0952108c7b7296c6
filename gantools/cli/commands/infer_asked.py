"""What is asked of ``gantools infer``, as it is typed and as the engine takes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict

from gantools.cli.commands import infer_options as given
from gantools.cli.commands.infer_choices import (
    Alpha,
    Deconvolve,
    Depth,
    Format,
    Frames,
    Gray,
    Metadata,
    Precision,
    Source,
)
from gantools.cli.commands.infer_names import count_of, shard_of
from gantools.cli.output import results
from gantools.cli.output.results import DryRun, Json, Overwrite, SkipExisting
from gantools.errors import UsageError

if TYPE_CHECKING:
    from gantools.inference.options import Settings
    from gantools.inference.plan import Shard
    from gantools.jobs.outputs import Existing


class Placing(TypedDict):
    """What a plan is made of besides its inputs; ``format`` None: that of each input."""

    output: str | None
    recursive: bool
    format: str | None
    existing: Existing
    shard: Shard | None
    listed: bool


@dataclass(frozen=True)
class Asked:
    """The arguments and options of ``gantools infer``, in the order of its help."""

    model: given.Model
    typed: given.Inputs = None
    files_from: given.FilesFrom = None
    null: given.Null = False
    output: given.Output = None
    recursive: given.Recursive = False
    print0: given.Print0 = False
    json_lines: Json = False
    skip_existing: SkipExisting = False
    overwrite: Overwrite = False
    fail_fast: given.FailFast = False
    shard: given.ShardOption = None
    dry_run: DryRun = False
    format: given.FormatOption = Format.keep
    quality: given.Quality = 95
    lossless: given.Lossless = None
    depth: given.DepthOption = Depth.keep
    metadata: given.MetadataOption = Metadata.keep
    alpha: given.AlphaOption = Alpha.keep
    gray: given.GrayOption = Gray.auto
    frames: given.FramesOption = Frames.refuse
    allow_truncated: given.AllowTruncated = False
    max_pixels: given.MaxPixels = None
    timeout: given.Timeout = 60.0
    export: given.Export = None
    direction: given.DirectionOption = None
    blend: given.Blend = None
    blend_with: given.BlendWith = None
    mask: given.Mask = None
    source: given.From = Source.drawing
    kernel: given.KernelOption = None
    method: given.MethodOption = Deconvolve.wiener
    balance: given.Balance = 0.01
    iterations: given.Iterations = 20
    scale_to: given.ScaleTo = "auto"
    tile: given.Tile = "auto"
    batch: given.Batch = "auto"
    tta: given.Tta = False
    fast: given.Fast = False
    compile: given.Compile = False
    io_workers: given.IoWorkers = None
    device: given.Device = "auto"
    precision: given.PrecisionOption = Precision.auto
    quiet: given.Quiet = False
    verbose: given.Verbose = False
    no_color: given.NoColor = False

    @property
    def listed(self) -> bool:
        """Whether inputs are named by a list."""
        return self.files_from is not None

    @property
    def placing(self) -> Placing:
        """Which inputs are taken and where their results go. Raises UsageError."""
        return {
            "output": self.output,
            "recursive": self.recursive,
            "format": None if self.format is Format.keep else self.format.value,
            "existing": results.existing(self.skip_existing, self.overwrite),
            "shard": shard_of(self.shard),
            "listed": self.listed,
        }

    @property
    def line_end(self) -> str:
        """What follows each name on stdout."""
        return "\0" if self.print0 else "\n"

    @property
    def network(self) -> str | None:
        """The network that is asked for: a direction is the name of one. Raises UsageError."""
        if self.export is not None and self.direction is not None:
            raise UsageError(
                f"--export {self.export} and --direction {self.direction.value} both name a network; give one"
            )
        return self.direction.value if self.direction else self.export

    @property
    def _bits(self) -> Any:
        return "keep" if self.depth is Depth.keep else int(self.depth.value)

    def settings(self) -> Settings:
        """How pictures are read, computed and written. Raises UsageError."""
        from gantools.inference.options import Settings, parse_scale_to

        return Settings(
            quality=self.quality,
            lossless="keep" if self.lossless is None else self.lossless,
            depth=self._bits,
            metadata=word(self.metadata),
            alpha=word(self.alpha),
            gray=word(self.gray),
            max_pixels=self.max_pixels,
            allow_truncated=self.allow_truncated,
            first_frame=self.frames is Frames.first,
            fail_fast=self.fail_fast,
            mask=self.mask,
            scale_to=parse_scale_to(self.scale_to),
            tile=count_of(self.tile, "--tile", least=0),
            tta=self.tta,
            timeout_seconds=self.timeout,
            io_workers=self.io_workers,
            batch=count_of(self.batch, "--batch", least=1),
            fast=self.fast,
            compile=self.compile,
        )


def word(choice: Enum) -> Any:
    """An option's value, of which a type checker does not see that it is one of the few allowed words."""
    return choice.value
