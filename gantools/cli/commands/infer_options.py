"""The options of ``gantools infer``."""

from __future__ import annotations

from typing import Annotated

import typer

from gantools.cli.commands.infer_choices import (
    Alpha,
    Deconvolve,
    Depth,
    Direction,
    Format,
    Frames,
    Gray,
    Metadata,
    Precision,
    Source,
)

LARGEST_INPUT_PX = 2**27
"""What the reader takes; a test holds the two together, because it is not imported for help."""

Model = Annotated[
    str, typer.Argument(metavar="RECIPE|RUN|WEIGHTS", help="Installed weights, a run's folder, or a file.")
]
Inputs = Annotated[
    list[str] | None, typer.Argument(metavar="INPUT...", help="Pictures, folders, or - for standard input.")
]
FilesFrom = Annotated[
    str | None, typer.Option("--files-from", metavar="FILE|-", help="Read names of inputs too, one per line.")
]
Null = Annotated[bool, typer.Option("-0", "--null", help="--files-from: names end with NUL, as find -print0 has them.")]
Print0 = Annotated[bool, typer.Option("--print0", help="End the names on stdout with NUL, for xargs -0.")]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only the I-th of N shares, which are always the same."),
]
Output = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE|DIR|-", help="Default for one file: beside it.")
]
Recursive = Annotated[bool, typer.Option("-r", "--recursive", help="Look into sub-folders.")]
From = Annotated[
    Source, typer.Option("--from", help="photo: first make the outline drawing that the model learnt from.")
]
Mask = Annotated[
    str | None,
    typer.Option(metavar="FILE|DIR|center", help="What is missing (white); a folder: masks by the pictures' names."),
]
KernelOption = Annotated[
    str | None,
    typer.Option(
        "--kernel", metavar="FILE[#N]", help="deblur: undo this known blur (.npy, .mat) without a network or weights."
    ),
]
MethodOption = Annotated[Deconvolve, typer.Option("--method", help="How --kernel is undone.")]
Balance = Annotated[float, typer.Option(min=0, help="--kernel: weight of smoothness in Wiener's filter.")]
Iterations = Annotated[int, typer.Option(min=1, help="--kernel: iterations of Richardson and Lucy.")]
FormatOption = Annotated[Format, typer.Option(help="Format of the results.")]
Quality = Annotated[int, typer.Option(min=1, max=100, help="Quality of JPEG and WebP.")]
Lossless = Annotated[
    bool | None, typer.Option("--lossless/--lossy", help="Compression of WebP; by default as the input's.")
]
DepthOption = Annotated[Depth, typer.Option(help="Bits per sample.")]
MetadataOption = Annotated[Metadata, typer.Option(help="EXIF, colour profile, XMP, IPTC, texts, resolution.")]
AlphaOption = Annotated[Alpha, typer.Option(help="Transparency: resized, put through the network, or left out.")]
GrayOption = Annotated[
    Gray, typer.Option(help="Gray pictures stay gray or get the network's colours; auto: as it learnt.")
]
FramesOption = Annotated[Frames, typer.Option(help="Files with several frames or pages.")]
AllowTruncated = Annotated[bool, typer.Option("--allow-truncated", help="Accept what is left of damaged files.")]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default=f"{LARGEST_INPUT_PX:,}",
        help="Largest input, in pixels; a result may have four times as many.",
    ),
]
Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="For decoding a picture; a second more per megapixel.")
]
IoWorkers = Annotated[
    int | None, typer.Option("--io-workers", min=0, max=64, help="Decoder processes; 0: decode in this process.")
]
ScaleTo = Annotated[
    str,
    typer.Option(
        "--scale-to",
        metavar="trained|native|N",
        help="Short side at which the network sees pictures: as in training, their own, or N px; auto: what suits it.",
    ),
]
Tile = Annotated[
    str, typer.Option(metavar="auto|0|N", help="Side of the parts that large pictures go through in; 0: never cut.")
]
Batch = Annotated[str, typer.Option(metavar="auto|N", help="Pictures of one size that go through together.")]
Tta = Annotated[bool, typer.Option("--tta", help="Mean over eight flips and turns: eight times the work.")]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast", help="bf16 where that is faster, batches by size: quicker, and pixels differ by a few of 255."
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile/--no-compile",
        help="Make code for each size of picture: up to a minute each, kept for other runs. One picture never pays.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No messages and no progress; failures only.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="A line for every picture, with what it took.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours; so does the variable NO_COLOR.")]
Export = Annotated[str | None, typer.Option(metavar="NAME", help="Which of several networks in the weights.")]
DirectionOption = Annotated[
    Direction | None, typer.Option(help="Which way a model translates that learnt both (CycleGAN).")
]
Blend = Annotated[
    float | None,
    typer.Option(metavar="0..1", help="Weights between two: srgan 0 is srgan/psnr, 1 srgan/gan; 0.5 half way."),
]
BlendWith = Annotated[
    str | None,
    typer.Option("--blend-with", metavar="RECIPE|RUN|WEIGHTS", help="What --blend 0 is [what the card names]."),
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
Device = Annotated[str, typer.Option(envvar="GANTOOLS_DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic of the network; auto: fp32, the exact one.")]
