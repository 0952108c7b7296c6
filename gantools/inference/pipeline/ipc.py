"""Messages between a decoder process and the one that asks it: a line of JSON, then the samples as they are.

What comes back from a decoder is read as numbers and bytes, never unpickled: a hostile file may have taken it over.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np

from gantools.images.image import Image, Metadata

Message: TypeAlias = dict[str, Any]
T = TypeVar("T")

_READ_BYTES = 1 << 16
_GRACE_SECONDS = 1.0

POSSIBLE = os.name == "posix" and hasattr(signal, "setitimer")
"""Whether there can be decoder processes, which end themselves in time: not on Windows."""


class Channel:
    """One end of a socket to another process."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._unread = line, b""

    def settimeout(self, seconds: float) -> None:
        """Let everything raise TimeoutError after so long without progress."""
        self._line.settimeout(seconds)

    def send(self, message: Mapping[str, Any], content: bytes = b"") -> None:
        """Send a message and ``content`` after it. Raises OSError when nobody listens any more."""
        self._line.sendall(json.dumps({**message, "content_bytes": len(content)}).encode() + b"\n")
        self._line.sendall(content)

    def receive(self) -> tuple[Message, bytes]:
        """Wait for a message and its content. Raises EOFError when the other side is gone."""
        while (end := self._unread.find(b"\n")) < 0:
            part = self._patiently(lambda: self._line.recv(_READ_BYTES))
            if not part:
                raise EOFError
            self._unread += part
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        message = json.loads(line)
        content = bytearray(int(message["content_bytes"]))
        self._fill(memoryview(content))
        return message, bytes(content)

    def _fill(self, view: memoryview) -> None:
        """Read as many bytes as ``view`` has."""
        count = min(len(view), len(self._unread))
        view[:count], self._unread = self._unread[:count], self._unread[count:]
        while view := view[count:]:
            count = self._patiently(partial(self._line.recv_into, view))
            if not count:
                raise EOFError

    def _patiently(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except TimeoutError:
            self._line.settimeout(_GRACE_SECONDS)  # it may have come while this whole program was stopped
            return read()

    def send_image(self, image: Image, message: Mapping[str, Any]) -> None:
        """Send a message and an image with it."""
        described = {
            "shape": image.pixels.shape,
            "dtype": image.pixels.dtype.name,
            "alpha": image.alpha is not None,
            "gray": image.gray,
            "format": image.format,
            "lossless": image.lossless,
            "metadata": _encoded(asdict(image.metadata)),
        }
        self.send({**message, "image": described})
        for samples in (image.pixels, image.alpha):
            if samples is not None:
                self._line.sendall(np.ascontiguousarray(samples).data.cast("B"))

    def receive_image(self, described: Mapping[str, Any]) -> Image:
        """Read the image that a message of ``receive`` describes. Raises as ``receive``."""
        height, width, _ = shape = tuple(int(side) for side in described["shape"])
        dtype = np.dtype({"uint8": np.uint8, "uint16": np.uint16}[described["dtype"]])
        pixels = np.empty(shape, dtype)
        self._fill(pixels.reshape(-1).data.cast("B"))
        alpha = np.empty((height, width), dtype) if described["alpha"] else None
        if alpha is not None:
            self._fill(alpha.reshape(-1).data.cast("B"))
        kept = {name: _decoded(value) for name, value in described["metadata"].items()}
        dpi = None if kept["dpi"] is None else (float(kept["dpi"][0]), float(kept["dpi"][1]))
        others = tuple((str(name), content) for name, content in kept["others"])
        metadata = Metadata(kept["exif"], kept["icc"], kept["xmp"], dpi, others)
        gray, lossless = bool(described["gray"]), bool(described["lossless"])
        return Image(pixels, alpha, gray, metadata, str(described["format"]), lossless)

    def close(self) -> None:
        self._line.close()


def _encoded(value: Any) -> Any:
    """A value for JSON, its bytes as a word that says so."""
    if isinstance(value, bytes):
        return {"base64": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: _encoded(each) for name, each in value.items()}
    return [_encoded(each) for each in value] if isinstance(value, list | tuple) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return b64decode(value["base64"])
    return [_decoded(each) for each in value] if isinstance(value, list) else value
