"""The options of ``gantools export``, each declared once. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from gantools.config.command import CommandOptions, Option
from gantools.errors import UsageError

Size: TypeAlias = tuple[int, int]
"""Height and width in px."""

LEAST_OPSET, MOST_OPSET = 18, 23
"""What torch 2.11 to 2.15 can write and onnxruntime 1.22 can read."""


def parse_size(text: str) -> Size:
    """Read ``512`` or ``640x480`` (width x height) as height and width. Raises UsageError."""
    found = re.fullmatch("([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", text)
    if not found or int(found[1]) == 0 or (found[2] and int(found[2]) == 0):
        raise UsageError(f"--size {text}: give a side in px, such as 512, or width x height, such as 640x480")
    return int(found[2] or found[1]), int(found[1])


@dataclass(frozen=True)
class ExportOptions(CommandOptions):
    """What is exported, and how the file takes and gives images."""

    export: Annotated[str | None, Option("Which network, where the weights hold several.", metavar="NAME")] = None
    size: Annotated[
        Size | int | None,
        Option("Fixed size of the input image [default: any].", metavar="N|WxH", parse=parse_size),
    ] = None
    uint8: Annotated[
        bool, Option("Images as 8-bit RGB (NHWC, 0 to 255) in and out, instead of floats (NCHW, -1 to 1).")
    ] = False
    half: Annotated[
        bool, Option("Weights and arithmetic in float16, for GPUs; inputs and outputs stay as they are.")
    ] = False
    dropout: Annotated[
        Literal["keep", "off"],
        Option("Of networks that keep dropout after training: keep needs --size, off leaves it out."),
    ] = "keep"
    opset: Annotated[int, Option("Version of ONNX's operators.", min=LEAST_OPSET, max=MOST_OPSET)] = LEAST_OPSET
    overwrite: Annotated[bool, Option("Replace an existing file.")] = False

    @property
    def fixed_px(self) -> Size | None:
        """Height and width of the input, where they are fixed."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size
