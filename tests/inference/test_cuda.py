"""Copies beside the computing and captured kernels, as far as they can be tried without a GPU: what waits for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gantools.images.image import Image
from gantools.images.io import reader
from gantools.inference import image as engine
from gantools.inference.kernels import compile as kernels_compile
from gantools.inference.kernels.compile import ByShape, Ferry, Graphs, Landing
from gantools.inference.model import Model
from gantools.inference.options import Settings
from gantools.inference.pipeline.results import Run
from gantools.inference.tiling.forward import begin_batch, translate
from gantools.models.options import CompactSROptions, ContextEncoderOptions, SRResNetOptions, UNetOptions
from tests.inference.test_batching import jobs, joined, model_of, noise
from tests.inference.test_forward import Cap

CPU = torch.device("cpu")
SMALL = CompactSROptions(channels=4, blocks=1, scale=2)


class Stream:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def wait_stream(self, other: Stream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")

    def record_event(self) -> Event:
        self.log.append(f"{self.name} marks")
        return Event(self.log)


class Event:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def synchronize(self) -> None:
        self.log.append("program waits")


class Graph:
    """Computes again, into the same place, what was computed while it was captured."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def replay(self) -> None:
        for each in self.work:
            each()


class FakeCuda:
    """What torch.cuda does, written down."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.made = self.pools = 0
        self.captures: list[tuple[tuple[int, int], str]] = []
        self.computing = self.current = Stream(self.log, "computing")
        self.capturing: Graph | None = None

    def Stream(self, _device: torch.device) -> Stream:
        self.made += 1
        return Stream(self.log, f"stream {self.made}")

    def current_stream(self, _device: torch.device) -> Stream:
        return self.current

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def CUDAGraph(self) -> Graph:
        return Graph()

    def graph_pool_handle(self) -> tuple[int, int]:
        self.pools += 1
        return 0, self.pools

    @contextmanager
    def graph(self, graph: Graph, pool: tuple[int, int], stream: Stream) -> Iterator[None]:
        self.captures.append((pool, stream.name))
        with self.stream(stream):
            self.capturing = graph
            yield
            self.capturing = None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    made = FakeCuda()
    monkeypatch.setattr(kernels_compile, "_locked_like", lambda tensor: torch.full_like(tensor, 7))
    monkeypatch.setattr(
        Tensor, "record_stream", lambda _self, stream: made.log.append(f"kept for {stream.name}"), raising=False
    )
    return made


def test_what_computes_waits_for_samples_and_the_way_back_for_what_computes(fake: FakeCuda) -> None:
    ferry = Ferry(CPU, fake)
    samples = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    arrived = ferry.there(samples)
    assert torch.equal(arrived, samples)
    assert fake.log == ["computing waits for stream 1", "kept for computing"]
    fake.log.clear()
    landing = ferry.back((arrived + 1, torch.tensor(True)))
    assert fake.log == ["stream 2 waits for computing", "kept for stream 2", "kept for stream 2", "stream 2 marks"]
    made, finite = landing.wait()
    assert fake.log[-1] == "program waits"
    assert torch.equal(made, samples + 1)
    assert finite


def test_a_captured_form_is_computed_in_one_place_and_its_results_are_kept(fake: FakeCuda) -> None:
    calls: list[str] = []

    def form(image: Tensor) -> Tensor:
        calls.append(fake.current.name)
        made = image * 2
        if fake.capturing:
            fake.capturing.work.append(lambda: made.copy_(image * 2))
        return made

    first, second = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3.0)
    run = Graphs(CPU, fake).captured(form, first)
    assert set(calls) == {"stream 1"}
    assert fake.log == ["stream 1 waits for computing", "computing waits for stream 1"]
    one, other = run(first), run(second)
    assert torch.equal(one, first * 2)
    assert torch.equal(other, second * 2)
    assert torch.equal(first, torch.ones(1, 1, 2, 2))


def test_graphs_of_all_shapes_share_one_pool_and_one_stream(fake: FakeCuda) -> None:
    """A pool of its own for each graph would hold every shape's features for good."""
    graphs = Graphs(CPU, fake)
    for side_px in (1, 2, 3):
        graphs.captured(lambda image: image * 2, torch.ones(1, 1, side_px, side_px))
    assert fake.captures == [((0, 1), "stream 1")] * 3


def test_of_graphs_that_hold_too_much_the_longest_unused_goes(fake: FakeCuda) -> None:
    graphs, captures = Graphs(CPU, fake), fake.captures
    forms = ByShape(lambda image: graphs.captured(lambda seen: seen * 2, image), most_bytes=2 * 4 * (4 + 4))
    made = []
    for height, width in ((1, 4), (4, 1), (1, 4), (2, 2), (1, 4), (4, 1), (4, 4), (4, 4)):
        forms(torch.ones(1, 1, height, width))
        made.append(len(captures))
    assert made == [1, 2, 2, 3, 3, 4, 5, 5]  # the last is held although it is too large alone


class Boat:
    """A ferry that crosses nothing; says what was begun and what was waited for."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def there(self, samples: Tensor) -> Tensor:
        self.log.append("there")
        return samples.clone()

    def back(self, made: Sequence[Tensor]) -> Landing:
        self.log.append("back")
        return Landing([each.clone() for each in made], Event(self.log))


@pytest.mark.parametrize("size", [(24, 24), (23, 17), (3, 5)])
@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize(
    "options",
    [SMALL, SRResNetOptions(channels=8, blocks=1), UNetOptions(downs=2, base_channels=4)],
    ids=lambda o: o.name,
)
def test_what_comes_by_ferry_is_what_is_made_without(options: Any, tta: bool, size: tuple[int, int]) -> None:
    model, pictures = model_of(options), [noise(seed, *size) for seed in range(2)]
    for each in pictures:
        arrival = begin_batch([each], model, Boat(), tta=tta)  # type: ignore[arg-type]
        assert arrival is not None
        (made,) = arrival() or [None]
        assert np.array_equal(made, translate(each, model, tta=tta))


def test_gray_networks_are_fed_gray() -> None:
    model, pixels = model_of(CompactSROptions(channels=4, blocks=1, in_channels=1, out_channels=1)), noise(0)
    arrival = begin_batch([pixels], model, Boat())  # type: ignore[arg-type]
    assert arrival is not None
    assert np.array_equal((arrival() or [])[0], translate(pixels, model))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_what_cannot_be_under_way_is_not_begun(mode: str) -> None:
    model = model_of(UNetOptions(downs=2, base_channels=4), mode=mode)
    deep, shallow = noise(0).astype(np.uint16), noise(0)
    boat: Any = Boat()
    assert begin_batch([deep], model, boat) is None
    assert (begin_batch([shallow], model, boat) is None) == (mode == "train")
    assert begin_batch([shallow], model, boat, tile=16) is None
    assert begin_batch([shallow], model, boat, memory=Cap(1)) is None


def through(model: Model, folder: Path, sizes: Sequence[tuple[int, int]], boat: Boat | None) -> list[Any]:
    """Results, and with a boat what happened in which order."""
    joint: Any = joined(model, Settings(io_workers=0))
    if boat is not None:
        joint = engine.replace(joint, ferry=boat)
    change = lambda picture, job: engine.make(picture, job, model, Settings())  # noqa: E731
    with Run(jobs(folder, sizes), Settings(io_workers=0)).change(change, joint) as run:
        return [(result.status, result.output) for result in run]


def test_the_next_picture_is_begun_before_the_last_is_waited_for(tmp_path: Path) -> None:
    model, boat = model_of(SMALL), Boat()
    sizes = [(8, 8), (9, 8), (8, 8)]
    (tmp_path / "a").mkdir()
    found = through(model, tmp_path / "a", sizes, boat)
    crossing = ["there", "back"]
    assert boat.log == [*crossing, *crossing, "program waits", *crossing, "program waits", "program waits"]
    (tmp_path / "b").mkdir()
    wanted = through(model, tmp_path / "b", sizes, None)
    for (status, one), (_, other) in zip(found, wanted, strict=True):
        assert status == "done"
        assert np.array_equal(reader.read_rgb8(one), reader.read_rgb8(other))


def test_a_broken_picture_among_those_under_way_is_its_own_failure(tmp_path: Path) -> None:
    model, boat = model_of(SMALL), Boat()
    all_jobs = jobs(tmp_path, [(8, 8)] * 4)
    (tmp_path / "1.png").write_bytes(b"no picture")
    joint: Any = engine.replace(joined(model, Settings(io_workers=0)), ferry=boat)
    change = lambda picture, job: engine.make(picture, job, model, Settings())  # noqa: E731
    with Run(all_jobs, Settings(io_workers=0)).change(change, joint) as run:
        assert [(result.input, result.status) for result in run] == [
            ("0.png", "done"), ("1.png", "failed"), ("2.png", "done"), ("3.png", "done")
        ]  # fmt: skip


def test_what_is_not_finite_or_fails_on_the_way_is_made_after_all() -> None:
    class Leaky(Boat):
        def back(self, made: Sequence[Tensor]) -> Landing:
            return super().back((made[0], torch.tensor(False)))

    class Sinking(Boat):
        def there(self, samples: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model, leaky, sinking = model_of(SMALL), Leaky(), Sinking()
    for boat in (leaky, sinking):
        joint: Any = engine.replace(joined(model, Settings()), ferry=boat)
        arrival = joint.begin([Image(noise(0))])
        assert arrival is None or arrival() is None


def test_a_batch_that_needs_a_proof_is_not_begun() -> None:
    model: Any = model_of(ContextEncoderOptions(region="full", downs=2, base_channels=4, bottleneck_channels=8))
    pictures, boat = [Image(noise(seed)) for seed in range(2)], Boat()
    joint: Any = engine.replace(joined(model, Settings(batch=2)), ferry=boat)
    assert joint.begin(pictures) is None
    joint.make(pictures)
    assert (joint.begin(pictures) is not None) == bool(joint._exact)
