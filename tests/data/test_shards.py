"""Images packed into tars: the same data set as the folder, down to the weights after training."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from gantools import api
from gantools.checkpoint import weights
from gantools.cli.app import app
from gantools.data.folders import layout, search
from gantools.data.loading import dataset
from gantools.data.prepare import pack as packing
from gantools.data.synthetic import drawing
from gantools.errors import DataError, ImageError
from gantools.images.io import reader, shards
from tests.data.conftest import TINY_PIX2PIX

TINY = (*TINY_PIX2PIX, "data.cache_megabytes=0", "train.log_every_steps=1")


def packed(output: Path, *folders: Path, megabytes: float = 0.002) -> Path:
    packing.pack(list(folders), output, megabytes, lambda _done, _total: None)
    return output


def names(found: layout.Layout) -> list[str]:
    return [item.name for item in found.items]


@pytest.fixture
def shoes(tmp_path: Path) -> Path:
    drawing.draw_dataset("shoes", tmp_path / "shoes" / "train", 8, 24, seed=0)
    drawing.draw_dataset("shoes", tmp_path / "shoes" / "val", 3, 24, seed=1)
    return tmp_path / "shoes"


def test_a_packed_folder_holds_what_the_folder_holds(shoes: Path, tmp_path: Path) -> None:
    tars = packed(tmp_path / "tars", shoes)
    assert len(list(tars.glob("*.tar"))) > 2
    for inner in ("", "train", "val"):
        loose, inside = layout.find(shoes / inner), layout.find(tars / inner)
        assert (inside.kind, names(inside)) == (loose.kind, names(loose))
        for one, other in zip(loose.items, inside.items, strict=True):
            assert (reader.read_rgb8(one.files[0]) == reader.read_rgb8(other.files[0])).all()
            assert shards.size_bytes(other.files[0]) == one.files[0].stat().st_size
    for missing, error, message in (
        (lambda: reader.read_rgb8(tars / "train" / "none.png"), ImageError, "cannot be read"),
        (lambda: layout.find(tars / "test"), DataError, "does not exist"),
    ):
        with pytest.raises(error, match=message):
            missing()


def test_shards_are_plain_tars_and_always_the_same(shoes: Path, tmp_path: Path) -> None:
    first, second = (sorted(packed(tmp_path / name, shoes).glob("*.tar")) for name in ("one", "two"))
    assert [tar.read_bytes() for tar in first] == [tar.read_bytes() for tar in second]
    held = {}
    for tar in first:
        with tarfile.open(tar) as archive:
            held |= {file.name: archive.extractfile(file).read() for file in archive if file.name.endswith(".png")}
    assert held == {path.relative_to(shoes).as_posix(): path.read_bytes() for path in shoes.rglob("*.png")}


def test_files_of_one_stem_stay_together(shoes: Path, tmp_path: Path) -> None:
    for path in sorted((shoes / "val").glob("*.png")):
        shutil.copy(path, path.with_suffix(".mask.png"))
    tars = packed(tmp_path / "tars", shoes / "val", megabytes=0.0001)
    held = [sorted(shards.places_in(tar)) for tar in sorted(tars.glob("*.tar"))]
    assert held == [[f"{n:05d}.mask.png", f"{n:05d}.png"] for n in range(3)]


def test_tars_of_others_are_scanned_and_the_index_kept(shoes: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with tarfile.open(foreign / "set.tar", "w") as archive:
        archive.add(shoes, arcname=".")
    found = layout.find(foreign / "train")
    assert names(found) == names(layout.find(shoes / "train"))
    index = json.loads((foreign / shards.INDEX).read_text())
    index["shards"]["set.tar"]["bytes"] += 1  # of another tar: not believed
    index["shards"]["set.tar"]["files"] = {"train/wrong.png": [0, 1]}
    (foreign / shards.INDEX).write_text(json.dumps(index))
    assert layout.find(foreign / "train") == found


def test_an_ordinary_folder_may_hold_a_tar(shoes: Path) -> None:
    before = layout.find(shoes / "train")
    with tarfile.open(shoes / "train" / "backup.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("x.png"), io.BytesIO())
    assert layout.find(shoes / "train") == before


def test_two_domains_and_two_folders_can_be_packed(tmp_path: Path) -> None:
    drawing.draw_dataset("fruit", tmp_path / "fruit", 3, 24, seed=0)
    tars = packed(tmp_path / "tars", tmp_path / "fruit")
    inside, loose = (
        [names(layout.all_images(side)) for side in layout.domain_folders(root)] for root in (tars, tmp_path / "fruit")
    )
    assert inside == loose
    both = packed(tmp_path / "both", tmp_path / "fruit" / "trainA", tmp_path / "fruit" / "trainB", megabytes=1)
    assert len(search.image_files(both)) == 6
    assert search.split_folder(both, "training") is None


def test_damaged_tars_and_equal_names_are_refused(shoes: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.tar").write_bytes(b"not a tar" * 200)
    with pytest.raises(DataError, match="not an uncompressed tar file"):
        layout.find(tmp_path / "broken")
    with pytest.raises(DataError, match="same name"):
        packed(tmp_path / "x", shoes / "train", tmp_path / "other" / "train")


@pytest.mark.parametrize("workers", [0, 2])
def test_training_from_shards_equals_training_from_the_folder(shoes: Path, tmp_path: Path, workers: int) -> None:
    """Also over a resume in the middle of an epoch."""
    found = []
    for data in (shoes, packed(tmp_path / "tars", shoes)):
        settings = api.configure("pix2pix/shoes-64", data=[str(data)], overrides=[*TINY, f"data.workers={workers}"])
        run = tmp_path / f"run-{data.name}"
        api.train(settings, run_dir=run, device="cpu", max_steps=3)
        api.resume(run, device="cpu")
        fingerprint = dataset.fingerprint(settings.recipe.dataset(settings.config, "training"))
        found.append((fingerprint, weights.load(run / "weights" / "last.safetensors").tensors["generator"]))
    (one, first), (other, second) = found
    assert one == other
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_command(shoes: Path, tmp_path: Path) -> None:
    output = tmp_path / "tars"
    command = ["data", "pack", str(shoes), "-o", str(output), "--shard-megabytes", "0.005", "--json"]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout)
    assert (report["images"], report["output"]) == (11, str(output))
    assert report["shards"] == len(list(output.glob("*.tar"))) > 1
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
