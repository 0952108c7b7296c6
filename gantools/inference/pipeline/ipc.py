"""Messages between a decoder process and the one that asks it: a line of JSON, then an image's samples as they are.

What comes back from a decoder is read as numbers and bytes, never unpickled: a hostile file may have taken it over.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from gantools.images.image import Image, Metadata, Pixels

Message: TypeAlias = dict[str, Any]
"""Values for JSON, and bytes."""

POSSIBLE = os.name == "posix" and hasattr(signal, "setitimer")
"""Whether there can be decoder processes, which end themselves in time: not on Windows."""


class Channel:
    """One end of a socket to another process. After a TimeoutError it can only be closed."""

    def __init__(self, line: socket.socket) -> None:
        self._socket, self._reader = line, line.makefile("rb")

    def settimeout(self, seconds: float) -> None:
        """Let everything raise TimeoutError after so long without progress."""
        self._socket.settimeout(seconds)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises OSError when nobody listens any more."""
        line = json.dumps(message, default=lambda content: {"base64": b64encode(content).decode()})
        self._socket.sendall(line.encode() + b"\n")

    def receive(self) -> Message:
        """Wait for a message. Raises EOFError when the other side is gone."""
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        message: Message = json.loads(
            line, object_hook=lambda found: b64decode(found["base64"]) if "base64" in found else found
        )
        return message

    def send_image(self, image: Image, message: Mapping[str, Any]) -> None:
        """Send a message and an image with it."""
        described = {
            "shape": image.pixels.shape,
            "dtype": image.pixels.dtype.name,
            "alpha": image.alpha is not None,
            "gray": image.gray,
            "format": image.format,
            "lossless": image.lossless,
            "metadata": asdict(image.metadata),
        }
        self.send({**message, "image": described})
        for samples in (image.pixels, image.alpha):
            if samples is not None:
                self._socket.sendall(np.ascontiguousarray(samples).data.cast("B"))

    def receive_image(self, described: Mapping[str, Any]) -> Image:
        """Read the image that a message of ``receive`` describes. Raises as ``receive``."""
        height, width, channels = (int(side) for side in described["shape"])
        dtype = np.dtype({"uint8": np.uint8, "uint16": np.uint16}[described["dtype"]])
        pixels = self._samples((height, width, channels), dtype)
        alpha = self._samples((height, width), dtype) if described["alpha"] else None
        kept = described["metadata"]
        dpi = None if kept["dpi"] is None else (float(kept["dpi"][0]), float(kept["dpi"][1]))
        others = tuple((str(name), content) for name, content in kept["others"])
        metadata = Metadata(kept["exif"], kept["icc"], kept["xmp"], dpi, others)
        gray, lossless = bool(described["gray"]), bool(described["lossless"])
        return Image(pixels, alpha, gray, metadata, str(described["format"]), lossless)

    def _samples(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        samples = np.empty(shape, dtype)
        if self._reader.readinto(samples.reshape(-1).data.cast("B")) < samples.nbytes:
            raise EOFError
        return samples

    def close(self) -> None:
        self._reader.close()
        self._socket.close()
