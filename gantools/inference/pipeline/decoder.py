"""Decoders: in a process each, so that a file that crashes or hangs its decoder costs one image, or in this process."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias, cast

from gantools.errors import ImageError, UsageError
from gantools.images.formats import sniff
from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference.options import InferOptions
from gantools.inference.pipeline.ipc import Channel, Message
from gantools.inference.plan import Job

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
class Decoded:
    """A decoded image, the decoder's warnings, and the seconds that it took."""

    image: Image
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class Decoder(Protocol):
    """Something that decodes, one image at a time."""

    def decode(self, job: Job, reserve: Reserve) -> Decoded:
        """Decode a job's image. Raises ImageError or UsageError."""
        ...

    def interrupt(self) -> None:
        """Let a ``decode`` in another thread return, if that is possible."""
        ...

    def close(self) -> None: ...


class ProcessDecoder:
    """One decoder process, started at once and replaced when it ends before its time. For one thread at a time."""

    def __init__(self, options: InferOptions) -> None:
        self.options = options
        self._process, self._channel = _start()

    def decode(self, job: Job, reserve: Reserve) -> Decoded:
        """Decode a job's image; a large one first asks ``reserve`` for its bytes.

        Raises ImageError: what ``reader.read`` raises, and for a decoder that crashed or took too long.
        """
        content = _piped_content(job)
        try:
            answer, image = self._ask(job, content, reserve)
        except TimeoutError as error:
            self._replace()
            raise ImageError("decoding it took too long; --timeout SECONDS gives it more") from error
        except (EOFError, OSError, ValueError, KeyError) as error:
            raise ImageError(f"its decoder crashed ({self._replace()})") from error
        except MemoryError:  # what was not read is still under way
            self._replace()
            raise
        if image is None:
            raise _failure(answer)
        return Decoded(image, tuple(answer["warnings"]), float(answer["seconds"]))

    def _ask(self, job: Job, content: bytes | None, reserve: Reserve) -> tuple[Message, Image | None]:
        seconds, options = self.options.timeout_seconds, self.options
        request = {
            "name": job.input,
            "path": os.path.realpath(job.source) if job.source is not None and content is None else None,
            "max_pixels": options.max_pixels or reader.MAX_PIXELS,
            "allow_truncated": options.allow_truncated,
            "first_frame": options.frames == "first",
            "seconds": seconds,
        }
        self._channel.settimeout(seconds)
        self._channel.send(request, content or b"")
        answer = self._receive(seconds)
        if "bytes" in answer:
            reserve(int(answer["bytes"]))
            seconds += SECONDS_PER_MEGAPIXEL * float(answer["pixels"]) / 1e6
            self._channel.send({"seconds": seconds})
            answer = self._receive(seconds)
        return answer, self._channel.receive_image(answer["image"]) if "image" in answer else None

    def _receive(self, seconds: float) -> Message:
        self._channel.settimeout(seconds)
        return self._channel.receive()[0]

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
        """End the process, so that a ``decode`` in another thread returns."""
        self._process.kill()

    def close(self) -> None:
        """End the process at once, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


class LocalDecoder:
    """Decodes in the thread that asks: nothing to start, and no protection from a decoder that crashes."""

    def __init__(self, options: InferOptions) -> None:
        self.options = options

    def decode(self, job: Job, reserve: Reserve) -> Decoded:  # noqa: ARG002 - as in the protocol
        """Decode a job's image. Raises ImageError."""
        started = time.perf_counter()
        image = reader.read(
            _standard_content() if job.source is None else job.source,
            name=job.input,
            max_pixels=self.options.max_pixels or reader.MAX_PIXELS,
            allow_truncated=self.options.allow_truncated,
            first_frame=self.options.frames == "first",
        )
        return Decoded(image, seconds=time.perf_counter() - started)

    def interrupt(self) -> None:
        """Nothing can be ended."""

    def close(self) -> None:
        """Nothing is held."""


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


def _failure(answer: Message) -> Exception:
    error = (UsageError if answer.get("kind") == "UsageError" else ImageError)(str(answer.get("error")))
    error.add_note(str(answer.get("traceback", "")))
    return error


def _piped_content(job: Job) -> bytes | None:
    """The bytes of what only this process can read, such as a pipe; None for a file that has a place.

    What is no image is not read to its end, which may never come. Raises ImageError.
    """
    if job.source is not None and not _is_pipe(job.source):
        return None
    try:
        with _standard_input() if job.source is None else job.source.open("rb", buffering=0) as stream:
            head = b""
            while len(head) < _HEAD_BYTES and (part := stream.read(_HEAD_BYTES)):
                head += part
            if sniff(head) is None:
                return head
            parts = [head]
            while part := stream.read(1 << 20):
                parts.append(part)
            return b"".join(parts)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def _is_pipe(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # the decoder says what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _standard_input() -> AbstractContextManager[BinaryIO]:
    """Standard input without Python's buffer, whose lock a thread that still waits would hold when the program ends."""
    try:
        return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    except (OSError, ValueError):  # something else in its place, such as a test's
        return nullcontext(sys.stdin.buffer)


def _standard_content() -> bytes:
    with _standard_input() as stream:
        return stream.read()
