"""Files of styles, and what a user types for styles."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from gantools.errors import UsageError
from gantools.generation import style_files
from gantools.generation.latents import Sample, Vectors, vector_of
from gantools.generation.model import LatentModel, open_model
from tests.generation.conftest import saved_styles

SHAPES = ((4, 4), (8, 8), (8, 8), (16, 16), (16, 16))


def drawn(*shape: int) -> Vectors:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_styles_planes_and_notes_come_back(tmp_path: Path) -> None:
    path, styles, planes = tmp_path / "a.latent.npz", drawn(1, 6, 8), [drawn(*shape) for shape in SHAPES]
    style_files.write(path, styles, planes, {"seed": 303})
    (sample,) = style_files.read(path)
    assert sample.name == "a"
    assert sample.styles is not None
    assert np.array_equal(sample.styles, styles[0])
    assert all(np.array_equal(read, wanted) for read, wanted in zip(sample.planes, planes, strict=True))
    assert style_files.about(path) == {"seed": 303}
    with np.load(path) as held:  # as NVIDIA's scripts read it, which allow no pickles either
        assert held["w"].shape == (1, 6, 8)
        assert held["w"].dtype == np.float32


def test_npz_without_anything_else_is_read(tmp_path: Path, style_model: LatentModel) -> None:
    np.savez(tmp_path / "projected_w.npz", w=drawn(2, 6, 8))
    first, second = style_files.samples_of(style_model, str(tmp_path / "projected_w.npz"))
    assert (first.name, second.name, first.planes) == ("projected_w-0000", "projected_w-0001", ())
    assert style_files.about(tmp_path / "projected_w.npz") == {}


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8)])
def test_npy_of_one_image_is_read(tmp_path: Path, style_model: LatentModel, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", drawn(*shape).astype(np.float64))
    sample = style_files.sample_of(style_model, str(tmp_path / "a.npy"))
    assert sample.styles is not None
    assert np.array_equal(sample.styles, drawn(6, 8))


def test_one_row_stands_for_all(tmp_path: Path, style_model: LatentModel) -> None:
    np.savez(tmp_path / "a.npz", w=drawn(1, 1, 8))
    sample = style_files.sample_of(style_model, str(tmp_path / "a.npz"))
    assert sample.styles is not None
    assert sample.styles.shape == (6, 8)
    assert (sample.styles == sample.styles[0]).all()


def rosinality(path: Path, styles: Vectors) -> Path:
    """As its projector writes: tensors that require gradients, planes of [1, 1, H, W]."""
    planes = [torch.from_numpy(drawn(1, 1, *shape)).requires_grad_() for shape in SHAPES]
    latent = torch.from_numpy(styles).requires_grad_()
    torch.save({"photos/me.png": {"img": torch.zeros(3, 16, 16), "latent": latent, "noise": planes}}, path)
    return path


@pytest.mark.parametrize("shape", [(8,), (6, 8)])
def test_rosinalitys_projection_is_read(tmp_path: Path, style_model: LatentModel, shape: tuple[int, ...]) -> None:
    path = rosinality(tmp_path / "me.pt", drawn(*shape))
    sample = style_files.sample_of(style_model, str(path))
    assert sample.name == "me"
    assert sample.styles is not None
    assert np.array_equal(sample.styles, np.broadcast_to(drawn(*shape), (6, 8)))
    assert [plane.shape for plane in sample.planes] == list(SHAPES)


def test_seeds_become_their_styles(style_model: LatentModel) -> None:
    first, second = style_files.samples_of(style_model, "seed:85,3")
    assert (first.name, second.seed) == ("seed0085", 3)
    wanted = style_model.styles([Sample("", vector_of(style_model.latent, 85))])[0]
    assert first.styles is not None
    assert np.array_equal(first.styles, wanted)
    (mean,) = style_files.samples_of(style_model, "seed:85", truncation=0)
    assert mean.styles is not None
    assert not mean.styles.any()


def test_a_seed_needs_its_label_where_there_are_classes(tmp_path: Path) -> None:
    model = open_model(saved_styles(tmp_path / "m.safetensors", classes=("boot", "heel")))
    with pytest.raises(UsageError, match="choose one, such as --label boot"):
        style_files.sample_of(model, "seed:1")
    assert style_files.sample_of(model, "seed:1", "heel").styles is not None


def test_planes_of_a_file_make_its_image(style_model: LatentModel) -> None:
    stored = tuple(plane.numpy() for plane in style_model.network.synthesis.noise)  # type: ignore[union-attr]
    plain = style_files.sample_of(style_model, "seed:1")
    same = Sample("", plain.latent, styles=plain.styles, planes=stored)
    other = Sample("", plain.latent, styles=plain.styles, planes=tuple(map(drawn, *zip(*SHAPES, strict=True))))
    images = [style_model.images([each])[0] for each in (plain, same, other)]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])
    together = style_model.images([plain, other])
    assert np.abs(together[1].astype(int) - images[2]).max() <= 1


def damaged(folder: Path) -> dict[str, tuple[Path, str]]:
    """Kind of fault → a file with it, and a part of the one line about it."""
    paths = {name: folder / name for name in ("rows.npz", "size.npy", "key.npz", "nan.npy", "object.npy", "flat.npy")}
    np.savez(paths["rows.npz"], w=drawn(1, 18, 512))
    np.save(paths["size.npy"], drawn(6, 9))
    np.savez(paths["key.npz"], z=drawn(1, 8))
    np.save(paths["nan.npy"], np.full((6, 8), np.nan))
    np.save(paths["object.npy"], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(paths["flat.npy"], drawn(8))
    texts, half, planes, noise = (folder / name for name in ("text.npy", "half.npz", "planes.npz", "noise.npz"))
    np.save(texts, np.full((6, 8), "x"))
    half.write_bytes(paths["rows.npz"].read_bytes()[:-40])
    style_files.write(planes, drawn(1, 6, 8), [drawn(4, 4)])
    style_files.write(noise, drawn(1, 6, 8), [drawn(4)])
    np.savez(folder / "second.npz", w=drawn(1, 6, 8), noise_1=drawn(4, 4), noise_strength=drawn(1))
    pickled, empty, wrong = (folder / name for name in ("run.pt", "empty.pt", "list.pt"))
    pickled.write_bytes(pickle.dumps({"a": {"latent": print}}))
    empty.write_bytes(b"")
    torch.save([1, 2], wrong)
    return {
        "rows": (paths["rows.npz"], "has 18×512 styles, the model 6×8"),
        "size": (paths["size.npy"], "has 6×9 styles, the model 6×8"),
        "key": (paths["key.npz"], "has no array w, only z"),
        "nan": (paths["nan.npy"], "has NaN or infinite values"),
        "object": (paths["object.npy"], "cannot be read as a NumPy file"),
        "flat": (paths["flat.npy"], "have the shape"),
        "text": (texts, "must hold numbers"),
        "half": (half, "cannot be read as a NumPy file"),
        "planes": (planes, "its 1 planes of noise are not of the model's sizes"),
        "second plane": (folder / "second.npz", "its 1 planes of noise are not of the model's sizes"),
        "noise": (noise, "not one of height × width"),
        "pickled": (pickled, "is no result of rosinality's projector"),
        "empty": (empty, "is no result of rosinality's projector"),
        "list": (wrong, "is no result of rosinality's projector"),
        "missing": (folder / "none.npz", "cannot be read as a NumPy file"),
        "photo": (folder / "me.jpg", "project a photo first: gantools project"),
    }


def test_a_wrong_file_gets_one_clear_line(tmp_path: Path, style_model: LatentModel) -> None:
    for kind, (path, reason) in damaged(tmp_path).items():
        with pytest.raises(UsageError) as caught:
            style_files.sample_of(style_model, str(path))
        line = str(caught.value)
        assert reason in line, (kind, line)
        assert str(path) in line
        assert "\n" not in line


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    for name in ("a.pt", "a.npy", "a.npz"):
        path, trace = tmp_path / name, tmp_path / f"{name}.trace"

        class Payload:
            def __reduce__(self) -> tuple[object, tuple[Path]]:
                return Path.mkdir, (trace,)  # noqa: B023 - pickled in this round

        if name.endswith(".pt"):
            torch.save({"a": Payload()}, path)
        else:
            (np.savez if name.endswith("z") else np.save)(path, np.array([Payload()]), allow_pickle=True)
        with pytest.raises(UsageError, match=r"cannot be read|is no result"):
            style_files.read(path)
        assert not trace.exists()


def test_several_images_are_refused_where_one_is_asked_for(tmp_path: Path, style_model: LatentModel) -> None:
    np.savez(tmp_path / "a.npz", w=drawn(2, 6, 8))
    for given in (str(tmp_path / "a.npz"), "seed:1-2"):
        with pytest.raises(UsageError, match="is 2 images; give one"):
            style_files.sample_of(style_model, given)
