"""Sets packed with --stream: an order without a list of images, exact resumes, ranks, and what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from gantools import api, files
from gantools.checkpoint import weights
from gantools.cli.app import app
from gantools.data import DATASETS
from gantools.data.datasets.restoration import RestorationDataset
from gantools.data.folders import streamed
from gantools.data.folders.fetched import ShardCache
from gantools.data.loading import dataset, loader
from gantools.data.loading.sampler import BatchSampler, EndlessSampler, Parts
from gantools.data.loading.unreadable import require_readable
from gantools.data.options.datasets import (
    BlurredData,
    MaskedData,
    PairedData,
    ResolutionData,
    RestorationData,
    ShardOptions,
    UnpairedData,
)
from gantools.data.options.labelled import LabelledData
from gantools.data.prepare import pack as packing
from gantools.data.synthetic import drawing
from gantools.errors import DataError
from gantools.images.io import reader, shards
from gantools.jobs import remote
from gantools.training.progress import Progress
from tests.data.conftest import TINY_PIX2PIX

TINY = (*TINY_PIX2PIX, "data.shards.at_once=2", "data.workers=0")
SIZES = {"load_px": 24, "crop_px": 16, "batch_images": 2, "cache_megabytes": 0}


def packed(output: Path, *folders: Path, megabytes: float = 0.004, stream: bool = True) -> Path:
    packing.pack(list(folders), output, megabytes, lambda _done, _total: None, stream=stream)
    return output


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "photos"
    drawing.draw_dataset("scenes", folder, 24, 24, seed=0)
    return folder


@pytest.fixture(scope="module")
def tars(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("packed") / "tars", scenes)


def made(folder: Path | tuple[str, ...], split: Any = "training", **options: Any) -> RestorationDataset:
    where = folder if isinstance(folder, tuple) else str(folder)
    return RestorationDataset(RestorationData(dir=where, **(SIZES | options)), split, seed=1)


def parts(*images: int, at_once: int = 4) -> Parts:
    return Parts(np.array(images, np.int64), at_once)


# The order


@pytest.mark.parametrize("images", [(5, 1, 7, 3, 9, 2), (3,), (1, 1, 1), (50, 50, 50)])
@pytest.mark.parametrize("at_once", [1, 4, 16])
def test_an_epoch_visits_every_image_once_in_an_order_of_its_own(images: tuple[int, ...], at_once: int) -> None:
    length = sum(images)
    sampler = EndlessSampler(length, 3, parts(*images, at_once=at_once))
    keys = [sampler.key(number) for number in range(2 * length)]
    assert Counter(key.index for key in keys) == Counter(list(range(length)) * 2)
    assert [key.epoch for key in keys] == [0] * length + [1] * length
    assert keys == [EndlessSampler(length, 3, parts(*images, at_once=at_once)).key(n) for n in range(2 * length)]
    if length > 20:
        assert [key.index for key in keys[:length]] != [key.index for key in keys[length:]]


def test_images_of_as_many_shards_as_wanted_follow_each_other_and_a_shard_is_read_once() -> None:
    some = parts(*[100] * 40, at_once=8)
    sampler = EndlessSampler(4000, 1, some)
    read = [some.shard_of(sampler.key(number).index) for number in range(4000)]
    assert all(len(set(read[start : start + 8])) >= 7 for start in range(0, 4000, 8))
    times = [sum(a != b for a, b in zip(read[lane::8], read[lane + 8 :: 8], strict=False)) for lane in range(8)]
    assert max(times) <= 5  # of 40 shards a lane has 5, and perhaps the rest of one


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_divide_each_step_and_the_shards(ranks: int) -> None:
    some = parts(*[30] * 32, at_once=8)
    whole = {"batch_images": 16, "start_batch": 5, "seed": 1, "parts": some}
    one = list(islice(BatchSampler(960, **whole), 50))
    several = [
        list(islice(BatchSampler(960, **(whole | {"batch_images": 16 // ranks}), rank=rank, ranks=ranks), 50))
        for rank in range(ranks)
    ]
    for step, batches in zip(one, zip(*several, strict=True), strict=True):
        assert Counter(step) == Counter(key for batch in batches for key in batch)
    read = [{some.shard_of(key.index) for batch in own for key in batch} for own in several]
    assert max(map(len, read)) <= 32 / ranks + 8 / ranks  # its share, and the shards that two lanes share


def test_a_run_that_goes_on_with_more_ranks_leaves_no_image_out() -> None:
    given = {"batch_images": 8, "seed": 1, "parts": parts(*[30] * 32, at_once=8)}
    before = [key for batch in islice(BatchSampler(960, start_batch=0, **given), 41) for key in batch]
    start = Progress(batches=41).for_world_size(1, 2, in_epochs=True).batches
    samplers = [BatchSampler(960, start_batch=start, rank=rank, ranks=2, **given) for rank in (0, 1)]
    after = [key for sampler in samplers for batch in islice(sampler, 60 - start) for key in batch]
    seen = Counter(before + after)
    assert {key.index for key in seen} == set(range(960))
    assert sum(seen.values()) == 960 + 8  # of half a step


def test_no_object_is_made_for_an_image_that_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of shards of 10^8 images: only numbers of shards are held, and an order only of the shards at hand."""
    listed = [streamed.Shard(f"{number:06d}.tar", 1, 100_000, f"{number:064x}") for number in range(1000)]
    streamed.write_list(tmp_path, listed)
    made_items = []
    monkeypatch.setattr(streamed, "Item", lambda *given: made_items.append(given))
    data = made(tmp_path, validation_share=0.01)
    assert len(data) == 99_000_000
    assert dataset.fingerprint(data) != dataset.fingerprint(made(tmp_path, "validation", validation_share=0.01))
    sampler = BatchSampler(len(data), batch_images=32, start_batch=10**6, seed=1, parts=data.parts)
    first = next(iter(sampler))
    assert first == next(iter(BatchSampler(len(data), batch_images=32, start_batch=10**6, seed=1, parts=data.parts)))
    held = [value for value in vars(sampler.sampler._order).values() if hasattr(value, "__len__")]
    assert max(map(len, held)) <= len(listed)
    assert made_items == []


# What is packed


def test_a_streamed_set_holds_what_the_folder_holds(scenes: Path, tars: Path, tmp_path: Path) -> None:
    both = [made(tars, split) for split in ("training", "validation")]
    assert len({shard.file for data in both for shard in data.items.shards}) == len(list(tars.glob("*.tar"))) > 4
    held = {item.name: item.files[0] for data in both for item in data.items}
    assert sorted(held) == sorted(path.relative_to(scenes).as_posix() for path in scenes.rglob("*.png"))
    for name, file in held.items():
        assert (reader.read_rgb8(file) == reader.read_rgb8(scenes / name)).all()
    again = packed(tmp_path / "again", scenes)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        p.name: p.read_bytes() for p in tars.iterdir()
    }
    first = [item.name for item in both[0].items[:8]] + [item.name for item in both[1].items]
    assert first != sorted(first)  # a shard is a random part of the set


def test_sets_packed_in_parts_are_one_set(scenes: Path, tars: Path, tmp_path: Path) -> None:
    data = made((str(tars), str(packed(tmp_path / "more", scenes))), validation_share=0)
    assert len(data) == 48
    assert len({item.name for item in data.items}) == 48
    with pytest.raises(DataError, match="not packed with --stream"):
        made((str(tars), str(scenes)))


def test_validation_images_may_lie_elsewhere(scenes: Path, tars: Path, tmp_path: Path) -> None:
    assert len(made(tars, validation_dir=str(scenes))) == 24
    assert len(made(tars, "validation", validation_dir=str(scenes))) == 24
    other = made(tars, "validation", validation_dir=str(packed(tmp_path / "other", scenes, megabytes=1)))
    assert len(other.items.shards) == 1
    with pytest.raises(DataError, match="one shard cannot be split"):
        made(tmp_path / "other")


OTHERS = {
    "resolution": (ResolutionData, {"crop_px": 16}),
    "blurred": (BlurredData, {"crop_px": 16}),
    "masked": (MaskedData, {"load_px": 24, "crop_px": 16}),
    "paired": (PairedData, {"load_px": 24, "crop_px": 16}),
    "labelled": (LabelledData, {"image_px": (16, 16)}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_every_data_set_of_single_images_reads_it(tars: Path, name: str) -> None:
    kind, sizes = OTHERS[name]
    data = DATASETS.factory(name)(kind(dir=str(tars), **sizes), split="training", seed=1)
    require_readable(data)
    assert "shards" in data.describe() or name == "labelled"
    stream = loader.batches(data, batch_images=3, start_batch=2, seed=1, workers=0)
    assert len(next(stream).names) == 3
    stream.close()


def test_what_needs_more_than_single_images_refuses_it_in_one_line(scenes: Path, tars: Path, tmp_path: Path) -> None:
    drawing.draw_dataset("fruit", tmp_path / "fruit", 2, 16, seed=0)
    splits = tmp_path / "splits"
    for split in ("train", "val"):
        drawing.draw_dataset("scenes", splits / split, 2, 16, seed=0)
    for refused, message in (
        (lambda: DATASETS.factory("unpaired")(UnpairedData(dir=str(tars)), split="training", seed=1), "--stream"),
        (lambda: made_of(PairedData(dir=str(tars), layout="ab")), "hold photos"),
        (lambda: made_of(LabelledData(dir=str(tars), labels="required")), "no labels"),
        (lambda: api.inspect_data(tars, workers=1), "--stream"),
        (lambda: packed(tmp_path / "x", tmp_path / "fruit"), "trainA' and"),
        (lambda: packed(tmp_path / "x", splits), "val' by themselves"),
    ):
        with pytest.raises(DataError, match=message) as error:
            refused()
        assert "\n" not in str(error.value)
    assert not (tmp_path / "x").exists()


def made_of(options: Any) -> Any:
    return DATASETS.factory(options.name)(options, split="training", seed=1)


# Training


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_go_on_at_the_sample_after_any_stop(tars: Path, workers: int) -> None:
    def batches(start: int, count: int, **ranks: int) -> list[Any]:
        stream = loader.batches(made(tars), batch_images=4, start_batch=start, seed=1, workers=workers, **ranks)
        found = list(islice(stream, count))
        stream.close()
        return found

    whole, later = batches(0, 9), batches(4, 5)  # an epoch is five batches
    for one, other in zip(whole[4:], later, strict=True):
        assert one.names == other.names
        assert torch.equal(one.degraded, other.degraded)


def test_a_run_goes_on_bit_identically_in_the_middle_of_an_epoch(tars: Path, tmp_path: Path) -> None:
    settings = api.configure("pix2pix/shoes-64", data=[str(tars)], overrides=TINY)
    for name, stops in (("whole", [6]), ("stopped", [2, 6])):
        api.train(settings, run_dir=tmp_path / name, device="cpu", max_steps=stops[0])
        for stop in stops[1:]:
            api.resume(tmp_path / name, device="cpu", max_steps=stop)
    one, other = (weights.load(tmp_path / n / "weights" / "last.safetensors").tensors for n in ("whole", "stopped"))
    assert all(torch.equal(one["generator"][key], other["generator"][key]) for key in one["generator"])


# What goes wrong


def copied(tars: Path, folder: Path) -> Path:
    shutil.copytree(tars, folder)
    return folder


@pytest.mark.parametrize("how", ["missing", "cut off", "replaced", "no tar"])
def test_a_shard_that_is_not_what_was_packed_stops_the_run_with_one_line(tars: Path, tmp_path: Path, how: str) -> None:
    folder = copied(tars, tmp_path / "tars")
    shard = sorted(folder.glob("*.tar"))[2]
    content = shard.read_bytes()
    shard.unlink()
    shard.with_suffix(".json").unlink()
    if how == "cut off":
        shard.write_bytes(content[: len(content) // 2])
    elif how == "replaced":
        shard.write_bytes(content + bytes(512))
    elif how == "no tar":
        shard.write_bytes(b"x" * len(content))
    stream = loader.batches(made(folder, validation_dir=str(tars)), batch_images=4, start_batch=0, seed=1, workers=0)
    with pytest.raises(DataError, match=shard.name) as error:
        list(islice(stream, 6))
    assert "\n" not in str(error.value)


def test_without_its_index_a_shard_is_scanned(tars: Path, tmp_path: Path) -> None:
    folder = copied(tars, tmp_path / "tars")
    for index in folder.glob("0*.json"):
        index.write_text("{}")
    assert [item.name for item in made(folder).items] == [item.name for item in made(tars).items]


SPOILT = json.dumps({"schema": 1, "shards": [["../x.tar", 1, 1, "0" * 64]]})


@pytest.mark.parametrize(
    "content", ["", "{}", '{"schema": 2, "shards": []}', '{"schema": 1, "shards": [[1, 2]]}', SPOILT]
)
def test_a_damaged_list_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / shards.STREAM).write_text(content)
    with pytest.raises(DataError, match=r"stream.json'?: not a list of shards") as error:
        made(tmp_path)
    assert "\n" not in str(error.value)


def test_other_images_have_another_fingerprint(scenes: Path, tars: Path, tmp_path: Path) -> None:
    photos = copied(scenes, tmp_path / "photos")
    same, (first, *_) = packed(tmp_path / "same", photos), sorted(photos.rglob("*.png"))
    first.write_bytes((scenes / first.relative_to(photos)).with_name("00001.png").read_bytes())
    changed = packed(tmp_path / "changed", photos)
    one, again, other = (dataset.fingerprint(made(folder)) for folder in (tars, same, changed))
    assert one == again != other


# Elsewhere

STORE = MemoryFileSystem()


@pytest.fixture
def elsewhere(tars: Path) -> Iterator[str]:
    STORE.store.clear()
    for path in tars.iterdir():
        STORE.pipe_file(f"/bucket/set/{path.name}", path.read_bytes())
    yield "memory://bucket/set"
    STORE.store.clear()


def of_url(url: str, folder: Path, split: Any = "training", gigabytes: float = 1.0, **options: Any) -> Any:
    kept = ShardOptions(at_once=2, folder=str(folder), gigabytes=gigabytes)
    return RestorationDataset(RestorationData(dir=url, shards=kept, **(SIZES | options)), split, seed=1)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_a_url_are_those_of_the_folder(elsewhere: str, tars: Path, tmp_path: Path, workers: int) -> None:
    near, far = made(tars, shards=ShardOptions(at_once=2)), of_url(elsewhere, tmp_path / "kept")
    assert dataset.fingerprint(near) == dataset.fingerprint(far)
    found = []
    for data in (near, far):
        stream = loader.batches(data, batch_images=4, start_batch=3, seed=1, workers=workers)
        found.append(list(islice(stream, 7)))
        stream.close()
    for one, other in zip(*found, strict=True):
        assert one.names == other.names
        assert torch.equal(one.degraded, other.degraded)
    assert {path.suffix for path in (tmp_path / "kept").iterdir()} <= {".tar", ".json", ".lock"}


def test_no_more_is_kept_than_allowed(elsewhere: str, tars: Path, tmp_path: Path, monkeypatch: Any) -> None:
    sizes = sorted(tar.stat().st_size for tar in tars.glob("*.tar"))
    fetches = []
    fetch = remote.fetch
    monkeypatch.setattr(remote, "fetch", lambda path, *to: (fetches.append(path.name), fetch(path, *to)))
    monkeypatch.setattr(ShardCache, "begin", lambda *_: None)  # one after the other
    data = of_url(elsewhere, tmp_path, gigabytes=2 * sizes[-1] / 1e9, validation_dir=str(tars))
    for index in range(len(data)):
        assert data.items[index].files[0].parent.is_file()
    assert sorted(fetches) == sorted(tar.name for tar in tars.glob("*.tar"))
    assert len(list(tmp_path.glob("*.tar"))) == len(list(tmp_path.glob("*.json"))) == 2
    with pytest.raises(DataError, match=r"^data.shards.gigabytes: 2 shards at a time, .* need 0.0 GB; raise it"):
        next(loader.batches(data, batch_images=4, start_batch=0, seed=1, workers=0))


@pytest.mark.parametrize(
    ("how", "said"), [("missing", "is not there"), ("changed", "was changed"), ("no room", "No space left")]
)
def test_a_shard_that_cannot_be_fetched_is_one_line(
    elsewhere: str, tars: Path, tmp_path: Path, how: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"/bucket/set/{sorted(tars.glob('*.tar'))[2].name}"
    if how == "missing":
        STORE.rm_file(name)
    elif how == "changed":
        content = STORE.cat_file(name)
        STORE.pipe_file(name, content[:-1] + b"x")
    else:
        monkeypatch.setattr(MemoryFileSystem, "get_file", fill_the_disk)
    monkeypatch.setattr(ShardCache, "begin", lambda *_: None)  # it would be writing still
    data = of_url(elsewhere, tmp_path / "kept", validation_dir=str(tars))
    stream = loader.batches(data, batch_images=4, start_batch=0, seed=1, workers=0)
    with pytest.raises(DataError, match=rf"^data\.[^\n]*{said}[^\n]*$"):
        list(islice(stream, 6))
    assert [path for path in (tmp_path / "kept").iterdir() if path.name.startswith(files.STAGED_PREFIX)] == []


def fill_the_disk(_store: Any, _name: str, target: str) -> None:
    Path(target).write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)


def test_what_is_no_streamed_set_elsewhere_is_one_line(elsewhere: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"stream.json': is not there.*elsewhere only sets packed with --stream"):
        of_url("memory://bucket/none", tmp_path)
    with pytest.raises(DataError, match=f"'{elsewhere}': elsewhere only sets packed with --stream"):
        made_of(UnpairedData(dir=elsewhere))


def test_an_interrupted_pack_leaves_nothing(scenes: Path, tmp_path: Path) -> None:
    for event in range(3, 40, 6):
        seen = []

        def interrupt(what: str, path: Path, at: int = event, seen: list[str] = seen) -> None:
            seen.append(what)
            if len(seen) == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), files.observed(interrupt):
            packed(tmp_path / "tars", scenes)
        assert list(tmp_path.iterdir()) == []


def test_the_command(scenes: Path, tmp_path: Path) -> None:
    output = tmp_path / "tars"
    command = ["data", "pack", str(scenes), "-o", str(output), "--shard-megabytes", "0.01", "--stream"]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    listed = json.loads((output / shards.STREAM).read_text())["shards"]
    assert sum(images for _, _, images, _ in listed) == 24
    assert [digest for *_, digest in listed] == [files.sha256(output / name) for name, *_ in listed]
