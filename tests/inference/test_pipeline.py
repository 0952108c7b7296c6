from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from gantools.errors import ImageError
from gantools.images.image import Image, Metadata, Pixels
from gantools.images.io import reader, writer
from gantools.inference.options import Settings
from gantools.inference.pipeline import decode_pool, encode, ipc
from gantools.inference.pipeline import decoder as decoders
from gantools.inference.pipeline.decode_pool import Budget, Stopped, Supply
from gantools.inference.pipeline.decoder import Decoder
from gantools.inference.pipeline.results import Run
from gantools.inference.plan import Job

PLAIN = Settings()


def noise(width: int, height: int, channels: int = 3, dtype: type = np.uint8) -> Pixels:
    random = np.random.default_rng(width * height)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def unchanged(picture: Image, job: Job) -> Image:
    return picture


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Ten pictures of different sizes."""
    for number in range(10):
        writer.write(Image(noise(20 + number, 10)), tmp_path / f"{number}.png")
    return [
        Job(f"{number}.png", tmp_path / f"{number}.png", tmp_path / "out" / f"{number}.png", "png")
        for number in range(10)
    ]


def children() -> list[int]:
    """The processes that this one has started and not yet buried."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for tasks in listed for pid in tasks.read_text().split()]


def await_true(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.01)


# Pictures between processes.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("translucent", [True, False])
def test_a_picture_comes_over_whole(dtype: type, translucent: bool) -> None:
    alpha = noise(7, 5, 1, dtype)[..., 0] if translucent else None
    others = (("tEXt", b"Title\0a"), ("gAMA", bytes(4)), ("comment", b""), ("iptc", b"\x1c\x02"))
    kept = Metadata(b"Exif\0\0x", None, b"<xmp/>", (72.0, 300.5), others)
    sent = Image(noise(7, 5, 3, dtype), alpha, gray=True, metadata=kept, format="tiff", lossless=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        message, memory = ipc.pack(sent)
        with memory:
            ipc.send(theirs, message, memory)
        message, memory = ipc.receive(ours)
    assert memory is not None
    with memory:
        got = ipc.unpack(message, memory)
    np.testing.assert_array_equal(got.pixels, sent.pixels)
    assert (got.alpha is None) == (sent.alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(got.alpha, alpha)
    assert (got.metadata, got.gray, got.format, got.lossless) == (kept, True, "tiff", True)
    got.pixels[0, 0] = 1  # its own to write to, after both sides have closed the memory


def test_memory_is_let_go_with_the_picture() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        message, memory = ipc.pack(Image(noise(50, 50)))
        with memory:
            ipc.unpack(message, memory)
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_anonymous_memory_a_temporary_file_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    message, memory = ipc.pack(Image(noise(9, 4)))
    with memory:
        np.testing.assert_array_equal(ipc.unpack(message, memory).pixels, noise(9, 4))


# One decoder.


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(PLAIN)
    yield made
    made.close()


def anything(size: int) -> None:
    """Room for every picture."""


def test_decoders_read_as_the_reader_does(decoder: Decoder, tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[0x010E] = "told"
    name = os.fsdecode(b"\xff\n.tif")
    writer.write(Image(noise(1200, 1000, 3, np.uint16), metadata=Metadata(exif.tobytes())), tmp_path / name)
    decoded, read = (
        decoder.decode(Job(name, tmp_path / name, None, None), anything).picture,
        reader.read(tmp_path / name),
    )
    np.testing.assert_array_equal(decoded.pixels, read.pixels)
    assert (decoded.metadata, decoded.format) == (read.metadata, "tiff")


def test_large_pictures_ask_for_room_first(decoder: Decoder, tmp_path: Path) -> None:
    asked: list[int] = []
    writer.write(Image(np.zeros((1000, 1200, 3), np.uint8)), tmp_path / "large.png")
    writer.write(Image(np.zeros((10, 12, 3), np.uint8)), tmp_path / "small.png")
    for name in ("large.png", "small.png"):
        decoder.decode(Job(name, tmp_path / name, None, None), asked.append)
    assert asked == [1000 * 1200 * 4]


def test_failures_are_the_readers_own(decoder: Decoder, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="'in': not a PNG, JPEG, WebP, TIFF, BMP or PPM image"):
        decoder.decode(Job("in", tmp_path / "text.png", None, None), anything)
    with pytest.raises(ImageError, match="'in': cannot be read: No such file or directory"):
        decoder.decode(Job("in", tmp_path / "gone.png", None, None), anything)


@pytest.mark.parametrize("kind", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_decoder_that_crashes_costs_one_picture(decoder: Decoder, jobs: list[Job], kind: signal.Signals) -> None:
    decoder.decode(jobs[0], anything)
    os.kill(decoder._process.pid, kind)
    with pytest.raises(ImageError, match=rf"its decoder crashed \({kind.name}\)"):
        decoder.decode(jobs[1], anything)
    assert decoder.decode(jobs[2], anything).picture.width == 22


def test_a_decoder_that_never_ends_costs_one_picture(decoder: Decoder, jobs: list[Job]) -> None:
    decoder.decode(jobs[0], anything)
    os.kill(decoder._process.pid, signal.SIGSTOP)
    decoder.settings = Settings(timeout_seconds=0.1)
    with pytest.raises(ImageError, match="too long; --timeout SECONDS gives it more"):
        decoder.decode(jobs[1], anything)
    decoder.settings = PLAIN
    assert decoder.decode(jobs[2], anything).picture.width == 22


def test_a_decoder_left_behind_ends_itself(jobs: list[Job], tmp_path: Path) -> None:
    """Its parent dies while the decoder hangs in C, where no Python runs: here in a read of a pipe that never comes."""
    hanging = """
import os, socket, sys
from gantools.inference.pipeline import decoder_worker
decoder_worker.GRACE_SECONDS = 0.2
decoder_worker.reader.probe = lambda *a, **k: os.read(os.pipe()[0], 1)
decoder_worker.serve(int(sys.argv[1]))
"""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        left = subprocess.Popen([sys.executable, "-c", hanging, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        order = {"name": "x", "path": "x", "max_pixels": 9, "allow_truncated": False, "first_frame": False}
        ipc.send(ours, {**order, "seconds": 0.2})
        assert left.wait(60) == -signal.SIGALRM


def test_pipes_are_read_here(decoder: Decoder, jobs: list[Job], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    content = (tmp_path / "3.png").read_bytes()
    writing = threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=(content,))
    writing.start()
    assert decoder.decode(Job("pipe", tmp_path / "pipe.png", None, None), anything).picture.width == 23
    writing.join()
    endless = Job("endless", Path("/dev/zero"), None, None)
    with pytest.raises(ImageError, match="'endless': not a PNG"):
        decoder.decode(endless, anything)


# Many of them.


def test_room_is_given_in_bytes_and_pictures_but_always_to_the_first() -> None:
    budget, given = Budget(3, 100), []

    def ask(number: int, size: int) -> None:
        budget.admit(number, size)
        given.append(number)

    ask(0, 1000)  # more than there is, but first in line
    waiting = [threading.Thread(target=ask, args=(number, 60)) for number in (1, 2, 3)]
    for each in waiting:
        each.start()
    for number in range(3):
        budget.release(number)
        await_true(lambda number=number: number + 1 in given)
        assert sum(60 for other in given if other > number + 1) <= 100
    for each in waiting:
        each.join()
    budget.close()
    with pytest.raises(Stopped):
        budget.admit(9, 1)


def test_decoding_does_not_run_further_ahead_than_allowed(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool, "AHEAD_PICTURES", 3)
    supplied = Supply(jobs, replace(PLAIN, io_workers=2))
    await_true(lambda: len(supplied._ready) == 3)
    time.sleep(0.2)
    assert len(supplied._ready) == 3
    assert [each.picture.width for each in supplied if each.picture] == [20 + number for number in range(10)]
    supplied.close()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order(jobs: list[Job], tmp_path: Path, workers: int) -> None:
    mixed = [replace(job, skip=number % 4 == 1) for number, job in enumerate(jobs)]
    Path(tmp_path / "6.png").write_bytes(b"no picture")
    results = list(Run(mixed, replace(PLAIN, io_workers=workers)).change(unchanged))
    assert [result.input for result in results] == [job.input for job in jobs]
    assert [result.status[0] for result in results] == list("dsdddsfdds")
    assert [result.stages is None for result in results] == [job.skip for job in mixed]
    for number in (0, 2, 8):
        np.testing.assert_array_equal(reader.read(tmp_path / "out" / f"{number}.png").pixels, noise(20 + number, 10))


def test_a_crash_in_the_middle_costs_one_picture(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fifth picture makes its decoder read from address 0."""
    monkeypatch.setattr(
        decoders,
        "_PROGRAM",
        "import sys; sys.path[:] = {path!r}; import os, ctypes; "
        "from gantools.inference.pipeline import decoder_worker as d;"
        "read = d.reader.read; d.reader.read = lambda source, **k: ctypes.string_at(0) if '4.png' in str(source)"
        " else read(source, **k); d.serve({socket})",
    )
    results = list(Run(jobs, replace(PLAIN, io_workers=2)).change(unchanged))
    assert [result.status for result in results] == ["done"] * 4 + ["failed"] + ["done"] * 5
    assert results[4].error == "its decoder crashed (SIGSEGV)"


def test_warnings_are_told_in_order_and_once(jobs: list[Job], tmp_path: Path) -> None:
    from PIL import Image as PillowImage

    for number in (2, 7):
        PillowImage.new("CMYK", (4, 4)).save(tmp_path / f"{number}.jpg")
    several = [jobs[0], *(Job(f"{n}", tmp_path / f"{n}.jpg", None, "png") for n in (2, 7)), jobs[1]]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        list(Run(several, replace(PLAIN, io_workers=2)).change(unchanged))
    assert [str(each.message)[:24] for each in told] == ["'2': the CMYK image has ", "'7': the CMYK image has "]


# Stopping.


def test_who_stops_reading_ends_the_run(jobs: list[Job], tmp_path: Path) -> None:
    before = children()
    for result in Run(jobs, PLAIN).change(unchanged):
        assert result.input == "0.png"
        break
    await_true(lambda: children() == before)
    done = sorted((tmp_path / "out").iterdir())
    time.sleep(0.1)
    assert sorted((tmp_path / "out").iterdir()) == done, "nothing is written behind the back of who has stopped"


def test_a_run_that_never_begins_leaves_nothing(jobs: list[Job]) -> None:
    before = children()
    run = Run(jobs, PLAIN)
    assert children() != before
    del run
    await_true(lambda: children() == before)


def test_fail_fast_writes_nothing_behind_a_failure(jobs: list[Job], tmp_path: Path) -> None:
    stuck = replace(jobs[3], output=tmp_path / "0.png" / "not a folder.png")
    settings = replace(PLAIN, fail_fast=True)
    results = list(Run([*jobs[:3], stuck, *jobs[4:]], settings).change(unchanged))
    assert [result.status for result in results] == ["done", "done", "done", "failed"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]


def test_what_is_made_waits_only_so_long(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "BEHIND_BYTES", 0)
    with_results = Run(jobs, PLAIN).change(unchanged)
    assert next(with_results).input == "0.png"
    made = []
    monkeypatch.setattr(encode, "encode", lambda picture, job, settings: made.append(job.input))
    assert next(with_results).input == "1.png"
    assert made == ["1.png"], "every picture is written before the next is made"
    with_results.close()


def test_the_changes_failure_is_the_pictures(jobs: list[Job]) -> None:
    def change(picture: Image, job: Job) -> Image:
        if picture.width == 22:
            raise MemoryError("too large")
        return picture

    results = list(Run(jobs, PLAIN).change(change))
    assert [result.status for result in results].count("done") == 9
    assert results[2].error == "MemoryError: too large"
    assert results[2].input_size == (22, 10)


def test_preparing_is_part_of_supplying(jobs: list[Job], tmp_path: Path) -> None:
    inverted = replace(PLAIN, prepare=lambda picture: replace(picture, pixels=255 - picture.pixels))
    list(Run(jobs[:1], inverted).change(unchanged))
    np.testing.assert_array_equal(reader.read(tmp_path / "out" / "0.png").pixels, 255 - noise(20, 10))
