"""Batches: an image comes out with the bits that it has alone, or its batch is given up; failures stay its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import InferOptions
from gantools.inference.pipeline import batches
from gantools.inference.pipeline.batches import BatchRunner
from gantools.inference.pipeline.results import Results
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import PendingBatch, translate
from gantools.jobs.plan import Job
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from tests.inference.networks import LimitedMemory, build_model
from tests.inference.running import run_jobs, run_with

PLAIN = InferOptions(io_workers=0)
SMALL = CompactSROptions(channels=4, blocks=1)
NETWORKS: list[Any] = [
    UNetOptions(downs=6, base_channels=8),
    ResNetOptions(base_channels=8, blocks=2),
    SRResNetOptions(channels=16, blocks=2),
    CompactSROptions(channels=16, blocks=2),
    CompactRestorationOptions(),
    FPNOptions(base_channels=8, blocks=1, pyramid_channels=8, head_channels=8),
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ContextEncoderOptions(downs=4, base_channels=8, bottleneck_channels=32),
]


def noise(seed: int, width: int = 24, height: int = 24) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def jobs(folder: Path, sizes: Sequence[tuple[int, int]]) -> list[Job]:
    for number, (width, height) in enumerate(sizes):
        writer.write(Image(noise(number, width, height)), folder / f"{number}.png")
    names = [f"{number}.png" for number in range(len(sizes))]
    return [Job(name, folder / name, folder / "out" / name, "png") for name in names]


def contents(results: Results) -> list[bytes]:
    return [result.output.read_bytes() for result in results if result.output]


def run_batch(model: Model, given: Sequence[Pixels], options: InferOptions) -> list[Pixels]:
    """What a batch becomes, or each of its images alone where the batch is refused."""
    translator, images = ImageTranslator(model, options), [Image(pixels) for pixels in given]
    made = BatchRunner(translator).run(images) or [translator(image) for image in images]
    return [image.pixels for image in made]


@pytest.mark.parametrize("autocast", [None, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options.name)
@pytest.mark.filterwarnings("ignore:batched output differs")
def test_images_come_out_of_a_batch_as_they_do_alone(options: Any, autocast: torch.dtype | None) -> None:
    """Proven, or run one by one: which of the two depends on the kernels of this CPU."""
    model, given = build_model(options, autocast), [noise(seed, 64, 64) for seed in range(5)]
    alone = [translate(pixels, model) for pixels in given]
    np.testing.assert_array_equal(run_batch(model, given, replace(PLAIN, batch=5)), alone)


@pytest.mark.parametrize("batch", [1, 3, None])
@pytest.mark.filterwarnings("ignore:batched output differs")
def test_neighbours_and_order_change_nothing(tmp_path: Path, batch: int | None) -> None:
    deep = build_model(UNetOptions(downs=5, base_channels=8))
    several = jobs(tmp_path, [(32, 32)] * 5 + [(40, 32), (32, 40)])
    alone = {job.input: contents(run_jobs(deep, [job], PLAIN))[0] for job in several}
    shuffled = [several[index] for index in (3, 0, 6, 1, 4, 2, 5)]
    made = contents(run_jobs(deep, shuffled, replace(PLAIN, batch=batch)))
    assert made == [alone[job.input] for job in shuffled]


# How many images go together.


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images went through the network at once."""
    counts: list[int] = []
    real = ExecutionContext.run

    def noting(context: ExecutionContext, image: Tensor) -> Tensor:
        counts.append(len(image))
        return real(context, image)

    monkeypatch.setattr(ExecutionContext, "run", noting)
    return counts


def test_without_being_asked_only_many_small_images_go_together(tmp_path: Path, counted: list[int]) -> None:
    small, many = build_model(SMALL), jobs(tmp_path, [(8, 8)] * 66)
    assert {result.status for result in run_jobs(small, many, PLAIN)} == {"done"}
    assert counted == [8, *[1] * 8, *[8] * 7, 1, 1], "the first batch is proven, and what is left goes alone"
    counted.clear()
    assert {result.status for result in run_jobs(small, many[:63], PLAIN)} == {"done"}
    assert counted == [1] * 63


def test_only_neighbours_of_one_shape_go_together(tmp_path: Path, counted: list[int]) -> None:
    sizes = [(8, 8)] * 7 + [(9, 8)] + [(8, 8)] * 2 + [(8, 9)] * 3
    results = list(run_jobs(build_model(SMALL), jobs(tmp_path, sizes), replace(PLAIN, batch=3)))
    assert [(result.input_size, result.status) for result in results] == [(size, "done") for size in sizes]
    proof = [3, 1, 1, 1]
    assert counted == [*proof, 3, 1, 1, 1, 1, *proof], "fewer than a batch are not worth its proof"


def size(model: Model, width: int, height: int | None = None, images: int = 1, **given: Any) -> int:
    runner = BatchRunner(ImageTranslator(model, replace(PLAIN, **given)), images)
    return runner.batch_size(Image(np.zeros((height or width, width, 3), np.uint8)))


def test_the_size_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    local, deep = build_model(CompactSROptions()), build_model(UNetOptions())
    assert [size(local, *side, images=1000) for side in ((128, 64), (129, 64), (480, 640))] == [8, 1, 1]
    assert [size(local, side, fast=True) for side in (16, 50, 100, 300)] == [8, 6, 1, 1], "features fit the caches"
    assert [size(deep, side, fast=True) for side in (64, 128, 256, 512)] == [8, 8, 1, 1]
    training = build_model(SRResNetOptions(channels=8, blocks=1), mode="train")
    assert size(training, 16, batch=8) == size(training, 16, fast=True) == 1, "batch statistics are an image's own"
    model = build_model(CompactSROptions(channels=4, blocks=1, scale=2))
    per_px = ExecutionContext(model, None, None, False, LimitedMemory(1)).activation_bytes_per_px()
    monkeypatch.setattr(Model, "device", property(lambda _model: torch.device("mps")))
    monkeypatch.setattr(batches, "memory_of", lambda _device: LimitedMemory(int(3.5 * 64 * 64 * per_px)))
    assert size(model, 64, fast=True) == 3, "more would not fit in one piece and be run one by one"
    assert size(model, 64, images=1000) == 1
    monkeypatch.setattr(Model, "device", property(lambda _model: torch.device("cuda")))
    assert [size(model, 64, images=images) for images in (63, 64)] == [1, 3], "in few images a proof is not worth it"


# Batches that are given up.


def test_where_a_batch_changes_bits_images_go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real, by = ExecutionContext.run, [1e-7]

    def other_kernels(context: ExecutionContext, image: Tensor) -> Tensor:
        asked.append(len(image))
        made = real(context, image).clone()
        made[1:2, 0, 0, 0] += by[0]
        return made

    small, several = build_model(SMALL), jobs(tmp_path, [(8, 8)] * 12)
    alone = contents(run_jobs(small, several, PLAIN))
    monkeypatch.setattr(ExecutionContext, "run", other_kernels)
    with pytest.warns(UserWarning, match="batched output differs bitwise") as caught:
        assert contents(run_jobs(small, several, replace(PLAIN, batch=4))) == alone
    assert (asked.count(4), len(caught)) == (1, 1), "one batch was tried, and no other after it"
    by[0] = 0.5
    assert contents(run_jobs(small, several, replace(PLAIN, batch=4, fast=True))) != alone


@pytest.mark.parametrize("fast", [False, True])
def test_a_failure_in_a_batch_is_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    real = ImageTranslator.inputs

    def failing(translator: ImageTranslator, image: Image) -> Pixels:
        if np.array_equal(image.pixels, noise(2, 8, 8)):
            raise MemoryError("too much")
        return real(translator, image)

    monkeypatch.setattr(ImageTranslator, "inputs", failing)
    results = list(run_jobs(build_model(SMALL), jobs(tmp_path, [(8, 8)] * 4), replace(PLAIN, batch=4, fast=fast)))
    assert [result.error for result in results] == [None, None, "MemoryError: too much", None]


# On CUDA: a batch is started before the last is waited for.


@pytest.fixture
def overlapped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is started and waited for, in order."""
    log: list[str] = []
    real_start, real_wait = batches.start_batch, PendingBatch.wait

    def start(*arguments: Any, **named: Any) -> Any:
        log.append("start")
        return real_start(*arguments, **named)

    def wait(pending: PendingBatch) -> Any:
        log.append("wait")
        return real_wait(pending)

    monkeypatch.setattr(batches, "start_batch", start)
    monkeypatch.setattr(PendingBatch, "wait", wait)
    return log


def overlapping(all_jobs: list[Job], overlap: bool = True) -> list[str | bytes]:
    """What becomes of each image: its file, or its status."""
    runner = BatchRunner(ImageTranslator(build_model(SMALL), PLAIN))
    runner.overlaps = overlap
    with run_with(runner.translator, all_jobs, PLAIN, runner) as results:
        return [result.output.read_bytes() if result.status == "done" else result.status for result in results]


def test_the_next_image_is_started_before_the_last_is_waited_for(tmp_path: Path, overlapped: list[str]) -> None:
    several = jobs(tmp_path, [(8, 8), (9, 8), (8, 8)])
    found = overlapping(several)
    assert overlapped == ["start", "start", "wait", "start", "wait", "wait"]
    assert found == overlapping(several, overlap=False)


def test_a_failure_among_overlapping_images_is_one_images_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = jobs(tmp_path, [(8, 8)] * 4)
    alone = overlapping(several, overlap=False)
    (tmp_path / "1.png").write_bytes(b"no image")
    assert overlapping(several) == [alone[0], "failed", *alone[2:]]
    monkeypatch.setattr(PendingBatch, "wait", lambda _: None)  # not finite: each is then computed alone
    assert overlapping(several) == [alone[0], "failed", *alone[2:]]


def test_a_batch_whose_bits_are_not_known_is_not_overlapped(overlapped: list[str]) -> None:
    runner = BatchRunner(ImageTranslator(build_model(SMALL), replace(PLAIN, batch=2)))
    runner.overlaps = True
    assert runner.start([Image(noise(seed)) for seed in range(2)]) is not None
    assert overlapped == []
