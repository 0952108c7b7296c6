"""Decoders: in this process, or in a process each, so that a file that crashes or hangs its decoder costs one image."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from gantools.errors import ImageError, UsageError
from gantools.images.formats import sniff
from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference.options import InferOptions
from gantools.inference.pipeline.ipc import Channel, Message
from gantools.jobs import remote
from gantools.jobs.plan import Job
from gantools.jobs.remote import RemotePath

SECONDS_PER_MEGAPIXEL = 1.0
"""What a large image may take beyond ``timeout_seconds``."""

_HEAD_BYTES = 1 << 10
_GRACE_SECONDS = 1.0
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from gantools.inference.pipeline.decoder_worker import serve; serve({socket})"
)

Reserve: TypeAlias = Callable[[int], None]
"""Waits until there is room in memory for so many bytes."""


@dataclass(frozen=True, eq=False)
class DecodedJob:
    """A job with its image or with what went wrong, the seconds that decoding took, and the decoder's warnings."""

    job: Job
    image: Image | None
    error: Exception | None
    seconds: float
    warnings: tuple[str, ...] = ()


class Decoder:
    """Decodes in the thread that asks, one image at a time: no protection from a file that crashes it."""

    def __init__(self, options: InferOptions) -> None:
        self.options = options

    def decode(self, job: Job, reserve: Reserve) -> DecodedJob:  # noqa: ARG002 - decoder processes ask for room
        """Decode a job's image. Raises ImageError and UsageError."""
        started = time.perf_counter()
        image = reader.read(_source(job), name=job.input, **self._read_options())
        return DecodedJob(job, image, None, time.perf_counter() - started)

    def _read_options(self) -> dict[str, Any]:
        return {
            "max_pixels": self.options.max_pixels or reader.MAX_PIXELS,
            "allow_truncated": self.options.allow_truncated,
            "first_frame": self.options.frames == "first",
        }

    def interrupt(self) -> None:
        """Let a ``decode`` in another thread return, if that is possible."""

    def close(self) -> None:
        """Let go of what is held."""


class ProcessDecoder(Decoder):
    """One decoder process, started at once and replaced when it ends before its time."""

    def __init__(self, options: InferOptions) -> None:
        super().__init__(options)
        self._process, self._channel = _start()

    def decode(self, job: Job, reserve: Reserve) -> DecodedJob:
        """Decode a job's image; a large one first asks ``reserve`` for its bytes.

        Raises ImageError: what ``reader.read`` raises, and for a decoder that crashed or took too long.
        """
        source = _source(job)
        request = {
            "name": job.input,
            "source": os.path.realpath(source) if isinstance(source, Path) else source,
            "options": self._read_options(),
        }
        try:
            answer, image = self._ask(request, reserve)
        except TimeoutError as error:
            self._replace()
            raise ImageError("decoding it took too long; --timeout SECONDS gives it more") from error
        except (EOFError, OSError, ValueError, KeyError, TypeError) as error:
            raise ImageError(f"its decoder crashed ({self._replace()})") from error
        except MemoryError:  # what was not read is still under way
            self._replace()
            raise
        if image is None:
            failure = (UsageError if answer.get("kind") == "UsageError" else ImageError)(str(answer.get("error")))
            failure.add_note(str(answer.get("traceback", "")))
            raise failure
        return DecodedJob(job, image, None, float(answer["seconds"]), tuple(answer["warnings"]))

    def _ask(self, request: Message, reserve: Reserve) -> tuple[Message, Image | None]:
        seconds = self.options.timeout_seconds
        self._channel.settimeout(seconds)
        self._channel.send({**request, "seconds": seconds})
        answer = self._channel.receive()
        if "bytes" in answer:
            reserve(int(answer["bytes"]))
            seconds += SECONDS_PER_MEGAPIXEL * float(answer["pixels"]) / 1e6
            self._channel.settimeout(seconds)
            self._channel.send({"seconds": seconds})
            answer = self._channel.receive()
        return answer, self._channel.receive_image(answer["image"]) if "image" in answer else None

    def _replace(self) -> str:
        """Put a fresh process in the place of one that has ended or is to; how it ended."""
        self._channel.close()
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process, self._channel = _start()
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def interrupt(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """End the process at once, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


def _start() -> tuple[subprocess.Popen[bytes], Channel]:
    """A process and the channel to it.

    Libraries write of damaged images to stderr as they please; what is wrong is reported in one line, by us.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        program = _PROGRAM.format(path=sys.path, socket=theirs.fileno())
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is the parent's to answer
        )
    return process, Channel(ours)


def _source(job: Job) -> Path | bytes:
    """The file of a job; the content of what only this process can read, such as a pipe, and of what is elsewhere.

    What is no image is not read to its end, which may never come. Raises ImageError.
    """
    path = job.source
    if isinstance(path, RemotePath):
        return remote.read(path)
    if path is not None and (os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)):
        return path  # what is wrong with a folder or with no file says the reader
    try:
        with _standard_input() if path is None else path.open("rb", buffering=0) as stream:
            head = b""
            while len(head) < _HEAD_BYTES and (part := stream.read(_HEAD_BYTES)):
                head += part
            return head if sniff(head) is None else head + stream.read()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def _standard_input() -> AbstractContextManager[BinaryIO]:
    """Standard input without Python's buffer, whose lock a thread that still waits would hold when the program ends."""
    try:
        return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    except (OSError, ValueError):  # something else in its place, such as a test's
        return nullcontext(sys.stdin.buffer)
