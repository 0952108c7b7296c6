from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gantools.checkpoint.weights import Export
from gantools.images.image import Image, Pixels
from gantools.images.io import writer
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model
from gantools.inference.options import InferOptions
from gantools.inference.pipeline import batches
from gantools.inference.pipeline.batches import BatchRunner
from gantools.inference.pipeline.results import Results
from gantools.inference.plan import Job
from gantools.inference.tiling.context import ExecutionContext
from gantools.inference.tiling.forward import PendingBatch, translate
from gantools.models import GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    GeneratorOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from gantools.training.recipe import describe_generator
from tests.inference.networks import LimitedMemory
from tests.inference.running import run_jobs, run_with

PLAIN = InferOptions(io_workers=0)
NETWORKS = [
    UNetOptions(downs=6, base_channels=8),
    ResNetOptions(base_channels=8, blocks=2),
    SRResNetOptions(channels=16, blocks=2),
    CompactSROptions(channels=16, blocks=2),
    CompactRestorationOptions(),
    FPNOptions(base_channels=8, blocks=1, pyramid_channels=8, head_channels=8),
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
    ContextEncoderOptions(downs=4, base_channels=8, bottleneck_channels=32),
]


def model_of(options: GeneratorOptions, autocast: torch.dtype | None = None, mode: str = "eval") -> Model:
    torch.manual_seed(0)
    network = GENERATORS.build(options)
    for each in network.modules():
        if isinstance(each, torch.nn.BatchNorm2d) and each.running_mean is not None and each.running_var is not None:
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 2)
    network.requires_grad_(False).train(mode == "train")
    export: Export = describe_generator("generator", network, options, 64, mode)
    return Model("demo", export, options, network, autocast)


def noise(seed: int, width: int = 24, height: int = 24) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("autocast", [None, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("options", NETWORKS, ids=lambda options: options.name)
@pytest.mark.filterwarnings("ignore:batched output differs")
def test_images_come_out_of_a_batch_as_they_do_alone(options: GeneratorOptions, autocast: torch.dtype | None) -> None:
    """Proven, or run one by one: which of the two depends on the kernels of this CPU."""
    model = model_of(options, autocast)
    given = [noise(seed, 64, 64) for seed in range(5)]
    alone = [translate(pixels, model) for pixels in given]
    for one, other in zip(alone, run_batch(model, given, replace(PLAIN, batch=5)), strict=True):
        np.testing.assert_array_equal(one, other)


def run_batch(model: Model, given: Sequence[Pixels], options: InferOptions) -> list[Pixels]:
    """What a batch becomes, or each of its images alone where the batch is refused."""
    translator, images = ImageTranslator(model, options), [Image(pixels) for pixels in given]
    made = BatchRunner(translator).run(images) or [translator(image) for image in images]
    return [image.pixels for image in made]


def jobs(folder: Path, sizes: Sequence[tuple[int, int]]) -> list[Job]:
    for number, (width, height) in enumerate(sizes):
        writer.write(Image(noise(number, width, height)), folder / f"{number}.png")
    names = [f"{number}.png" for number in range(len(sizes))]
    return [Job(name, folder / name, folder / "out" / name, "png") for name in names]


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
    small = model_of(CompactSROptions(channels=4, blocks=1))
    many = jobs(tmp_path, [(8, 8)] * 66)
    assert {result.status for result in run_jobs(small, many, PLAIN)} == {"done"}
    assert counted == [8, *[1] * 8, *[8] * 7, 1, 1], "the first batch is proven, and what is left goes alone"
    counted.clear()
    assert {result.status for result in run_jobs(small, many[:63], PLAIN)} == {"done"}
    assert counted == [1] * 63
    runner = BatchRunner(ImageTranslator(small), images=1000)
    sizes = [(64, 128), (64, 129), (640, 480)]
    assert [runner.size(Image(np.zeros((*each, 3), np.uint8))) for each in sizes] == [8, 1, 1]


def test_only_neighbours_of_one_shape_go_together(tmp_path: Path, counted: list[int]) -> None:
    small = model_of(CompactSROptions(channels=4, blocks=1))
    sizes = [(8, 8)] * 7 + [(9, 8)] + [(8, 8)] * 2 + [(8, 9)] * 3
    results = list(run_jobs(small, jobs(tmp_path, sizes), replace(PLAIN, batch=3)))
    assert [result.input_size for result in results] == sizes
    assert {result.status for result in results} == {"done"}
    proof = [3, 1, 1, 1]
    assert counted == [*proof, 3, 1, 1, 1, 1, *proof], "fewer than a batch are not worth its proof"


def test_batch_statistics_are_an_images_own() -> None:
    playing = model_of(SRResNetOptions(channels=8, blocks=1), mode="train")
    assert size(playing, 16, batch=8) == 1
    assert size(playing, 16, fast=True) == 1


def size(model: Model, side_px: int, **given: object) -> int:
    options = replace(PLAIN, **given)  # type: ignore[arg-type]
    return BatchRunner(ImageTranslator(model, options)).size(Image(np.zeros((side_px, side_px, 3), np.uint8)))


def test_fast_batches_fit_the_caches() -> None:
    local, deep = model_of(CompactSROptions()), model_of(UNetOptions())
    assert [size(local, side, fast=True) for side in (16, 50, 100, 300)] == [8, 6, 1, 1]
    assert [size(deep, side, fast=True) for side in (64, 128, 256, 512)] == [8, 8, 1, 1]


def test_where_a_batch_changes_bits_images_go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real, by = ExecutionContext.run, [1e-7]

    def other_kernels(context: ExecutionContext, image: Tensor) -> Tensor:
        asked.append(len(image))
        made = real(context, image).clone()
        made[1:2, 0, 0, 0] += by[0]
        return made

    small = model_of(CompactSROptions(channels=4, blocks=1))
    several = jobs(tmp_path, [(8, 8)] * 12)
    alone = contents(run_jobs(small, several, PLAIN))
    monkeypatch.setattr(ExecutionContext, "run", other_kernels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert contents(run_jobs(small, several, replace(PLAIN, batch=4))) == alone
    assert asked.count(4) == 1, "one batch was tried, and no other after it"
    assert [str(each.message)[:29] for each in caught] == ["batched output differs bitwis"]
    by[0] = 0.5
    assert contents(run_jobs(small, several, replace(PLAIN, batch=4, fast=True))) != alone


def test_a_batch_that_does_not_fit_the_memory_is_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ExecutionContext.run

    def small_memory(context: ExecutionContext, image: Tensor) -> Tensor:
        if len(image) > 1:
            raise MemoryError
        return real(context, image)

    model, given = model_of(CompactSROptions(channels=4, blocks=1)), [noise(seed, 8, 8) for seed in range(3)]
    alone = [translate(pixels, model) for pixels in given]
    monkeypatch.setattr(ExecutionContext, "run", small_memory)
    with pytest.warns(UserWarning, match="running images singly"):
        made = run_batch(model, given, replace(PLAIN, batch=3))
    for one, other in zip(alone, made, strict=True):
        np.testing.assert_array_equal(one, other)


def contents(results: Results) -> list[bytes]:
    return [result.output.read_bytes() for result in results if result.output]


@pytest.mark.parametrize("fast", [False, True])
def test_a_failure_in_a_batch_is_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    real = ImageTranslator.inputs

    def failing(translator: ImageTranslator, image: Image) -> Pixels:
        if np.array_equal(image.pixels, noise(2, 8, 8)):
            raise MemoryError("too much")
        return real(translator, image)

    monkeypatch.setattr(ImageTranslator, "inputs", failing)
    small = model_of(CompactSROptions(channels=4, blocks=1))
    results = list(run_jobs(small, jobs(tmp_path, [(8, 8)] * 4), replace(PLAIN, batch=4, fast=fast)))
    assert [result.status for result in results] == ["done", "done", "failed", "done"]
    assert results[2].error == "MemoryError: too much"


@pytest.mark.parametrize("batch", [1, 3, None])
@pytest.mark.filterwarnings("ignore:batched output differs")
def test_neighbours_and_order_change_nothing(tmp_path: Path, batch: int | None) -> None:
    deep = model_of(UNetOptions(downs=5, base_channels=8))
    several = jobs(tmp_path, [(32, 32)] * 5 + [(40, 32), (32, 40)])
    alone = {job.input: contents(run_jobs(deep, [job], PLAIN))[0] for job in several}
    shuffled = [several[index] for index in (3, 0, 6, 1, 4, 2, 5)]
    made = contents(run_jobs(deep, shuffled, replace(PLAIN, batch=batch)))
    assert made == [alone[job.input] for job in shuffled]


def test_a_fast_batch_on_an_accelerator_is_as_large_as_is_comfortable(monkeypatch: pytest.MonkeyPatch) -> None:
    """More would not fit in one piece and be made one by one."""
    model = model_of(CompactSROptions(channels=4, blocks=1, scale=2))
    per_px = ExecutionContext(model, None, None, False, LimitedMemory(1)).activation_bytes_per_px()
    monkeypatch.setattr(Model, "device", property(lambda _model: torch.device("mps")))
    monkeypatch.setattr(batches, "memory_of", lambda _device: LimitedMemory(int(3.5 * 64 * 64 * per_px)))
    assert size(model, 64, fast=True) == 3
    assert size(model, 64) == 1


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


def overlapping(model: Model, all_jobs: list[Job], overlap: bool) -> list[tuple[str, Path | None]]:
    runner = BatchRunner(ImageTranslator(model, PLAIN))
    runner.overlaps = overlap
    with run_with(runner.translator, all_jobs, PLAIN, runner) as results:
        return [(result.status, result.output) for result in results]


def test_the_next_image_is_started_before_the_last_is_waited_for(tmp_path: Path, overlapped: list[str]) -> None:
    model, sizes = model_of(CompactSROptions(channels=4, blocks=1, scale=2)), [(8, 8), (9, 8), (8, 8)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    found = overlapping(model, jobs(tmp_path / "a", sizes), True)
    assert overlapped == ["start", "start", "wait", "start", "wait", "wait"]
    wanted = overlapping(model, jobs(tmp_path / "b", sizes), False)
    for (status, one), (_, other) in zip(found, wanted, strict=True):
        assert status == "done"
        assert one is not None
        assert other is not None
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("failure", ["unreadable", "not finite"])
def test_a_failure_among_overlapping_images_is_one_images_own(
    tmp_path: Path, overlapped: list[str], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    model, all_jobs = model_of(CompactSROptions(channels=4, blocks=1, scale=2)), jobs(tmp_path, [(8, 8)] * 4)
    if failure == "unreadable":
        (tmp_path / "1.png").write_bytes(b"no image")
    else:
        monkeypatch.setattr(PendingBatch, "wait", lambda _: None)  # each is then computed alone
    statuses = [status for status, _ in overlapping(model, all_jobs, True)]
    assert statuses == ["done", "failed" if failure == "unreadable" else "done", "done", "done"]


def test_a_batch_whose_bits_are_not_known_is_not_overlapped(overlapped: list[str]) -> None:
    small = model_of(CompactSROptions(channels=4, blocks=1))
    runner = BatchRunner(ImageTranslator(small, replace(PLAIN, batch=2)))
    runner.overlaps = True
    assert runner.start([Image(noise(seed)) for seed in range(2)]) is not None
    assert overlapped == []
