"""Decoder processes: whatever a picture does to the library that decodes it, it costs that picture and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from gantools.errors import ImageError, UsageError
from gantools.images.formats import sniff
from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference.options import Settings
from gantools.inference.pipeline import ipc
from gantools.inference.plan import Job

SECONDS_PER_MEGAPIXEL = 1.0
"""What a large picture may take beyond ``Settings.timeout_seconds``."""

_HEAD_BYTES = 1 << 10
_GRACE_SECONDS = 1.0
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from gantools.inference.pipeline.decoder_worker import serve; serve({socket})"
)


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded picture, what was to be said about it, and the seconds that it took."""

    picture: Image
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class Decoder:
    """One decoder process, started at once and replaced when it ends before its time. For one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process, self._line = _started()

    def decode(self, job: Job, admit: Callable[[int], None]) -> Decoded:
        """Decode a job's picture; a large one first asks ``admit`` for room for its bytes.

        Raises ImageError: what ``reader.read`` raises, and for a decoder that crashed or took too long.
        """
        with _content(job) as content:
            try:
                answer, memory = self._asked(job, content, admit)
            except TimeoutError as error:
                self._replace()
                raise ImageError("decoding it took too long; --timeout SECONDS gives it more") from error
            except (EOFError, OSError) as error:
                raise ImageError(f"its decoder crashed ({self._replace()})") from error
        return _decoded(answer, memory)

    def _asked(
        self, job: Job, content: BinaryIO | None, admit: Callable[[int], None]
    ) -> tuple[ipc.Message, BinaryIO | None]:
        seconds = self.settings.timeout_seconds
        ipc.send(self._line, _order(job, self.settings), content)
        answer, memory = _received(self._line, seconds)
        if "bytes" not in answer:
            return answer, memory
        admit(int(answer["bytes"]))
        seconds += SECONDS_PER_MEGAPIXEL * float(answer["pixels"]) / 1e6
        ipc.send(self._line, {"seconds": seconds})
        return _received(self._line, seconds)

    def _replace(self) -> str:
        """Put a fresh process in the place of one that has ended or is to; say how it did."""
        how = _ended(self._process)
        self._line.close()
        self._process, self._line = _started()
        return how

    def interrupt(self) -> None:
        """End the process, so that a ``decode`` in another thread returns."""
        self._process.kill()

    def close(self) -> None:
        """End the process at once, whatever it does."""
        self._line.close()
        self._process.kill()
        self._process.wait()


def _order(job: Job, settings: Settings) -> ipc.Message:
    return {
        "name": job.input,
        "path": None if job.source is None else os.path.realpath(job.source),
        "max_pixels": settings.max_pixels or reader.MAX_PIXELS,
        "allow_truncated": settings.allow_truncated,
        "first_frame": settings.first_frame,
        "seconds": settings.timeout_seconds,
    }


def _started() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process and the way to it.

    Libraries write of damaged pictures to stderr as they please; what is wrong is said in one line, by us.
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
    return process, ours


def _ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _received(line: socket.socket, seconds: float) -> tuple[ipc.Message, BinaryIO | None]:
    line.settimeout(seconds)
    try:
        return ipc.receive(line)
    except TimeoutError:
        line.settimeout(_GRACE_SECONDS)  # the answer may have come while this whole program was stopped
        return ipc.receive(line)


def _decoded(answer: ipc.Message, memory: BinaryIO | None) -> Decoded:
    if memory is None:
        raise _failure(answer)
    with memory:
        return Decoded(ipc.unpack(answer["picture"], memory), tuple(answer["warnings"]), float(answer["seconds"]))


def _failure(answer: dict[str, Any]) -> Exception:
    error = (UsageError if answer.get("kind") == "UsageError" else ImageError)(str(answer.get("error")))
    error.add_note(str(answer.get("traceback", "")))
    return error


@contextmanager
def _content(job: Job) -> Iterator[BinaryIO | None]:
    """The bytes of what only this process can read, such as a pipe; None for a file that has a place."""
    if job.source is not None and not _is_pipe(job.source):
        yield None
        return
    with ipc.anonymous_memory() as memory:
        try:
            _spool(job.source, memory)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error
        yield memory


def standard_input() -> AbstractContextManager[BinaryIO]:
    """Standard input without Python's buffer, whose lock a thread that still waits would hold when the program ends."""
    try:
        return cast(BinaryIO, open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    except (OSError, ValueError):  # something else in its place, such as a test's
        return nullcontext(sys.stdin.buffer)


def _is_pipe(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # the decoder says what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _spool(source: Path | None, memory: BinaryIO) -> None:
    with standard_input() if source is None else source.open("rb", buffering=0) as stream:
        head = b""
        while len(head) < _HEAD_BYTES and (part := stream.read(_HEAD_BYTES)):
            head += part
        memory.write(head)
        if sniff(head) is not None:  # what is no picture is not read to its end, which may never come
            shutil.copyfileobj(stream, memory)


def _standard_content() -> bytes:
    with standard_input() as stream:
        return stream.read()


class LocalDecoder:
    """Decodes in the thread that asks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def decode(self, job: Job, admit: Callable[[int], None]) -> Decoded:  # noqa: ARG002 - as Decoder's
        """Decode a job's picture. Raises ImageError."""
        started = time.perf_counter()
        picture = reader.read(
            _standard_content() if job.source is None else job.source,
            name=job.input,
            max_pixels=self.settings.max_pixels or reader.MAX_PIXELS,
            allow_truncated=self.settings.allow_truncated,
            first_frame=self.settings.first_frame,
        )
        return Decoded(picture, seconds=time.perf_counter() - started)

    def interrupt(self) -> None:
        """Nothing can be ended."""

    def close(self) -> None:
        """Nothing is held."""
