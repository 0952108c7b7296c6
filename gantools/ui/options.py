"""The options of ``gantools ui``, each declared once. No torch, no Gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gantools.config.command import CommandOptions, Option

LOCAL = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100
MAX_PIXELS = 2**26


@dataclass(frozen=True)
class UiOptions(CommandOptions):
    """Which page is served, and to whom."""

    port: Annotated[
        int | None,
        Option("Port.", metavar="N", min=1, max=65535, default=f"the first free one from {FIRST_PORT} on"),
    ] = None
    host: Annotated[
        str,
        Option("Address to listen at; other than this computer's own, the page asks for a token.", metavar="ADDRESS"),
    ] = LOCAL
    browser: Annotated[bool, Option("Open the page in the browser.", "--browser/--no-browser")] = True
    runs: Annotated[str, Option("Folder of the runs that the page shows.", metavar="DIR")] = "runs"
    max_pixels: Annotated[int, Option("Largest image that is accepted, in pixels.", min=1)] = MAX_PIXELS
    device: Annotated[str, Option("auto, cpu, cuda, cuda:N or mps.", environment="GANTOOLS_DEVICE")] = "auto"
