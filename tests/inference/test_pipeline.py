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
from gantools.inference.options import InferOptions
from gantools.inference.pipeline import decode_pool, encode
from gantools.inference.pipeline import decoder as decoders
from gantools.inference.pipeline.decode_pool import DecodePool
from gantools.inference.pipeline.decoder import ProcessDecoder
from gantools.inference.pipeline.ipc import Channel
from gantools.inference.pipeline.results import Results
from gantools.jobs.plan import Job
from tests.inference.running import run_with

PLAIN = InferOptions()


def noise(width: int, height: int, channels: int = 3, dtype: type = np.uint8) -> Pixels:
    random = np.random.default_rng(width * height)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def unchanged(image: Image, name: str) -> Image:
    return image


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Ten images of different sizes."""
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


# Images between processes.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("translucent", [True, False])
def test_an_image_comes_over_whole(dtype: type, translucent: bool) -> None:
    alpha = noise(7, 5, 1, dtype)[..., 0] if translucent else None
    others = (("tEXt", b"Title\0a"), ("gAMA", bytes(4)), ("comment", b""), ("iptc", b"\x1c\x02"))
    kept = Metadata(b"Exif\0\0x", None, b"<xmp/>", (72.0, 300.5), others)
    sent = Image(noise(7, 5, 3, dtype), alpha, gray=True, metadata=kept, format="tiff", lossless=True)
    ours, theirs = (Channel(line) for line in socket.socketpair())
    theirs.send_image(sent, {"seconds": 1})
    theirs.send({"last": b"content"})
    message = ours.receive()
    got = ours.receive_image(message["image"])
    assert ours.receive() == {"last": b"content"}
    np.testing.assert_array_equal(got.pixels, sent.pixels)
    assert (got.alpha is None) == (sent.alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(got.alpha, alpha)
    assert (got.metadata, got.gray, got.format, got.lossless) == (kept, True, "tiff", True)
    got.pixels[0, 0] = 1  # its own to write to
    for end in (ours, theirs):
        end.close()


# One decoder.


@pytest.fixture
def decoder() -> Iterator[ProcessDecoder]:
    made = ProcessDecoder(PLAIN)
    yield made
    made.close()


def anything(size: int) -> None:
    """Room for every image."""


def job(path: Path) -> Job:
    return Job(path.name, path, None, None)


def test_decoders_read_as_the_reader_does(decoder: ProcessDecoder, tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[0x010E] = "told"
    name = os.fsdecode(b"\xff\n.tif")
    writer.write(Image(noise(1200, 1000, 3, np.uint16), metadata=Metadata(exif.tobytes())), tmp_path / name)
    decoded, read = decoder.decode(job(tmp_path / name), anything).image, reader.read(tmp_path / name)
    np.testing.assert_array_equal(decoded.pixels, read.pixels)
    assert (decoded.metadata, decoded.format) == (read.metadata, "tiff")


def test_large_images_ask_for_room_first(decoder: ProcessDecoder, tmp_path: Path) -> None:
    asked: list[int] = []
    writer.write(Image(np.zeros((1000, 1200, 3), np.uint8)), tmp_path / "large.png")
    writer.write(Image(np.zeros((10, 12, 3), np.uint8)), tmp_path / "small.png")
    for name in ("large.png", "small.png"):
        decoder.decode(job(tmp_path / name), asked.append)
    assert asked == [1000 * 1200 * 4]


def test_failures_are_the_readers_own(decoder: ProcessDecoder, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match=r"'text\.png': not a PNG, JPEG, WebP, TIFF, BMP or PPM image"):
        decoder.decode(job(tmp_path / "text.png"), anything)
    with pytest.raises(ImageError, match=r"'gone\.png': cannot be read: No such file or directory"):
        decoder.decode(job(tmp_path / "gone.png"), anything)


@pytest.mark.parametrize(
    ("kind", "timeout_seconds", "said"),
    [
        (signal.SIGSEGV, 60, r"its decoder crashed \(SIGSEGV\)"),
        (signal.SIGKILL, 60, r"its decoder crashed \(SIGKILL\)"),
        (signal.SIGABRT, 60, r"its decoder crashed \(SIGABRT\)"),
        (signal.SIGSTOP, 0.1, "too long; --timeout SECONDS gives it more"),
    ],
)
def test_a_decoder_that_crashes_or_never_ends_costs_one_image(
    decoder: ProcessDecoder, jobs: list[Job], kind: signal.Signals, timeout_seconds: float, said: str
) -> None:
    decoder.decode(jobs[0], anything)
    os.kill(decoder._process.pid, kind)
    decoder.options = InferOptions(timeout_seconds=timeout_seconds)
    with pytest.raises(ImageError, match=said):
        decoder.decode(jobs[1], anything)
    decoder.options = PLAIN
    assert decoder.decode(jobs[2], anything).image.width == 22


def test_a_decoder_that_runs_on_after_a_lack_of_memory_is_replaced(
    decoder: ProcessDecoder, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not read of its answer must not be taken for the next one's."""
    with monkeypatch.context() as patch:
        patch.setattr(Channel, "receive_image", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            decoder.decode(jobs[0], anything)
    assert decoder.decode(jobs[2], anything).image.width == 22


def test_a_decoder_left_behind_ends_itself(jobs: list[Job], tmp_path: Path) -> None:
    """Its parent dies while the decoder hangs in C, where no Python runs: here in a read of a pipe that never comes."""
    hanging = """
import os, sys
from gantools.inference.pipeline import decoder_worker
decoder_worker.GRACE_SECONDS = 0.2
decoder_worker.reader.probe = lambda *a, **k: os.read(os.pipe()[0], 1)
decoder_worker.serve(int(sys.argv[1]))
"""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        left = subprocess.Popen([sys.executable, "-c", hanging, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        Channel(ours).send({"name": "x", "source": "x", "options": {"max_pixels": 9}, "seconds": 0.2})
        assert left.wait(60) == -signal.SIGALRM


def test_pipes_are_read_here(decoder: ProcessDecoder, jobs: list[Job], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    content = (tmp_path / "3.png").read_bytes()
    writing = threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=(content,))
    writing.start()
    assert decoder.decode(job(tmp_path / "pipe.png"), anything).image.width == 23
    writing.join()
    with pytest.raises(ImageError, match="'zero': not a PNG"):
        decoder.decode(job(Path("/dev/zero")), anything)


# Many of them.


def test_decoding_runs_ahead_by_so_many_images(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_pool, "AHEAD_IMAGES", 3)
    pool = DecodePool(jobs, replace(PLAIN, io_workers=2))
    await_true(lambda: len(pool._decoded) == 3)
    time.sleep(0.2)
    assert len(pool._decoded) == 3
    assert [each.image.width for each in pool if each.image] == [20 + number for number in range(10)]
    pool.close()


def test_decoding_runs_ahead_by_so_many_bytes_but_the_next_always_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four images of 5 MB, of which the budget holds not even one."""
    for number in range(4):
        writer.write(Image(np.zeros((1000, 1200 + number, 3), np.uint8)), tmp_path / f"{number}.png")
    monkeypatch.setattr(decode_pool, "AHEAD_BYTES", 1 << 20)
    pool = DecodePool([job(tmp_path / f"{number}.png") for number in range(4)], replace(PLAIN, io_workers=3))
    widths = []
    for each in pool:
        assert each.image is not None
        widths.append(each.image.width)
        time.sleep(0.1)
        assert len(pool._decoded) <= 1
    assert widths == [1200, 1201, 1202, 1203]
    pool.close()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order(jobs: list[Job], tmp_path: Path, workers: int) -> None:
    mixed = [replace(job, skip=number % 4 == 1) for number, job in enumerate(jobs)]
    Path(tmp_path / "6.png").write_bytes(b"no image")
    results = list(run_with(unchanged, mixed, replace(PLAIN, io_workers=workers)))
    assert [result.input for result in results] == [job.input for job in jobs]
    assert [result.status[0] for result in results] == list("dsdddsfdds")
    assert [result.stages is None for result in results] == [job.skip for job in mixed]
    for number in (0, 2, 8):
        np.testing.assert_array_equal(reader.read(tmp_path / "out" / f"{number}.png").pixels, noise(20 + number, 10))


def test_a_crash_in_the_middle_costs_one_image(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fifth image makes its decoder read from address 0."""
    monkeypatch.setattr(
        decoders,
        "_PROGRAM",
        "import sys; sys.path[:] = {path!r}; import os, ctypes; "
        "from gantools.inference.pipeline import decoder_worker as d;"
        "read = d.reader.read; d.reader.read = lambda source, **k: ctypes.string_at(0) if '4.png' in str(source)"
        " else read(source, **k); d.serve({socket})",
    )
    results = list(run_with(unchanged, jobs, replace(PLAIN, io_workers=2)))
    assert [result.status for result in results] == ["done"] * 4 + ["failed"] + ["done"] * 5
    assert results[4].error == "its decoder crashed (SIGSEGV)"


def test_warnings_are_told_in_order_and_once(jobs: list[Job], tmp_path: Path) -> None:
    for number in (2, 7):
        PillowImage.new("CMYK", (4, 4)).save(tmp_path / f"{number}.jpg")
    several = [jobs[0], *(Job(f"{n}", tmp_path / f"{n}.jpg", None, "png") for n in (2, 7)), jobs[1]]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        list(run_with(unchanged, several, replace(PLAIN, io_workers=2)))
    assert [str(each.message)[:24] for each in told] == ["'2': the CMYK image has ", "'7': the CMYK image has "]


# Stopping.


def test_who_stops_reading_ends_the_run(jobs: list[Job], tmp_path: Path) -> None:
    before = children()
    for result in run_with(unchanged, jobs, PLAIN):
        assert result.input == "0.png"
        break
    await_true(lambda: children() == before)
    done = sorted((tmp_path / "out").iterdir())
    time.sleep(0.1)
    assert sorted((tmp_path / "out").iterdir()) == done, "nothing is written behind the back of who has stopped"


def test_a_run_that_never_begins_leaves_nothing(jobs: list[Job]) -> None:
    before = children()
    pool = DecodePool(jobs, PLAIN)
    results = Results(jobs, iter(()), pool)
    assert children() != before
    del results, pool
    await_true(lambda: children() == before)


def test_fail_fast_writes_nothing_behind_a_failure(jobs: list[Job], tmp_path: Path) -> None:
    stuck = replace(jobs[3], output=tmp_path / "0.png" / "not a folder.png")
    settings = replace(PLAIN, fail_fast=True)
    results = list(run_with(unchanged, [*jobs[:3], stuck, *jobs[4:]], settings))
    assert [result.status for result in results] == ["done", "done", "done", "failed"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]


def test_what_is_made_waits_only_so_long(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "BEHIND_BYTES", 0)
    with_results = run_with(unchanged, jobs, PLAIN)
    assert next(with_results).input == "0.png"
    made = []
    monkeypatch.setattr(encode, "write", lambda image, job, options: made.append(job.input))
    assert next(with_results).input == "1.png"
    assert made == ["1.png"], "every image is written before the next is made"
    with_results.close()


def test_the_changes_failure_is_the_images(jobs: list[Job]) -> None:
    def change(image: Image, name: str) -> Image:
        if image.width == 22:
            raise MemoryError("too large")
        return image

    results = list(run_with(change, jobs, PLAIN))
    assert [result.status for result in results].count("done") == 9
    assert results[2].error == "MemoryError: too large"
    assert results[2].input_size == (22, 10)


@pytest.mark.parametrize(("cores", "threads"), [(1, 2), (12, 6), (128, 16)])
def test_encoders_grow_with_the_processors(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.setattr(encode, "usable_cores", lambda: cores)
    with encode.Encoder(PLAIN) as encoder:
        assert encoder._threads._max_workers == threads
