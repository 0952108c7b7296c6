"""Images from latent vectors: what is asked for, which vectors, which files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantools import text
from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.errors import GantoolsError, ModelFileError, UsageError
from gantools.generation import latents, run
from gantools.generation.latents import Sample
from gantools.generation.model import open_model
from gantools.generation.options import GenerateOptions, parse_grid
from gantools.models import LATENT_GENERATORS

DIGITS = Latent(20, "uniform", classes=("0", "8"))
CODED = Latent(16, "uniform", categorical=(10,), continuous=2)
SPOKEN = Latent(292, text_size=1024, vocabulary=("a", "boot", "red"), levels=2)


def saved(path: Path, latent: Latent, **network: object) -> Path:
    """A weights file of a small network with random weights."""
    arguments = {
        "name": "dense_conv",
        "latent_size": latent.size,
        "condition_size": len(latent.classes),
        "start": (3, 2),
        "dense_units": 8,
        "channels": (4, 4),
        **network,
    }
    built = LATENT_GENERATORS.factory(str(arguments["name"]))(
        **{key: value for key, value in arguments.items() if key != "name"}
    )
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter)  # so that images differ visibly
    described = Export("generator", dict(arguments), 1, 1, takes="latent", latent=latent, image_px=(12, 8))
    weights.save(path, "cgan", {"generator": described}, {"generator": built}, {})
    return path


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    return saved(tmp_path / "digits.safetensors", DIGITS)


def made(path: Path, **options: object) -> list[Path]:
    """The files that a run writes, all of them done."""
    results = list(run.plan(path, "toy", GenerateOptions(**options)).run())  # type: ignore[arg-type]
    assert {result.status for result in results} == {"done"}, [result.error for result in results]
    return [result.output for result in results if result.output]


def test_seeds_are_read_as_typed() -> None:
    assert latents.parse_seeds("0-3,85") == (0, 1, 2, 3, 85)
    for wrong, reason in {
        "3-1": "backwards; write 1-3",
        "x": "no number",
        "4294967296": "below",
        "": "no number",
    }.items():
        with pytest.raises(UsageError, match=reason):
            latents.parse_seeds(wrong)


def test_seeds_give_the_vectors_of_other_tools() -> None:
    ours = latents.vector_of(Latent(512), 85)
    assert np.array_equal(ours, np.random.RandomState(85).randn(1, 512)[0].astype(np.float32))


def test_codes_stand_behind_the_noise() -> None:
    (sample,) = latents.samples(CODED, (7,), (), (), latents.parse_codes(["c1=3", "c3=-0.5"]))
    assert sample.latent[4:14].tolist() == np.eye(10)[3].tolist()
    plain = latents.vector_of(CODED, 7)
    assert (sample.latent[14], sample.latent[15]) == (plain[14], -0.5)
    swept = latents.samples(CODED, (0,) * 5, (), (), latents.parse_codes(["c2=-1:1"]))
    assert [sample.latent[14] for sample in swept] == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize("wrong", ["c1=10", "c1=0.5", "c4=0", "c0=1"])
def test_codes_that_the_model_has_not_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="--code c"):
        latents.samples(CODED, (0,), (), (), latents.parse_codes([wrong]))


def test_code_that_is_no_assignment_is_refused() -> None:
    with pytest.raises(UsageError, match="such as c1=3"):
        latents.parse_codes(["c1"])


def test_classes_are_chosen_by_name_or_number() -> None:
    assert [sample.name for sample in latents.samples(DIGITS, (5,), ("8",), (), {})] == ["label8-seed0005"]
    assert latents.known_class(DIGITS, "1") == "8"
    every = latents.samples(DIGITS, (0, 1), ("all",), (), {})
    assert [sample.condition.argmax() for sample in every if sample.condition is not None] == [0, 0, 1, 1]
    with pytest.raises(UsageError, match="no such class"):
        latents.known_class(DIGITS, "7")


def test_texts_are_words_of_the_vocabulary() -> None:
    (sample,) = latents.samples(SPOKEN, (0,), (), ("a red boot",), {})
    assert np.array_equal(sample.condition, text.encode("a red boot"))
    with pytest.raises(UsageError, match='did you mean "boot"'):
        latents.samples(SPOKEN, (0,), (), ("a red boots",), {})
    with pytest.raises(UsageError, match="give --text"):
        latents.samples(SPOKEN, (0,), (), (), {})


@pytest.mark.parametrize(
    ("latent", "labels", "texts"), [(CODED, ("3",), ()), (DIGITS, (), ("a boot",)), (SPOKEN, ("3",), ())]
)
def test_conditions_that_the_model_does_not_read_are_refused(
    latent: Latent, labels: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="leave it out"):
        latents.samples(latent, (0,), labels, texts, {})


def test_walk_keeps_the_length_of_normal_vectors_and_closes() -> None:
    keys = [Sample(str(seed), latents.vector_of(Latent(512), seed)) for seed in range(3)]
    walk = latents.between(keys, 8, normal=True, loop=True)
    assert len(walk) == 24
    assert np.array_equal(walk[8].latent, keys[1].latent)
    lengths = [np.linalg.norm(frame.latent) for frame in walk]
    assert min(lengths) > 0.95 * min(np.linalg.norm(key.latent) for key in keys)
    assert len(latents.between(keys, 8, normal=True, loop=False)) == 17
    straight = latents.slerp(keys[0].latent, keys[0].latent, 0.5)
    np.testing.assert_allclose(straight, keys[0].latent, rtol=1e-5)


def test_an_images_bytes_depend_on_its_seed_alone(digits: Path, tmp_path: Path) -> None:
    together = made(digits, seeds=(0, 1, 2), output=str(tmp_path / "a"))
    assert [path.name for path in together[:3]] == ["label0-seed0000.png", "label0-seed0001.png", "label0-seed0002.png"]
    (alone,) = made(digits, seeds=(2,), label=["0"], output=str(tmp_path / "b.png"))
    assert alone.read_bytes() == together[2].read_bytes()
    image = Image.open(alone)
    assert (image.size, image.mode) == ((8, 12), "L")


def test_existing_files_are_refused_kept_or_replaced(digits: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "a")
    first = made(digits, seeds=(0,), output=folder)[0]
    first.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        run.plan(digits, "toy", GenerateOptions(seeds=(0,), output=folder))
    options = GenerateOptions(seeds=(0, 1), output=folder, skip_existing=True)
    statuses = [result.status for result in run.plan(digits, "toy", options).run()]
    assert sorted(statuses) == ["done", "done", "skipped", "skipped"]
    assert first.read_bytes() == b"mine"
    made(digits, seeds=(0,), output=folder, overwrite=True)
    assert first.read_bytes() != b"mine"


def test_grid_is_one_sheet(digits: Path, tmp_path: Path) -> None:
    (sheet,) = made(digits, seeds=tuple(range(3)), grid=(2, 3), output=str(tmp_path / "grid.png"))
    assert Image.open(sheet).size == (3 * 8 + 4 * 4, 2 * 12 + 3 * 4)
    with pytest.raises(UsageError, match="4 places for 6 images"):
        run.plan(digits, "toy", GenerateOptions(seeds=(0, 1, 2), grid=(2, 2)))
    with pytest.raises(UsageError, match="such as 4x6"):
        parse_grid("4by6")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_walks_are_moving_images(digits: Path, tmp_path: Path, suffix: str) -> None:
    options = {"seeds": (0, 1), "label": ["8"], "interpolate": True, "frames": 4, "loop": True}
    try:
        (walk,) = made(digits, output=str(tmp_path / f"walk{suffix}"), **options)
    except AssertionError as error:
        if suffix == ".mp4" and "writes no MP4" in str(error):
            pytest.skip("this OpenCV has no encoder for MP4")
        raise
    if suffix == ".mp4":
        assert walk.read_bytes()[4:8] == b"ftyp"
    else:
        assert getattr(Image.open(walk), "n_frames", 1) == 8
    assert [path.name for path in tmp_path.iterdir() if "walk" in path.name] == [walk.name]


def test_walks_need_two_images_and_a_known_format(digits: Path) -> None:
    walk = GenerateOptions(seeds=(0,), label=["8"], interpolate=True)
    with pytest.raises(UsageError, match="at least two"):
        run.plan(digits, "toy", walk)
    with pytest.raises(UsageError, match="written as"):
        run.plan(digits, "toy", replace(walk, seeds=(0, 1), output="walk.avi"))


def test_levels_are_shown_side_by_side(tmp_path: Path, digits: Path) -> None:
    sizes = {"text_size": 1024, "first_doublings": 2, "second_doublings": 3, "base_channels": 4, "residual_blocks": 1}
    path = tmp_path / "spoken.safetensors"
    network = LATENT_GENERATORS.factory("stack")(**sizes)
    latent = replace(SPOKEN, size=network.latent_size)
    described = Export("generator", {"name": "stack", **sizes}, 1, 1, takes="latent", latent=latent, image_px=(32, 32))
    weights.save(path, "stackgan", {"generator": described}, {"generator": network}, {})
    (shown,) = made(path, seeds=(0,), text=["a red boot"], steps=True, output=str(tmp_path / "steps.png"))
    assert Image.open(shown).size == (16 + 32 + 3 * 4, 32 + 2 * 4)
    several = made(path, seeds=(0, 1, 2), text=["a red boot"], steps=True, batch=2, output=str(tmp_path / "several"))
    assert several[0].read_bytes() == shown.read_bytes()
    assert len({each.read_bytes() for each in several}) == 3
    with pytest.raises(UsageError, match="single level"):
        run.plan(digits, "toy", GenerateOptions(steps=True))


def test_vectors_come_from_a_numpy_file(digits: Path, tmp_path: Path) -> None:
    vectors = np.stack([latents.vector_of(DIGITS, seed) for seed in (3, 4)])
    np.savez(tmp_path / "v.npz", z=vectors)
    from_file = made(digits, latents=str(tmp_path / "v.npz"), label=["8"], output=str(tmp_path / "a"))
    from_seeds = made(digits, seeds=(3, 4), label=["8"], output=str(tmp_path / "b"))
    assert [path.read_bytes() for path in from_file] == [path.read_bytes() for path in from_seeds]
    np.save(tmp_path / "w.npy", vectors[:, :5])
    with pytest.raises(UsageError, match=r"has the shape \(2, 5\), the model takes \(N, 20\)"):
        run.plan(digits, "toy", GenerateOptions(latents=str(tmp_path / "w.npy")))
    with pytest.raises(UsageError, match="cannot be read as a NumPy file"):
        run.plan(digits, "toy", GenerateOptions(latents=str(digits)))


def test_one_suffix_for_many_images_is_refused(digits: Path) -> None:
    with pytest.raises(UsageError, match="is one image, and there are 32"):
        run.plan(digits, "toy", GenerateOptions(output="one.png"))


def test_a_model_of_images_says_which_command_it_wants(shipped: Path) -> None:
    with pytest.raises(UsageError, match="changes images; use: gantools infer"):
        run.plan(shipped, "toy", GenerateOptions())
    with pytest.raises(UsageError, match="changes images"):
        open_model(shipped)


@pytest.fixture
def shipped() -> Path:
    from gantools.pretrained import catalogue

    return catalogue.find("srgan/psnr").path


def test_weights_stored_in_half_the_bytes_are_computed_with_in_float32(digits: Path, tmp_path: Path) -> None:
    model = open_model(digits)
    networks = {"generator": model.network}
    weights.save(tmp_path / "half.safetensors", "cgan", {"generator": model.export}, networks, {}, torch.float16)
    half = open_model(tmp_path / "half.safetensors")
    sample = Sample("seed0000", latents.vector_of(model.latent, 0), np.eye(2, dtype=np.float32)[0])
    one, other = (each.images([sample])[0].astype(int) for each in (model, half))
    assert np.abs(one - other).max() <= 2


def test_damaged_weights_are_refused(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="other"):
        open_model(saved_with_other_tensors(tmp_path, digits))


def saved_with_other_tensors(tmp_path: Path, path: Path) -> Path:
    stored = weights.load(path)
    described = replace(stored.exports["generator"], options={**stored.exports["generator"].options, "dense_units": 9})
    network = LATENT_GENERATORS.factory("dense_conv")(
        latent_size=20, condition_size=2, start=(3, 2), dense_units=8, channels=(4, 4)
    )
    other = tmp_path / "other.safetensors"
    weights.save(other, "cgan", {"generator": described}, {"generator": network}, {})
    return other


def test_failed_writes_are_results(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.writer, "write", full)
    results = list(run.plan(digits, "toy", GenerateOptions(seeds=(0,), output=str(tmp_path / "a"))).run())
    assert [result.status for result in results] == ["failed", "failed"]
    assert all(isinstance(result.error, str) and "No space" in result.error for result in results)
    assert issubclass(ModelFileError, GantoolsError)
