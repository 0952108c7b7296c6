"""The same batches from any number of processes; what goes wrong in one is one line."""

from __future__ import annotations

import hashlib
import os
import signal
import warnings
from itertools import islice
from pathlib import Path

import pytest
import torch

from gantools.data.datasets.paired import PairedDataset
from gantools.data.datasets.super_resolution import SuperResolutionDataset
from gantools.data.loading import loader
from gantools.data.loading.batches import LowHigh, Paired, to_network
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.datasets import PairedData, ResolutionData
from gantools.errors import DataError, ImageError, TrainingError


def shoe_data(folder: Path, **changes: object) -> PairedDataset:
    options = PairedData(dir=str(folder), load_px=32, crop_px=24, **changes)
    return PairedDataset(options, "training", seed=7)


def digests(data: PairedDataset, count: int, **changes: object) -> list[str]:
    arguments = {"batch_images": 3, "start_batch": 0, "seed": 7, "workers": 0} | changes
    stream = loader.batches(data, **arguments)
    found = [digest(batch) for batch in islice(stream, count)]
    stream.close()
    return found


def digest(batch: Paired) -> str:
    content = batch.source.numpy().tobytes() + batch.target.numpy().tobytes() + "|".join(batch.names).encode()
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def expected(shoes: Path) -> list[str]:
    return digests(shoe_data(shoes), 8)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(shoes: Path, expected: list[str], workers: int) -> None:
    assert len(set(expected)) == 8
    assert digests(shoe_data(shoes), 8, workers=workers) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_in_the_middle_of_an_epoch(shoes: Path, expected: list[str], workers: int) -> None:
    assert digests(shoe_data(shoes), 3, start_batch=5, workers=workers) == expected[5:]


def test_two_ranks_see_what_one_sees_with_the_double_batch(shoes: Path) -> None:
    data = shoe_data(shoes)
    whole = next(loader.batches(data, batch_images=4, start_batch=1, seed=7, workers=0))
    parts = [
        next(loader.batches(data, batch_images=2, start_batch=1, seed=7, workers=0, rank=rank, ranks=2))
        for rank in (0, 1)
    ]
    assert whole.names == parts[0].names + parts[1].names
    torch.testing.assert_close(whole.source, torch.cat([part.source for part in parts]))


class Broken(PairedDataset):
    """A set some of whose files cannot be read."""

    bad: tuple[int, ...] = ()

    def __getitem__(self, key: SampleKey):
        if key.index in self.bad:
            raise ImageError(f"'{self.items[key.index].name}': damaged")
        return super().__getitem__(key)


def broken(folder: Path, *bad: int, share: float) -> Broken:
    data = Broken(PairedData(dir=str(folder), load_px=16, crop_px=16, max_unreadable_share=share), "training", seed=7)
    data.bad = bad
    return data


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named_once_and_replaced_by_the_same_one_always(shoes: Path, workers: int) -> None:
    data = broken(shoes, 2, 3, share=0.5)
    said: list[str] = []
    stream = loader.batches(data, batch_images=4, start_batch=0, seed=7, workers=workers, warn=said.append)
    names = [name for batch in islice(stream, 6) for name in batch.names]
    stream.close()
    assert sorted(said) == sorted(f"left out: '{data.items[index].name}': damaged" for index in (2, 3))
    assert set(names) == {item.name for index, item in enumerate(data.items) if index not in data.bad}
    assert all(names[epoch * 8 : epoch * 8 + 8].count(data.items[4].name) == 3 for epoch in range(3))


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_unreadable_images_stop_the_run(shoes: Path, workers: int) -> None:
    data = broken(shoes, 2, 3, share=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError) as caught:
            for _ in islice(loader.batches(data, batch_images=4, start_batch=0, seed=7, workers=workers), 9):
                pass
    message = str(caught.value)
    assert "2 of 8 images cannot be read" in message
    assert data.items[2].name in message
    assert "data.max_unreadable_share=0.2" in message
    assert "\n" not in message


@pytest.mark.parametrize("workers", [0, 1])
def test_a_set_without_one_readable_image_stops_at_once(shoes: Path, workers: int) -> None:
    data = broken(shoes, *range(8), share=1.0)
    with pytest.raises(DataError, match="8 images in a row cannot be read"):
        next(loader.batches(data, batch_images=2, start_batch=0, seed=7, workers=workers))


def test_a_disguised_file_is_found_when_it_is_read(shoes: Path, tmp_path: Path) -> None:
    for source in sorted(shoes.iterdir())[:3]:
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "text.jpg").write_text("this is no image")
    data = shoe_data(tmp_path, validation_share=0.0, max_unreadable_share=0.5)
    with pytest.warns(UserWarning, match=r"left out: .*text\.jpg") as caught:
        assert all(
            "text.jpg" not in batch.names
            for batch in islice(loader.batches(data, batch_images=2, start_batch=0, seed=7, workers=0), 6)
        )
    assert len(caught) == 1


def test_an_empty_set_is_refused(shoes: Path) -> None:
    data = PairedDataset(PairedData(dir=str(shoes), validation_share=0.0), "validation", seed=0)
    with pytest.raises(DataError, match="no training images"):
        next(loader.batches(data, batch_images=2, start_batch=0, seed=7))


class Reporting(PairedDataset):
    """A set whose samples are named by the process they were made in."""

    def __getitem__(self, key: SampleKey):
        return super().__getitem__(key)._replace(name=str(os.getpid()))


def test_a_killed_worker_is_one_line_and_no_exception_in_between(shoes: Path) -> None:
    data = Reporting(PairedData(dir=str(shoes), load_px=16, crop_px=16), "training", seed=7)
    stream = loader.batches(data, batch_images=2, start_batch=0, seed=7, workers=1)
    worker = int(next(stream).names[0])
    assert worker != os.getpid()
    assert os.getsid(worker) != os.getsid(0)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(TrainingError) as caught:
        for _ in stream:
            pass
    message = str(caught.value)
    assert message.startswith(f"data: loader process {worker} was killed by SIGKILL; ")
    assert "data.workers (now 1)" in message
    assert "\n" not in message


def test_closing_the_stream_ends_its_workers(shoes: Path) -> None:
    data = Reporting(PairedData(dir=str(shoes), load_px=16, crop_px=16), "training", seed=7)
    stream = loader.batches(data, batch_images=2, start_batch=0, seed=7, workers=1)
    worker = int(next(stream).names[0])
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_mistake_in_our_own_code_keeps_its_traceback(shoes: Path) -> None:
    class Wrong(PairedDataset):
        def __getitem__(self, key: SampleKey):
            raise RuntimeError("a bug")

    data = Wrong(PairedData(dir=str(shoes)), "training", seed=7)
    with pytest.raises(RuntimeError, match="a bug"):
        next(loader.batches(data, batch_images=2, start_batch=0, seed=7, workers=1))


def test_auto_leaves_a_core_to_the_training_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 1), (8, 7), (64, 12)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert loader.worker_count("auto") == workers
    assert loader.worker_count(3) == 3


@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_become_network_tensors(shoes: Path, channels_last: bool) -> None:
    data = SuperResolutionDataset(ResolutionData(dir=str(shoes), crop_px=16), "training", seed=0)
    batch = next(loader.batches(data, batch_images=2, start_batch=0, seed=0, workers=0))
    assert batch.low.dtype == torch.uint8
    ready = to_network(batch, "cpu", channels_last=channels_last)
    assert isinstance(ready, LowHigh)
    assert ready.names == batch.names
    assert ready.high.shape == (2, 3, 16, 16)
    assert ready.low.shape == (2, 3, 4, 4)
    torch.testing.assert_close(ready.high, batch.high.permute(0, 3, 1, 2) / 127.5 - 1)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    assert ready.high.is_contiguous(memory_format=memory)


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
