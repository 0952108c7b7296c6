"""What runs in a decoder process: decode one image after the other until nobody asks any more. No torch."""

from __future__ import annotations

import signal
import socket
import time
import traceback
import warnings

from gantools.errors import GantoolsError, ImageError, UsageError
from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference.pipeline.ipc import Channel, Message

ANNOUNCED_BYTES = 4 << 20
"""Images from this size on are announced before they are decoded, so that there is memory and time for them."""

GRACE_SECONDS = 5.0
"""How much later than its parent a process ends itself: only one that the parent has left behind ever does."""


def serve(descriptor: int) -> None:
    """Answer the requests that come over a socket, until its other end is closed."""
    # Ctrl-C reaches every process of a terminal; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=descriptor))
    while True:
        try:
            _answer(channel)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _answer(channel: Channel) -> None:
    request, content = channel.receive()
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            image, waited = _decode(channel, request, content if request["path"] is None else str(request["path"]))
        except Exception as error:  # whatever a library raises is this file's failure
            channel.send(_failure(error))
            return
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    texts = [str(each.message) for each in caught if each.category is UserWarning]
    channel.send_image(image, {"warnings": texts, "seconds": time.perf_counter() - started - waited})


def _decode(channel: Channel, request: Message, source: bytes | str) -> tuple[Image, float]:
    """Decode what is asked for; also the seconds spent waiting for memory.

    Only the alarm's default action, the end of the process, also ends a decoder that never returns to Python.
    """
    waited = 0.0
    signal.setitimer(signal.ITIMER_REAL, request["seconds"] + GRACE_SECONDS)
    pixels, size = _stated_size(source, request["name"])
    if size >= ANNOUNCED_BYTES and pixels <= request["max_pixels"]:
        signal.setitimer(signal.ITIMER_REAL, 0)
        started = time.perf_counter()
        channel.send({"bytes": size, "pixels": pixels})
        allowed, _ = channel.receive()
        waited = time.perf_counter() - started
        signal.setitimer(signal.ITIMER_REAL, allowed["seconds"] + GRACE_SECONDS)
    image = reader.read(
        source,
        name=request["name"],
        max_pixels=request["max_pixels"],
        allow_truncated=request["allow_truncated"],
        first_frame=request["first_frame"],
    )
    return image, waited


def _stated_size(source: bytes | str, name: str) -> tuple[int, int]:
    """Pixels and bytes of an image by its header; 0 where the header cannot be read, of which ``read`` says why."""
    try:
        header = reader.probe(source, name=name)
    except ImageError:
        return 0, 0
    pixels = header.width * header.height
    return pixels, pixels * 4 * header.bits // 8


def _failure(error: Exception) -> Message:
    kind = "UsageError" if isinstance(error, UsageError) else "ImageError"
    text = str(error) if isinstance(error, GantoolsError) else f"{type(error).__name__}: {error}"
    return {"error": " ".join(text.split()), "kind": kind, "traceback": traceback.format_exc()}
