"""Directions: files, distances, conditioning, what they are learnt from, strips and moving images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantools import api
from gantools.errors import DataError, UsageError
from gantools.generation import boundary, directions, learn, scores, style_files
from gantools.generation.directions import Direction
from gantools.generation.latents import Vectors
from gantools.generation.model import LatentModel
from gantools.images.image import Image as Colours
from gantools.images.io import reader, writer
from tests.generation.conftest import saved_styles


def unit(seed: int, size: int = 8) -> Vectors:
    vector = np.random.default_rng(seed).standard_normal(size)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def direction(seed: int, offset: float = 0.0) -> Direction:
    return Direction(f"d{seed}", unit(seed), unit(seed), offset)


# --- moving


@pytest.mark.parametrize("distance", [-3, 0, 1.5])
def test_styles_in_w_are_moved_to_a_distance_from_the_boundary(distance: float) -> None:
    along = direction(0, offset=0.7)
    for seed in range(5):
        styles = np.tile(3 * unit(seed + 10), (6, 1))
        moved = along.moved(styles, distance, range(6))
        assert moved[0] @ along.normal - along.boundary == pytest.approx(distance, abs=1e-4)
        across = moved - styles - np.outer((moved - styles) @ along.vector, along.vector)
        assert np.abs(across).max() < 1e-5


def test_styles_in_w_plus_are_moved_by_a_distance() -> None:
    styles = np.stack([unit(seed) for seed in range(6)])
    moved = direction(9, offset=5).moved(styles, 2, [1, 4])
    np.testing.assert_allclose((moved - styles)[[1, 4]], np.tile(2 * unit(9), (2, 1)), atol=1e-6)
    assert np.array_equal(moved[[0, 2, 3, 5]], styles[[0, 2, 3, 5]])


def test_kept_directions_do_not_change() -> None:
    along, others = direction(0, 0.3), [direction(1), direction(2), direction(1)]  # one of them twice
    kept = along.keeping(others)
    assert np.linalg.norm(kept.vector) == pytest.approx(1, abs=1e-6)
    assert all(abs(kept.vector @ each.normal) < 1e-6 for each in others)
    styles = np.tile(2 * unit(5), (6, 1))
    moved = kept.moved(styles, 0, range(6))
    assert moved[0] @ along.normal == pytest.approx(0.3, abs=1e-4)  # 0 is on the boundary still
    np.testing.assert_allclose(moved[0] @ others[0].normal, styles[0] @ others[0].normal, atol=1e-5)
    with pytest.raises(UsageError, match="nothing of d0 is left beside d0"):
        along.keeping([along])


# --- files


def test_files_come_back(tmp_path: Path) -> None:
    written = replace(direction(0, 0.4).keeping([direction(1)]), about={"accuracy": 0.9})
    directions.write(tmp_path / "heel.npz", written)
    read = directions.read(tmp_path / "heel.npz")
    assert (read.name, read.boundary, read.about["accuracy"]) == ("heel", 0.4, 0.9)
    np.testing.assert_allclose(read.vector, written.vector, atol=1e-7)
    np.testing.assert_allclose(read.normal, written.normal, atol=1e-7)
    np.save(tmp_path / "stylegan_ffhq_age_w_boundary.npy", 3 * unit(4)[None])  # InterFaceGAN's layout
    other = directions.read(tmp_path / "stylegan_ffhq_age_w_boundary.npy")
    assert (other.name, other.boundary) == ("stylegan_ffhq_age_w_boundary", 0)
    np.testing.assert_allclose(other.vector, unit(4), atol=1e-6)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    directions.write(good, direction(0))
    wrong = {name: tmp_path / name for name in ("cut.npz", "text.npz", "styles.npz", "zero.npy", "objects.npy")}
    wrong["cut.npz"].write_bytes(good.read_bytes()[:200])
    wrong["text.npz"].write_text("no array")
    np.savez(wrong["styles.npz"], w=np.zeros((1, 6, 8)))
    np.save(wrong["zero.npy"], np.zeros((1, 8)))
    np.save(wrong["objects.npy"], np.array([{}]), allow_pickle=True)
    np.savez(tmp_path / "list.npz", direction=unit(0), gantools=json.dumps([1]))
    np.save(tmp_path / "wide.npy", np.ones((18, 8)))
    for path in (*wrong.values(), tmp_path / "list.npz", tmp_path / "wide.npy", tmp_path / "none.npz", tmp_path):
        with pytest.raises(UsageError, match=str(path)) as refused:
            directions.read(path)
        assert "\n" not in str(refused.value)


def test_names_are_found_beside_the_weights(styles_weights: Path, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "styles.directions"
    with pytest.raises(UsageError, match="directions learn"):
        directions.find(styles_weights, None)
    directions.write(folder / "heel.npz", direction(0))
    assert directions.find(styles_weights, None) == directions.find(styles_weights, "heel") == folder / "heel.npz"
    assert directions.find(styles_weights, "elsewhere.npy") == Path("elsewhere.npy")
    with pytest.raises(UsageError, match='did you mean "heel"'):
        directions.find(styles_weights, "heels")
    monkeypatch.setattr(directions.catalogue, "shipped_folder", lambda: tmp_path)
    monkeypatch.setenv("GANTOOLS_HOME", str(tmp_path / "home"))
    assert directions.folders(styles_weights)[0] == tmp_path / "home/weights/styles.directions"
    directions.write(tmp_path / "home/weights/styles.directions/heel.npz", direction(1))
    assert directions.beside(styles_weights) == {"heel": tmp_path / "home/weights/styles.directions/heel.npz"}


# --- learning


def test_plane_is_that_of_a_separable_problem() -> None:
    vectors = np.array([[2, 5], [2, -5], [4, 5], [4, -5], [-6, 0], [12, 0]], np.float32)
    normal, offset = boundary.separate(vectors, np.array([0, 0, 1, 1, 0, 1], bool), cost=1e6)
    np.testing.assert_allclose(normal, [1, 0], atol=1e-4)
    assert offset == pytest.approx(3, abs=1e-4)


def test_plane_minimises_the_squared_hinge() -> None:
    """The gradient by hand is zero at the solution: n = 2C Σ max(0, 1 − y(n·x − b)) y x, and Σ … y = 0."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 4)).astype(np.float32)
    positive = vectors @ [1, 1, 0, 0] + random.standard_normal(60) > 0.5
    normal, offset = boundary.separate(vectors, positive)
    signs = np.where(positive, 1.0, -1.0)

    def at(length: float) -> tuple[np.ndarray, float]:
        slack = np.maximum(0, 1 - signs * length * (vectors @ normal - offset)) * signs
        return length * normal - 2 * slack @ vectors, float(slack.sum())

    gradients = [at(length) for length in np.linspace(0.05, 5, 1000)]
    best = min(gradients, key=lambda each: float(np.linalg.norm(each[0])))
    assert np.linalg.norm(best[0]) < 0.1
    assert abs(best[1]) < 0.1


def test_extremes_are_learnt_from_and_the_rest_is_measured() -> None:
    styles = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
    wanted = unit(3)
    found = boundary.between(styles, (styles @ wanted).astype(float) - 0.2, 0.02)
    assert found.normal @ wanted > 0.95
    assert found.accuracy == 1
    assert found.accuracy_rest is not None
    assert found.accuracy_rest > 0.9
    assert found.examples == 200  # 100 a side are the least
    noise = boundary.between(styles, np.random.default_rng(1).standard_normal(3000), 0.02)
    assert noise.accuracy < 0.7  # on held-out examples chance shows


def test_scores_of_two_values_are_balanced_or_refused() -> None:
    styles = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    rare = np.argsort(styles[:, 0])[-10:]
    values = np.isin(np.arange(500), rare).astype(float)
    found = boundary.between(styles, values, 0.02)
    assert found.examples == 20
    assert found.normal[0] > 0.7
    with pytest.raises(DataError, match="at least 3 are needed"):
        boundary.between(styles, np.eye(500)[0], 0.02)
    with pytest.raises(DataError, match="of 500 scores 0 are low"):
        boundary.between(styles, np.ones(500), 0.02)


@pytest.mark.parametrize("rows", [range(6), [0], [3, 4]])
def test_closed_form_is_the_eigenvectors_of_the_affine_weights(style_model: LatentModel, rows: list[int]) -> None:
    levels = style_model.network.synthesis.levels  # type: ignore[union-attr]
    layers = [levels[0].same, levels[1].up, levels[1].same, levels[2].up, levels[2].same]
    stacked = torch.cat([layers[row].convolution.affine.weight for row in rows if row < 5]).double()
    values, vectors = torch.linalg.eigh(stacked.t() @ stacked)
    found = learn.closed_form(style_model.network, rows)  # type: ignore[arg-type]
    assert len(found) == 8
    for number, (vector, strength) in enumerate(found[:3]):
        assert abs(vector @ vectors[:, -1 - number].numpy()) == pytest.approx(1, abs=1e-5)
        assert strength == pytest.approx(float(values[-1 - number].sqrt()), rel=1e-6)
        assert np.linalg.norm(stacked @ torch.from_numpy(vector).double()) == pytest.approx(strength, rel=1e-5)


def test_learning_finds_what_brightens(styles_weights: Path, tmp_path: Path) -> None:
    (facts,) = api.learn_directions(styles_weights, name="light", measure="brightness", count=600)
    assert facts["path"] == str(tmp_path / "styles.directions/light.npz")
    assert facts["accuracy"] > 0.8
    assert facts["samples"] == 600
    results = list(
        api.edit(styles_weights, "seed:0-2", direction="light", steps=2, start=-2, end=2, output=tmp_path / "o")
    )
    means = [float(reader.read_rgb8(result.output).mean()) for result in results if result.output]
    assert len(means) == 6
    assert all(bright > dark for dark, bright in zip(means[::2], means[1::2], strict=True))
    (other,) = api.learn_directions(styles_weights, name="red", measure="red", count=200, keep=["light"])
    read = directions.read(Path(other["path"]))
    assert abs(read.vector @ directions.read(Path(facts["path"])).normal) < 1e-5
    assert other["keeps"] == "light"
    assert [each["name"] for each in api.list_directions(styles_weights)] == ["light", "red"]
    with pytest.raises(UsageError, match="exists already"):
        api.learn_directions(styles_weights, name="red", measure="red", count=200)


def test_scores_come_from_seeds_and_files_of_styles(
    style_model: LatentModel, styles_weights: Path, tmp_path: Path
) -> None:
    samples = learn.drawn(style_model, None, 200)
    styles = style_model.styles(samples)[:, 0]
    truth = styles @ unit(5)
    style_files.write(tmp_path / "me.npz", np.tile(styles[199], (1, 6, 1)))
    names = [f"made/seed{seed:04d}.png" for seed in range(199)] + ["me.npz"]
    words = ["yes" if each > np.median(truth) else "no" for each in truth]
    by_name = [f"{name},{score},{word}\n" for name, score, word in zip(names, truth, words, strict=True)]
    (tmp_path / "a.csv").write_text("file,score,word\n" + "".join(by_name))
    by_seed = [f"{seed},{score}\n" for seed, score in enumerate(truth[:199])]
    (tmp_path / "b.csv").write_text("seed,smile\n" + "".join(by_seed), encoding="utf-8-sig")
    for number, options in enumerate(
        (
            {"scores": tmp_path / "a.csv"},
            {"scores": tmp_path / "a.csv", "column": "word"},
            {"scores": tmp_path / "b.csv"},
        )
    ):
        (facts,) = api.learn_directions(styles_weights, name=f"n{number}", **options)
        assert directions.read(Path(facts["path"])).normal @ unit(5) > 0.8, options


def test_two_folders_of_styles_make_a_direction(styles_weights: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder, sign in (("with", 1), ("without", -1)):
        for number in range(8):
            styles = random.standard_normal((1, 6, 8)) * 0.1 + sign * unit(7)
            style_files.write(tmp_path / folder / f"{number}.npz", styles)
    folders = {"positive": tmp_path / "with", "negative": tmp_path / "without"}
    (facts,) = api.learn_directions(styles_weights, name="it", output=tmp_path / "out", **folders)
    assert directions.read(tmp_path / "out/it.npz").normal @ unit(7) > 0.97
    assert (facts["accuracy"], facts["accuracy_rest"]) == (1, None)


def test_attribute_of_labelled_images_is_scored_by_a_classifier(styles_weights: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = ["file,caption,light,kind"]
    for number in range(60):
        light, kind = number % 2 == 0, ("cup", "pot", "jug")[number % 3]
        pixels = np.full((20, 20, 3), 200 if light else 50) + random.integers(-20, 20, (20, 20, 3))
        writer.write(Colours(pixels.astype(np.uint8)), tmp_path / "data" / f"{number}.png")
        rows.append(f"{number}.png,a {kind},{light},{kind}")
    (tmp_path / "data/captions.csv").write_text("\n".join(rows))
    judge = scores.by_attribute(styles_weights, tmp_path / "data", "light", None, lambda *_: None)
    assert judge.accuracy > 0.9
    shades = [np.full((16, 16, 3), value, np.uint8) for value in (40, 220)]
    assert np.diff(judge.score(shades))[0] > 1  # of True, of the two
    with pytest.raises(UsageError, match="looked for: cup, jug, pot"):
        scores.by_attribute(styles_weights, tmp_path / "data", "kind", None, lambda *_: None)
    with pytest.raises(DataError, match='no such attribute; did you mean "light"'):
        scores.by_attribute(styles_weights, tmp_path / "data", "ligth", None, lambda *_: None)


def test_class_of_labelled_images_is_an_attribute_too(styles_weights: Path, tmp_path: Path) -> None:
    for number in range(40):
        shade = "bright" if number % 2 else "dark"
        pixels = np.full((16, 16, 3), 200 if number % 2 else 50, np.uint8)
        writer.write(Colours(pixels), tmp_path / "data" / shade / f"{number}.png")
    judge = scores.by_attribute(styles_weights, tmp_path / "data", "dark", None, lambda *_: None)
    assert judge.value == "dark"
    assert judge.score([np.full((16, 16, 3), 50, np.uint8)])[0] > judge.score([np.full((16, 16, 3), 200, np.uint8)])[0]


def test_measures_say_what_they_are_called() -> None:
    images = np.full((2, 8, 8, 3), 200, np.uint8)
    images[1, 2:6, 2:6] = (250, 0, 0)
    found = {name: scores.by_measure(name)(list(images)) for name in scores.MEASURES}
    assert found["size"].tolist() == [0, 0.25]
    rising = {name for name, (plain, red) in found.items() if red > plain + 1e-6}
    assert rising == {"contrast", "saturation", "red", "size"}
    assert set(scores.MEASURES) == {"brightness", "contrast", "saturation", "red", "green", "blue", "size"}


# --- strips and moving images


@pytest.fixture
def along(styles_weights: Path) -> Path:
    directions.write(styles_weights.with_suffix(".directions") / "d.npz", direction(0))
    return styles_weights


def test_strip_has_a_row_for_each_image(along: Path, style_model: LatentModel, tmp_path: Path) -> None:
    (result,) = api.edit(along, ["seed:1", "seed:2"], steps=5, output=tmp_path / "s.png")
    assert result.output_size == (5 * 20 + 4, 2 * 20 + 4)
    strip = reader.read_rgb8(tmp_path / "s.png")
    sample = style_files.sample_of(style_model, "seed:2")
    styles = direction(0).moved(sample.styles, 1.5, range(6))  # type: ignore[arg-type]
    (wanted,) = style_model.images([replace(sample, styles=styles)])
    assert np.array_equal(strip[24:40, 4 + 3 * 20 : 20 + 3 * 20], wanted)


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_moving_images_go_there_and_back(along: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.{suffix}"
    (result,) = api.edit(along, ["seed:1"], direction="d", steps=4, loop=True, output=path)
    assert result.status == "done", result.error
    with Image.open(path) as moving:
        assert getattr(moving, "n_frames", 1) == 6


def test_models_of_other_sizes_and_classes_are_mixed_too(tmp_path: Path) -> None:
    path = saved_styles(tmp_path / "c.safetensors", classes=("cup", "pot"), channels=1, image_px=32)
    (result,) = api.mix(path, ["seed:1", "seed:2"], label="pot", rows="middle", output=tmp_path / "m.png")
    assert (result.status, result.output_size) == ("done", (32, 32))
    (facts,) = api.learn_directions(path, name="light", measure="brightness", count=60)
    assert facts["samples"] == 60
