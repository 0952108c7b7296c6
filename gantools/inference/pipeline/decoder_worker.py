"""What runs in a decoder process: read one picture after the other until nobody asks any more. No torch."""

from __future__ import annotations

import signal
import socket
import sys
import time
import traceback
import warnings
from typing import BinaryIO

from gantools.errors import GantoolsError, ImageError, UsageError
from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference.pipeline import ipc
from gantools.inference.pipeline.ipc import Message

ANNOUNCED_BYTES = 4 << 20
"""Pictures from this size on are announced before they are decoded, so that there is room and time for them."""

GRACE_SECONDS = 5.0
"""How much later than its parent a process ends itself: only one that the parent has left behind ever does."""


def serve(descriptor: int) -> None:
    """Answer the requests that come over a socket, until its other end is closed."""
    # Ctrl-C reaches every process of a terminal; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as line:
        while True:
            try:
                order, memory = ipc.receive(line)
                _answer(line, order, memory)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                return


def _answer(line: socket.socket, order: Message, content: BinaryIO | None) -> None:
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            picture, waited = _read(line, order, content)
        except Exception as error:  # whatever a library raises is this file's failure
            ipc.send(line, _failure(error))
            return
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if content is not None:
                content.close()
    message, memory = ipc.pack(picture)
    with memory:
        told = [str(each.message) for each in heard if each.category is UserWarning]
        seconds = time.perf_counter() - started - waited
        ipc.send(line, {"picture": message, "warnings": told, "seconds": seconds}, memory)


def _read(line: socket.socket, order: Message, content: BinaryIO | None) -> tuple[Image, float]:
    """Decode what is asked for; also the seconds spent waiting for room."""
    source = _source(order, content)
    waited = _announced(line, order, source)
    picture = reader.read(
        source,
        name=order["name"],
        max_pixels=order["max_pixels"],
        allow_truncated=order["allow_truncated"],
        first_frame=order["first_frame"],
    )
    return picture, waited


def _source(order: Message, content: BinaryIO | None) -> bytes | str:
    if content is None:
        return str(order["path"])
    content.seek(0)
    return content.read()


def _announced(line: socket.socket, order: Message, source: bytes | str) -> float:
    """Say how large a large picture is and wait until there is room; the seconds that this took.

    Only the alarm's default action, the end of the process, also ends a decoder that never returns to Python.
    """
    signal.setitimer(signal.ITIMER_REAL, order["seconds"] + GRACE_SECONDS)
    try:
        header = reader.probe(source, name=order["name"])
    except ImageError:
        return 0.0  # read says what is wrong
    pixels = header.width * header.height
    size = pixels * 4 * header.bits // 8
    if size < ANNOUNCED_BYTES or pixels > order["max_pixels"]:
        return 0.0
    signal.setitimer(signal.ITIMER_REAL, 0)
    started = time.perf_counter()
    ipc.send(line, {"bytes": size, "pixels": pixels})
    go, _ = ipc.receive(line)
    signal.setitimer(signal.ITIMER_REAL, go["seconds"] + GRACE_SECONDS)
    return time.perf_counter() - started


def _failure(error: Exception) -> Message:
    kind = "UsageError" if isinstance(error, UsageError) else "ImageError"
    text = str(error) if isinstance(error, GantoolsError) else f"{type(error).__name__}: {error}"
    return {"error": " ".join(text.split()), "kind": kind, "traceback": traceback.format_exc()}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
