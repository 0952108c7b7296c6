"""Images with classes and captions: what is found, what is refused, what a sample is."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools import text
from gantools.data.datasets.labelled import LabelledDataset
from gantools.data.folders import labelled
from gantools.data.loading.sampler import SampleKey
from gantools.data.options.labelled import LabelledData
from gantools.errors import DataError, UsageError


def draw(path: Path, value: int = 0, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, *, packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
        data = header + values.astype(np.uint8).tobytes()
        (folder / f"train-{name}-ubyte{'.gz' if packed else ''}").write_bytes(gzip.compress(data) if packed else data)


def options(folder: Path, **changed: object) -> LabelledData:
    return LabelledData.model_validate({"dir": str(folder), "image_px": (8, 6), "validation_share": 0.25, **changed})


def dataset(folder: Path, **changed: object) -> LabelledDataset:
    return LabelledDataset(options(folder, **changed), "training", seed=0)


def test_class_folders_are_one_hot_labels_in_natural_order(tmp_path: Path) -> None:
    for name in ("10", "2", "9"):
        for number in range(4):
            draw(tmp_path / name / f"{number}.png", int(name))
    found = dataset(tmp_path)
    assert found.classes == ("2", "9", "10")
    assert found.describe() == "9 images of 3 classes"
    for index in range(len(found)):
        sample = found[SampleKey(0, index)]
        assert found.classes[int(sample.condition.argmax())] == str(sample.image[0, 0, 0])
        assert sample.condition.sum() == 1


def test_images_beside_folders_have_no_classes(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    draw(tmp_path / "b" / "1.png")
    draw(tmp_path / "loose.png")
    assert dataset(tmp_path).classes == ()
    with pytest.raises(DataError, match="needs classes"):
        dataset(tmp_path, labels="required")


def test_dataset_json_names_classes_by_number(tmp_path: Path) -> None:
    for number in range(8):
        draw(tmp_path / "00" / f"{number}.png", number)
    pairs = [[f"00\\{number}.png" if number % 2 else f"00/{number}.png", number % 3] for number in range(8)]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
    found = dataset(tmp_path)
    assert found.classes == ("0", "1", "2")
    for index in range(len(found)):
        sample = found[SampleKey(0, index)]
        assert sample.condition.argmax() == sample.image[0, 0, 0] % 3


def test_dataset_json_without_labels_or_with_gaps(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png")
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    assert dataset(tmp_path).classes == ()
    (tmp_path / "dataset.json").write_text('{"labels": [["0.png", 1]]}')
    with pytest.raises(DataError, match="3 of 4 images have no label, such as 1"):
        dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[1, 2")
    with pytest.raises(DataError, match="dataset"):
        dataset(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_are_read_whole(tmp_path: Path, packed: bool) -> None:
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((12, 8, 6), np.uint8)
    write_idx(tmp_path, images, np.arange(12) % 2, packed=packed)
    found = dataset(tmp_path, channels=1)
    assert (len(found), found.classes) == (9, ("0", "1"))
    for index in range(len(found)):
        sample = found[SampleKey(0, index)]
        assert sample.image.shape == (8, 6, 1)
        assert sample.condition.argmax() == sample.image[0, 0, 0] % 2
        assert sample.name == f"train/{sample.image[0, 0, 0]:05d}"


def test_only_wanted_classes_are_kept_in_the_order_given(tmp_path: Path) -> None:
    images = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((40, 4, 4), np.uint8)
    write_idx(tmp_path, images, np.arange(40) % 10)
    found = dataset(tmp_path, classes=("8", "0"), channels=1, image_px=(4, 4))
    assert found.classes == ("8", "0")
    assert {int(found[SampleKey(0, index)].image[0, 0, 0]) % 10 for index in range(len(found))} == {0, 8}
    with pytest.raises(DataError, match="no image is of class '11'; there are 0, 1, 2, 3"):
        dataset(tmp_path, classes=("11",))


@pytest.mark.parametrize("damage", ["short", "other"])
def test_damaged_idx_file_is_named(tmp_path: Path, damage: str) -> None:
    write_idx(tmp_path, np.zeros((3, 4, 4)), np.zeros(3), packed=False)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1] if damage == "short" else b"not idx at all")
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*idx"):
        labelled.find(tmp_path)


def test_captions_become_vectors_one_at_random_an_epoch(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png")
    rows = "".join(f'{number}.png,a red boot\n{number}.png,"Boot, red"\n' for number in range(4))
    (tmp_path / "captions.csv").write_text(f"file,caption\n{rows}")
    found = dataset(tmp_path)
    assert found.vocabulary == ("a", "boot", "red")
    assert found.describe() == "3 images with captions (3 words)"
    vectors = [found[SampleKey(epoch, 0)].condition for epoch in range(16)]
    known = [text.encode("a red boot"), text.encode("boot red")]
    assert {tuple(vector) for vector in vectors} == {tuple(vector) for vector in known}
    assert np.array_equal(found[SampleKey(3, 0)].condition, vectors[3])


def test_text_files_beside_images_are_captions(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text("ein roter Schuh\n\nzweiter Satz\n")
    assert dataset(tmp_path).vocabulary == ("ein", "roter", "satz", "schuh", "zweiter")
    (tmp_path / "1.txt").write_text("   \n")
    with pytest.raises(DataError, match=r"1 images have none, such as 1\.png|needs captions"):
        LabelledDataset(options(tmp_path, captions="required", validation_share=0), "training", seed=0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [("9.png,x\n", "captions.csv':2: there is no image '9.png'"), ("0.png,\n", "captions.csv':2: needs a file and")],
)
def test_captions_that_fit_no_image_are_named_by_line(tmp_path: Path, rows: str, message: str) -> None:
    draw(tmp_path / "0.png")
    (tmp_path / "captions.csv").write_text(f"file,caption\n{rows}")
    with pytest.raises(DataError, match=message):
        labelled.find(tmp_path)


def test_unknown_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no word 'boots'; did you mean \"boot\""):
        text.require_known("red boots", ("boot", "red"))
    with pytest.raises(UsageError, match="has no words"):
        text.require_known("!?", ("boot",))
    text.require_known("Red, BOOT.", ("boot", "red"))


def test_text_vectors_differ_by_order_and_have_an_rms_of_one() -> None:
    a, b = text.encode("a red boot with a white sole"), text.encode("a white boot with a red sole")
    assert np.sqrt(np.square(a).mean()) == pytest.approx(1)
    assert 0.3 < float((a * b).mean()) < 0.99
    assert a.shape == (1024,)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(8, 6), (30, 10), (10, 30), (1, 1), (7, 8)])
def test_images_are_brought_to_the_shape(tmp_path: Path, fit: str, size: tuple[int, int]) -> None:
    for number in range(4):
        draw(tmp_path / f"{number}.png", 100, size)
    image = dataset(tmp_path, fit=fit, image_px=(16, 12), pad_value=7)[SampleKey(0, 0)].image
    assert image.shape == (16, 12, 3)
    assert set(np.unique(image)) <= ({100, 7} if fit == "pad" else {100})


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_files_are_folders(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w", compression) as archive:
        for number in range(8):
            draw(tmp_path / "one.png", number)
            archive.write(tmp_path / "one.png", f"00/{number}.png")
        archive.writestr("dataset.json", json.dumps({"labels": [[f"00/{n}.png", n % 2] for n in range(8)]}))
    found = dataset(tmp_path / "set.zip")
    assert (len(found), found.classes) == (6, ("0", "1"))
    for index in range(len(found)):
        sample = found[SampleKey(0, index)]
        assert sample.condition.argmax() == sample.image[0, 0, 0] % 2


def test_damaged_zip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"set\.zip.*not an intact ZIP"):
        dataset(tmp_path / "set.zip")
