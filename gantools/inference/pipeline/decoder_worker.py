"""What runs in a decoder process: decode one image after the other until nobody asks any more. No torch."""

from __future__ import annotations

import signal
import socket
import time
import traceback
import warnings
from contextlib import suppress

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
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _answer(channel, channel.receive())


def _answer(channel: Channel, request: Message) -> None:
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            image, waited = _decode(channel, request)
        except Exception as error:  # whatever a library raises is this file's failure
            kind = "UsageError" if isinstance(error, UsageError) else "ImageError"
            text = str(error) if isinstance(error, GantoolsError) else f"{type(error).__name__}: {error}"
            channel.send({"error": " ".join(text.split()), "kind": kind, "traceback": traceback.format_exc()})
            return
        finally:
            _end_after(0)
    texts = [str(each.message) for each in caught if each.category is UserWarning]
    channel.send_image(image, {"warnings": texts, "seconds": time.perf_counter() - started - waited})


def _decode(channel: Channel, request: Message) -> tuple[Image, float]:
    """Decode what is asked for; also the seconds spent waiting for memory."""
    source, name, options, waited = request["source"], request["name"], request["options"], 0.0
    _end_after(request["seconds"] + GRACE_SECONDS)
    with suppress(ImageError):  # of a header that cannot be read ``read`` says why
        header = reader.probe(source, name=name)
        pixels = header.width * header.height
        size = pixels * 4 * header.bits // 8
        if size >= ANNOUNCED_BYTES and pixels <= options["max_pixels"]:
            _end_after(0)
            started = time.perf_counter()
            channel.send({"bytes": size, "pixels": pixels})
            allowed = channel.receive()
            waited = time.perf_counter() - started
            _end_after(allowed["seconds"] + GRACE_SECONDS)
    return reader.read(source, name=name, **options), waited


def _end_after(seconds: float) -> None:
    """Let this process end in so many seconds; 0: not at all.

    Only the alarm's default action, the end of the process, also ends a decoder that never returns to Python.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
