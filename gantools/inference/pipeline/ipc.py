"""Pictures on their way between processes: a line of JSON about each, its bytes in memory that both can see.

The memory has no name and lies in no file system that could be full or small, as a container's ``/dev/shm`` is. What
comes back from a decoder is read as numbers and bytes, never unpickled.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import tempfile
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np

from gantools.images.image import Image, Metadata

Message: TypeAlias = dict[str, Any]

_END = b"\n"
_READ_BYTES = 1 << 16
_MOST_BYTES = 1 << 22
_POPULATE = getattr(mmap, "MAP_SHARED", 0) | getattr(mmap, "MAP_POPULATE", 0)

POSSIBLE = hasattr(socket, "send_fds") and hasattr(signal, "setitimer")
"""Whether memory can be handed to another process that ends itself in time: not on Windows."""


def anonymous_memory() -> BinaryIO:
    """A file that exists only as long as somebody holds it: in memory on Linux, else among the temporary files."""
    if not hasattr(os, "memfd_create"):
        return cast(BinaryIO, tempfile.TemporaryFile(buffering=0))
    return open(os.memfd_create("gantools", os.MFD_CLOEXEC), "w+b", buffering=0)


def send(line: socket.socket, message: Mapping[str, Any], memory: BinaryIO | None = None) -> None:
    """Send a message, and with it the memory that it speaks of. Raises OSError when nobody listens any more."""
    content = json.dumps(message).encode() + _END
    if memory is None:
        line.sendall(content)
        return
    sent = socket.send_fds(line, [content], [memory.fileno()])
    line.sendall(content[sent:])


def receive(line: socket.socket) -> tuple[Message, BinaryIO | None]:
    """Wait for one message. Raises EOFError when the other side is gone, TimeoutError as the socket is set."""
    content, memory = b"", None
    try:
        while not content.endswith(_END):
            part, descriptors, _, _ = socket.recv_fds(line, _READ_BYTES, 1)
            memory = os.fdopen(descriptors[0], "r+b", buffering=0) if descriptors else memory
            if not part or len(content) > _MOST_BYTES:
                raise EOFError
            content += part
        return json.loads(content), memory
    except BaseException:
        if memory is not None:
            memory.close()
        raise


def pack(picture: Image) -> tuple[Message, BinaryIO]:
    """A picture as what describes it and the memory that holds its bytes, which whoever calls closes."""
    kept, memory = picture.metadata, anonymous_memory()
    texts = (kept.exif, kept.icc, kept.xmp, *(content for _, content in kept.others))
    for samples in (picture.pixels, picture.alpha):
        if samples is not None:
            _write_all(memory, np.ascontiguousarray(samples).data.cast("B"))
    for text in texts:
        _write_all(memory, memoryview(text or b""))
    return {
        "height": picture.height,
        "width": picture.width,
        "bits": picture.pixels.itemsize * 8,
        "alpha": picture.alpha is not None,
        "gray": picture.gray,
        "format": picture.format,
        "lossless": picture.lossless,
        "others": [name for name, _ in kept.others],
        "dpi": kept.dpi,
        "texts": [None if text is None else len(text) for text in texts],
    }, memory


def unpack(message: Message, memory: BinaryIO) -> Image:
    """The picture that ``pack`` described. Its samples are the shared memory itself and may be written to."""
    height, width, bits = int(message["height"]), int(message["width"]), int(message["bits"])
    texts = [None if length is None else int(length) for length in message["texts"]]
    samples, dtype = height * width, np.dtype(f"uint{bits}")
    colour_bytes, alpha_bytes = samples * 3 * dtype.itemsize, samples * dtype.itemsize * bool(message["alpha"])
    start = colour_bytes + alpha_bytes
    mapped = mmap.mmap(memory.fileno(), start + sum(length or 0 for length in texts), flags=_POPULATE)
    alpha = np.frombuffer(mapped, dtype, samples, colour_bytes).reshape(height, width) if alpha_bytes else None
    pixels = np.frombuffer(mapped, dtype, samples * 3).reshape(height, width, 3)
    kept: list[bytes | None] = []
    for length in texts:
        kept.append(None if length is None else mapped[start : start + length])
        start += length or 0
    dpi = None if message["dpi"] is None else (float(message["dpi"][0]), float(message["dpi"][1]))
    others = tuple((str(name), content or b"") for name, content in zip(message["others"], kept[3:], strict=True))
    metadata = Metadata(kept[0], kept[1], kept[2], dpi, others)
    gray, lossless = bool(message["gray"]), bool(message["lossless"])
    return Image(pixels, alpha, gray, metadata, str(message["format"]), lossless)


def _write_all(memory: BinaryIO, content: memoryview) -> None:
    while content:
        content = content[memory.write(content) :]
