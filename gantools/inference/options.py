"""The options of ``gantools infer`` and ``gantools.infer``, each declared once. No torch.

A field is a keyword argument in Python; the command line makes an option of it as its ``Option`` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from gantools.config.command import CommandOptions, Option
from gantools.errors import ImageError, UsageError
from gantools.jobs.outputs import Existing, existing_policy

ScaleTo: TypeAlias = Literal["auto", "trained", "native"] | int
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
Method: TypeAlias = Literal["model", "telea", "ns", "auto", "wiener", "richardson_lucy"]
FILLING = ("model", "telea", "ns", "auto")
"""Methods of filling what is missing; the others undo a blur."""
WITHOUT_NETWORK = ("telea", "ns")
Shard: TypeAlias = tuple[int, int] | Literal["auto"]
"""The I-th of N equal parts of the inputs, counted from 1; auto: the one that a scheduler has given this process."""

CENTER = "center"
"""The mask that is a square in the middle."""

LARGEST_INPUT_PX = 2**27
"""What the reader takes; a test holds the two together, because the reader is not imported for help."""

OUTPUT_PIXELS_PER_MAX_PIXELS = 4
"""A result may have this many times ``max_pixels``, so that ×4 of an ordinary photo is within the limit."""

LARGEST_SCALE_TO_PX = 999_999
"""The largest N of ``--scale-to N``: a short side of more pixels is a mistake."""


def parse_scale_to(text: str) -> ScaleTo:
    """Read ``--scale-to``. Raises UsageError."""
    words: Mapping[str, ScaleTo] = {"auto": "auto", "trained": "trained", "native": "native"}
    if text in words:
        return words[text]
    if re.fullmatch("[0-9]{1,6}", text) and int(text) > 0:
        return int(text)
    raise UsageError(f"--scale-to {text}: give trained, native, or a short side in pixels")


def parse_shard(text: str) -> Shard:
    """Read ``2/8`` as (2, 8). Raises UsageError."""
    if text == "auto":
        return "auto"
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text}: give I/N, the I-th of N parts, such as 1/4 … 4/4, or auto")
    return int(found[1]), int(found[2])


def _count(option: str, least: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if text == "auto":
            return None
        if not re.fullmatch("[0-9]{1,6}", text) or int(text) < least:
            raise UsageError(f"{option} {text}: give auto or a number of at least {least}")
        return int(text)

    return parse


@dataclass(frozen=True)
class InferOptions(CommandOptions):
    """How images are found, read, put through a network and written. None stands for what the help calls auto."""

    output: Annotated[
        str | None,
        Option(
            "Result file or folder, also a URL; - for standard output. Default for one file: beside it.",
            "-o --output",
            "FILE|DIR|-",
        ),
    ] = None
    recursive: Annotated[bool, Option("Include sub-folders.", "-r --recursive")] = False
    skip_existing: Annotated[bool, Option("Leave existing results as they are.")] = False
    overwrite: Annotated[bool, Option("Replace existing results.")] = False
    fail_fast: Annotated[bool, Option("Stop at the first failure.")] = False
    shard: Annotated[
        Shard | None,
        Option(
            "Only the I-th of N parts of the inputs; the parts are always the same. auto: the part that torchrun, "
            "Slurm, Kubernetes or GNU parallel has given this process.",
            metavar="I/N|auto",
            parse=parse_shard,
        ),
    ] = None
    dry_run: Annotated[bool, Option("Only print what would be written.", "-n --dry-run")] = False

    format: Annotated[Literal["keep", "png", "jpg", "webp", "tif"], Option("Format of the results.")] = "keep"
    quality: Annotated[int, Option("Quality of JPEG and WebP.", min=1, max=100)] = 95
    lossless: Annotated[
        bool | None, Option("Compression of WebP; by default as the input's.", "--lossless/--lossy")
    ] = None
    depth: Annotated[Literal["keep", 8, 16], Option("Bits per sample.")] = "keep"
    metadata: Annotated[Literal["keep", "strip"], Option("EXIF, colour profile, XMP, IPTC, texts, resolution.")] = (
        "keep"
    )
    alpha: Annotated[
        Literal["keep", "process", "drop"],
        Option("Transparency: keep resizes it, process puts it through the network, drop leaves it out."),
    ] = "keep"
    gray: Annotated[
        Literal["auto", "keep", "color"],
        Option("Results of gray images: keep them gray, or color; auto: what the weights were trained for."),
    ] = "auto"
    frames: Annotated[Literal["refuse", "first"], Option("Files with several frames or pages.")] = "refuse"
    allow_truncated: Annotated[bool, Option("Accept what is left of damaged files.")] = False
    max_pixels: Annotated[
        int | None,
        Option(
            "Largest input, in pixels; a result may have four times as many.",
            min=1,
            default=f"{LARGEST_INPUT_PX:,}",
        ),
    ] = None
    timeout_seconds: Annotated[
        float,
        Option("Time limit for decoding an image, plus a second per megapixel.", "--timeout", "SECONDS", min=0.1),
    ] = 60.0

    export: Annotated[str | None, Option("Which network, where the weights hold several.", metavar="NAME")] = None
    direction: Annotated[
        Literal["a2b", "b2a"] | None, Option("Direction of a model that translates both ways (CycleGAN).")
    ] = None
    blend: Annotated[float | None, Option("Interpolate weights: 0 = base, 1 = this model.", metavar="0..1")] = None
    blend_with: Annotated[
        str | None,
        Option("The base of --blend [default: what the model was trained from].", metavar="RECIPE|RUN|WEIGHTS"),
    ] = None
    mask: Annotated[
        str | None,
        Option(
            "What to fill in (white); a folder: masks with the images' names. Default: what is transparent.",
            metavar="FILE|DIR|center",
        ),
    ] = None
    source: Annotated[
        Literal["drawing", "photo"],
        Option("photo: first draw the outlines that the model was trained on.", "--from"),
    ] = "drawing"
    kernel: Annotated[
        str | None,
        Option("deblur: undo this known blur (.npy, .mat) without a network or weights.", metavar="FILE[#N]"),
    ] = None
    method: Annotated[
        Method | None,
        Option(
            "What fills missing parts: model (the default), telea or ns (OpenCV's inpainting, without a network), or "
            "auto: ns for thin parts, model for thick ones. With --kernel: wiener (the default) or richardson_lucy."
        ),
    ] = None
    balance: Annotated[float, Option("--kernel: weight of smoothness in Wiener's filter.", min=0)] = 0.01
    iterations: Annotated[int, Option("--kernel: iterations of Richardson and Lucy.", min=1)] = 20

    scale: Annotated[
        float | None,
        Option("How many times as large results are: shrunk from what the network makes [its own].", min=0.01),
    ] = None
    scale_to: Annotated[
        ScaleTo,
        Option(
            "Short side at which the network sees images: trained (as in training), native (their own) or N px; "
            "auto: what the weights were measured with.",
            metavar="trained|native|N",
            parse=parse_scale_to,
            default="auto",
        ),
    ] = "auto"
    tile: Annotated[
        int | None,
        Option(
            "Tile size in px for large images; 0 disables tiling.",
            metavar="auto|0|N",
            parse=_count("--tile", 0),
            default="auto",
        ),
    ] = None
    batch: Annotated[
        int | None,
        Option("Batch size for images of equal size.", metavar="auto|N", parse=_count("--batch", 1), default="auto"),
    ] = None
    tta: Annotated[bool, Option("Test-time augmentation: average over 8 flips and rotations.")] = False
    fast: Annotated[
        bool, Option("bf16 where that is faster, and batches: quicker, but pixels differ by a few of 255.")
    ] = False
    compile: Annotated[
        bool,
        Option("torch.compile per image size; not worthwhile for a single image.", "--compile/--no-compile"),
    ] = False
    io_workers: Annotated[int | None, Option("Decoder processes; 0: decode in this process.", min=0, max=64)] = None
    device: Annotated[
        str, Option("auto, cpu, cuda, cuda:N or mps; of ONNX files dml, too.", environment="GANTOOLS_DEVICE")
    ] = "auto"
    precision: Annotated[Precision, Option("Arithmetic of the network; auto: fp32, the exact one.")] = "auto"
    listed: bool = False
    """The inputs are from a list, which may happen to hold one name or none: ``output`` is a folder for them too."""

    @property
    def existing(self) -> Existing:
        """What is done about results that exist. Raises UsageError."""
        return existing_policy(self.skip_existing, self.overwrite)

    @property
    def network(self) -> str | None:
        """The network that is asked for: a direction is the name of one. Raises UsageError."""
        if self.export is not None and self.direction is not None:
            raise UsageError(f"--export {self.export} and --direction {self.direction} both name a network; give one")
        return self.direction or self.export

    def check_output_size(self, width: int, height: int, scale: int) -> None:
        """Raise ImageError when ``scale`` times an image of this size is over the limit for results."""
        width, height = width * scale, height * scale
        limit = OUTPUT_PIXELS_PER_MAX_PIXELS * (LARGEST_INPUT_PX if self.max_pixels is None else self.max_pixels)
        if width * height > limit:
            raise ImageError(
                f"the result of {width}×{height} would be {width * height:,} pixels, over the limit of {limit:,}; "
                "raise it with --max-pixels"
            )


DEFAULTS = InferOptions()
