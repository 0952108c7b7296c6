"""The order of samples, batches from any number of processes, and what goes wrong in one."""

from __future__ import annotations

import hashlib
import os
import signal
from itertools import islice
from pathlib import Path

import pytest
import torch

from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.super_resolution import SuperResolutionDataset
from gantools.data.loading import loader
from gantools.data.loading.batches import LowHigh, Paired, to_network
from gantools.data.loading.sampler import BatchSampler, EndlessSampler, SampleKey, sample_rng
from gantools.data.options.datasets import PairedData, ResolutionData
from gantools.errors import DataError, ImageError, TrainingError


def first(length: int, count: int, **changes: int) -> list[list[SampleKey]]:
    arguments = {"batch_images": 4, "start_batch": 0, "seed": 1} | changes
    return list(islice(BatchSampler(length, **arguments), count))


def test_streams_of_different_samples_differ_and_repeat() -> None:
    drawn = {key: float(sample_rng(*key).random()) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]}
    assert len(set(drawn.values())) == 4
    assert float(sample_rng(0, 1, 0).random()) == drawn[(0, 1, 0)]


def test_every_epoch_visits_each_image_once_in_its_own_order_in_full_batches() -> None:
    batches = first(7, 21, seed=5)
    assert {len(batch) for batch in batches} == {4}
    keys = [key for batch in batches for key in batch]
    assert [key.epoch for key in keys] == [number // 7 for number in range(84)]
    orders = [tuple(key.index for key in keys[start : start + 7]) for start in range(0, 84, 7)]
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(7))}
    assert len(set(orders)) == 12


@pytest.mark.parametrize("start", [1, 2, 5, 9])
def test_starting_later_gives_the_same_batches(start: int) -> None:
    assert first(7, 4, start_batch=start) == first(7, 4 + start)[start:]


def test_two_ranks_together_are_one_with_the_double_batch() -> None:
    both = [first(9, 5, batch_images=2, rank=rank, ranks=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*both, strict=True)] == first(9, 5)


def test_a_set_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        EndlessSampler(0, seed=1)


# Batches


def opened(folder: Path, kind: type[PairedDataset] = PairedDataset, **changes: object) -> PairedDataset:
    return kind(PairedData(dir=str(folder), **{"load_px": 20, "crop_px": 16, **changes}), "training", seed=7)


def stream_of(data: PairedDataset, **changes: object):
    return loader.batches(data, **{"batch_images": 2, "start_batch": 0, "seed": 7, "workers": 0, **changes})


def digests(folder: Path, count: int, **changes: object) -> list[str]:
    stream = stream_of(opened(folder), batch_images=3, **changes)
    found = [
        hashlib.sha256(batch.source.numpy().tobytes() + batch.target.numpy().tobytes() + repr(batch.names).encode())
        for batch in islice(stream, count)
    ]
    stream.close()
    return [each.hexdigest() for each in found]


@pytest.fixture(scope="module")
def expected(shoes: Path) -> list[str]:
    return digests(shoes, 8)


@pytest.mark.parametrize(("workers", "start"), [(1, 0), (2, 0), (0, 5), (2, 5)])
def test_batches_depend_neither_on_workers_nor_on_where_a_run_goes_on(
    shoes, expected, workers: int, start: int
) -> None:
    assert len(set(expected)) == 8
    assert digests(shoes, 8 - start, start_batch=start, workers=workers) == expected[start:]


def test_two_ranks_see_what_one_sees_with_the_double_batch(shoes: Path) -> None:
    whole = next(stream_of(opened(shoes), batch_images=4, start_batch=1))
    parts = [next(stream_of(opened(shoes), start_batch=1, rank=rank, ranks=2)) for rank in (0, 1)]
    assert whole.names == parts[0].names + parts[1].names
    assert torch.equal(whole.source, torch.cat([part.source for part in parts]))


class Broken(PairedDataset):
    """A set some of whose files cannot be read."""

    bad: tuple[int, ...] = ()

    def __getitem__(self, key: SampleKey):
        if key.index in self.bad:
            raise ImageError(f"'{self.items[key.index].name}': damaged")
        return super().__getitem__(key)


def broken(folder: Path, *bad: int, share: float) -> PairedDataset:
    data = opened(folder, Broken, max_unreadable_share=share)
    data.bad = bad
    return data


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named_once_and_replaced_by_the_same_one_always(shoes: Path, workers: int) -> None:
    data = broken(shoes, 2, 3, share=0.5)
    warnings: list[str] = []
    stream = stream_of(data, batch_images=4, workers=workers, warn=warnings.append)
    names = [name for batch in islice(stream, 6) for name in batch.names]
    stream.close()
    assert sorted(warnings) == sorted(f"left out: '{data.items[index].name}': damaged" for index in (2, 3))
    assert set(names) == {item.name for index, item in enumerate(data.items) if index not in data.bad}
    assert all(names[epoch * 8 : epoch * 8 + 8].count(data.items[4].name) == 3 for epoch in range(3))


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_unreadable_images_stop_the_run(shoes: Path, workers: int) -> None:
    data = broken(shoes, 2, 3, share=0.2)
    with pytest.raises(DataError) as caught:
        list(islice(stream_of(data, batch_images=4, workers=workers, warn=str), 9))
    message = str(caught.value)
    assert all(
        part in message
        for part in ("2 of 8 images cannot be read", data.items[2].name, "data.max_unreadable_share=0.2")
    )
    assert "\n" not in message
    with pytest.raises(DataError, match="8 images in a row cannot be read"):
        next(stream_of(broken(shoes, *range(8), share=1.0), workers=workers))


def test_a_disguised_file_is_found_when_it_is_read_and_warned_of(shoes: Path, tmp_path: Path) -> None:
    for source in sorted(shoes.iterdir())[:3]:
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "text.jpg").write_text("this is no image")
    data = opened(tmp_path, validation_share=0.0, max_unreadable_share=0.5)
    with pytest.warns(UserWarning, match=r"left out: .*text\.jpg") as caught:
        names = [name for batch in islice(stream_of(data), 6) for name in batch.names]
    assert len(caught) == 1
    assert "text.jpg" not in names


def test_an_empty_set_is_refused(shoes: Path) -> None:
    data = PairedDataset(PairedData(dir=str(shoes), validation_share=0.0), "validation", seed=0)
    with pytest.raises(DataError, match="no training images"):
        next(stream_of(data))


class Reporting(PairedDataset):
    """A set whose samples are named by the process they were made in."""

    def __getitem__(self, key: SampleKey):
        return super().__getitem__(key)._replace(name=str(os.getpid()))


def test_a_killed_worker_is_one_line_and_no_exception_in_between(shoes: Path) -> None:
    stream = stream_of(opened(shoes, Reporting), workers=1)
    worker = int(next(stream).names[0])
    assert worker != os.getpid()
    assert os.getsid(worker) != os.getsid(0)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(TrainingError) as caught:
        list(stream)
    message = str(caught.value)
    assert message.startswith(f"data: loader process {worker} was killed by SIGKILL; ")
    assert "data.workers (now 1)" in message
    assert "\n" not in message


def test_closing_the_stream_ends_its_workers(shoes: Path) -> None:
    stream = stream_of(opened(shoes, Reporting), workers=1)
    worker = int(next(stream).names[0])
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_mistake_in_our_own_code_keeps_its_traceback(shoes: Path) -> None:
    class Wrong(PairedDataset):
        def __getitem__(self, key: SampleKey):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        next(stream_of(opened(shoes, Wrong), workers=1))


def test_auto_leaves_a_core_to_the_training_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 1), (8, 7), (64, 12)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert loader.worker_count("auto") == workers
    assert loader.worker_count(3) == 3


@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_become_network_tensors(shoes: Path, channels_last: bool) -> None:
    data = SuperResolutionDataset(ResolutionData(dir=str(shoes), crop_px=16), "training", seed=0)
    batch = next(stream_of(data))
    assert batch.low.dtype == torch.uint8
    ready = to_network(batch, "cpu", channels_last=channels_last)
    assert isinstance(ready, LowHigh)
    assert ready.names == batch.names
    for made, given in ((ready.high, batch.high), (ready.low, batch.low)):
        torch.testing.assert_close(made, given.permute(0, 3, 1, 2) / 127.5 - 1)
        assert made.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize(("device", "blocking"), [("cuda:0", False), ("mps", True), ("cpu", True)])
def test_only_copies_to_cuda_do_not_block(device: str, blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metal's read memory that may be another batch's by then (PyTorch issue 139550)."""
    asked: list[bool] = []

    def to(self: Paired, _device: object, *, non_blocking: bool) -> Paired:
        asked.append(non_blocking)
        return self

    monkeypatch.setattr(Paired, "to", to)
    images = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    to_network(Paired(images, images, ("a",)), torch.device(device))
    assert asked == [not blocking]
