"""``gantools project``: results beside or below, what fails alone, what is refused, and a search that is stopped."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantools import api, files
from gantools.data.prepare import align, faces
from gantools.errors import UsageError
from gantools.generation import style_files
from gantools.generation.projection.search import Projection
from gantools.losses.perceptual import PerceptualLoss
from tests.generation.conftest import saved_styles
from tests.test_generation import DIGITS, saved

SHORT = ("--steps", "3", "--feature-weights", "none")


@pytest.fixture
def model(here: Path) -> Path:
    return saved_styles(here / "m.safetensors")


def photo(path: Path, size: tuple[int, int] = (24, 20), mode: str = "RGB", **saved: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(values).convert(mode).save(path, **saved)  # type: ignore[arg-type]
    return path


def test_one_photo_becomes_files_beside_it(gantools, model: Path, here: Path) -> None:
    photo(here / "me.jpg")
    done = gantools("project", model, "me.jpg", *SHORT, "--video", "--json")
    row, summary = map(json.loads, done.out.splitlines())
    assert (done.code, row["status"], row["output"]) == (0, "done", "me.latent.npz")
    assert row["more_outputs"] == ["me.projected.png", "me.projection.webp"]
    assert set(row) >= {"psnr_rgb", "l1_percent"}
    assert summary["summary"]["done"] == 1
    assert "by their pixels alone" in done.err
    assert sorted(path.name for path in here.iterdir()) == sorted(
        [model.name, "me.jpg", row["output"], *row["more_outputs"]]
    )
    with np.load("me.latent.npz", allow_pickle=False) as held:
        assert held["w"].shape == (1, 6, 8)
    about = style_files.about(Path("me.latent.npz"))
    assert (about["seed"], about["steps"], about["space"]) == (303, 3, "w+")
    assert about["weights_sha256"] == files.sha256(model)
    with Image.open("me.projection.webp") as video:
        assert video.size == (32, 16)
        assert video.n_frames > 1


def test_the_file_of_styles_makes_the_projected_image(gantools, model: Path, here: Path) -> None:
    photo(here / "me.png")
    assert gantools("project", model, "me.png", *SHORT, "--space", "w").code == 0
    assert gantools("generate", model, "--latents", "me.latent.npz", "-o", "back.png").code == 0
    assert np.array_equal(np.asarray(Image.open("back.png")), np.asarray(Image.open("me.projected.png")))


def test_the_middle_of_any_photo_is_projected(here: Path, model: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    photo(here / "in" / "turned.jpg", (20, 30), exif=turned)
    photo(here / "in" / "wide.png", (40, 8))
    photo(here / "in" / "gray.png", (9, 9), "L")
    photo(here / "in" / "clear.png", (16, 16), "RGBA")
    photo(here / "in" / "dot.png", (1, 1))
    planned = api.plan_projection(model, "in", api.ProjectOptions(output="out", steps=1, feature_weights="none"))
    assert [result.status for result in planned.run()] == ["done"] * 5
    for task in planned.tasks:
        assert Image.open(task.outputs[1]).size == (16, 16)
    wide = np.asarray(Image.open("in/wide.png").crop((16, 0, 24, 8)).resize((16, 16), Image.Resampling.LANCZOS))
    (task,) = (task for task in planned.tasks if task.sources[0].name == "wide.png")
    assert np.array_equal(planned.target(task.sources[0]), wide)


def test_the_largest_face_is_projected_where_faces_are_asked_for(
    gantools, here: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (np.array([[0.0, 0], [0, side], [side, side], [side, 0]]) for side in (5, 12))
    found = [small, large]
    monkeypatch.setattr(faces, "installed_detector", lambda: Path("yunet.onnx"))
    monkeypatch.setattr(faces, "find", lambda _photo, _detector: found)
    path = photo(here / "a.png")
    planned = api.plan_projection(model, path, api.ProjectOptions(align="face"))
    assert np.array_equal(planned.target(path), align.aligned(np.asarray(Image.open(path)), large, 16))
    found.clear()
    failed = gantools("project", model, path, *SHORT, "--align", "face")
    assert (failed.code, len(failed.err.splitlines())) == (1, 3)
    assert "no face found; --align off takes the middle" in failed.err
    assert not list(here.glob("*.npz"))


def test_folders_keep_their_tree_and_bad_photos_fail_alone(gantools, model: Path, here: Path) -> None:
    photo(here / "in" / "a.png")
    photo(here / "in" / "sub" / "b.png")
    (here / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (here / "in" / "note.txt").write_text("no image")
    done = gantools("project", model, "in", "-r", "-o", "out", *SHORT)
    assert done.code == 3
    made = ["out/a.latent.npz", "out/a.projected.png", "out/sub/b.latent.npz", "out/sub/b.projected.png"]
    assert done.out.splitlines() == made
    assert sorted(str(path) for path in Path("out").rglob("*.*")) == made
    assert [line for line in done.err.splitlines() if line.startswith("gantools: 'in/bad.png'")]


def test_existing_results_are_refused_skipped_or_replaced(gantools, model: Path, here: Path) -> None:
    photo(here / "a.png")
    photo(here / "b.png")
    arguments = ("project", model, "a.png", "b.png", "-o", "out", *SHORT)
    assert gantools("project", model, "a.png", "-o", "out", *SHORT).code == 0
    before = Path("out/a.latent.npz").read_bytes()
    refused = gantools(*arguments)
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "exists already" in refused.err
    assert not Path("out/b.latent.npz").exists()
    assert gantools(*arguments, "--skip-existing").code == 0
    assert Path("out/a.latent.npz").read_bytes() == before
    assert gantools(*arguments, "--overwrite", "--seed", "1").code == 0
    assert Path("out/a.latent.npz").read_bytes() != before


def test_a_stopped_search_goes_on_to_the_same_files(
    gantools, model: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(here / "a.png")
    arguments = ("project", model, "a.png", "--steps", "12", "--feature-weights", "none", "--video")
    assert gantools(*arguments, "-o", "whole").code == 0
    step, taken, stops_at = Projection.step, [], [4]

    def stopping(self: Projection) -> float:
        taken.append(self.done)
        if self.done in stops_at:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Projection, "step", stopping)
    stopped = gantools(*arguments, "-o", "out")
    stops_at.clear()
    assert stopped.code == 130
    assert "the same command goes on" in stopped.err
    assert [path.name for path in Path("out").iterdir()] == ["a.project-state"]
    state = Path("out/a.project-state").read_bytes()
    assert gantools(*arguments, "-o", "out").code == 0
    assert taken == list(range(12))
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(path.name for path in Path("whole").iterdir())
    for name in ("a.projected.png", "a.projection.webp"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()
    with np.load("out/a.latent.npz") as resumed, np.load("whole/a.latent.npz") as whole:
        assert all(np.array_equal(resumed[name], whole[name]) for name in whole.files)

    for content, options, reason in (
        (state, ("--seed", "9"), "of another model, photo or other options"),
        (state[: len(state) // 2], (), "is damaged"),
    ):
        Path("out/a.project-state").write_bytes(content)
        taken.clear()
        again = gantools(*arguments, "-o", "out", "--overwrite", *options)
        assert again.code == 0
        assert reason in again.err
        assert taken[0] == 0
        assert not Path("out/a.project-state").exists()


def test_states_are_stored_as_often_as_asked(here: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(here / "a.png")
    stored: list[str] = []
    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", lambda path, content: (stored.append(path.suffix), write(path, content)))
    assert [
        each.status for each in api.project(model, "a.png", steps=4, feature_weights="none", save_every_seconds=1e6)
    ] == ["done"]
    assert stored == [".npz"]
    stored.clear()
    list(api.project(model, "a.png", steps=4, feature_weights="none", overwrite=True, save_every_seconds=0))
    assert stored == [".project-state"] * 4 + [".npz"]


def test_a_feature_network_compares(gantools, model: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    network = PerceptualLoss(network="squeezenet1_0", weights="random")
    save_file(
        {f"features.{name}": value for name, value in network._network.state_dict().items()}, "squeeze.safetensors"
    )
    photo(here / "a.png")
    done = gantools("project", model, "a.png", "--steps", "2", "--feature-weights", "squeeze.safetensors", "--json")
    row = json.loads(done.out.splitlines()[0])
    assert row["feature_network"] == "squeezenet1_0"
    assert row["feature_distance"] > 0
    assert "compared by squeezenet1_0" in done.err


def test_labels_choose_where_the_search_starts(here: Path) -> None:
    model = saved_styles(here / "c.safetensors", classes=("boot", "heel"), channels=1)
    photo(here / "a.png")
    found = [
        next(iter(api.project(model, "a.png", label=label, output=label, steps=1, feature_weights="none")))
        for label in ("boot", "heel")
    ]
    first, second = (style_files.read(each.output)[0].styles for each in found if each.output)
    assert not np.array_equal(first, second)
    assert Image.open("boot/a.projected.png").mode == "L"
    with pytest.raises(UsageError, match="choose one, such as --label boot"):
        api.project(model, "a.png", output="no")


WRONG = {
    "m.safetensors none.png": "no such file or folder: 'none.png'",
    "m.safetensors": "missing argument",
    "m.safetensors -": "not through pipes",
    "m.safetensors a.png -o out.png": "give a folder",
    "m.safetensors a.png b.png": "need a folder for the results: -o DIR",
    "m.safetensors empty -o out": "no images in it",
    "m.safetensors photos -o photos/": "-o photos/: photos are read from it, the next time results too",
    "m.safetensors a.png a.png -o out": "several inputs would become one output",
    "m.safetensors a.png --steps 0": "--steps",
    "m.safetensors a.png --lr 0": "--lr",
    "m.safetensors a.png --stay -1": "--stay",
    "m.safetensors a.png --space z": "w+",
    "m.safetensors a.png --label boot": "the model knows no classes",
    "m.safetensors a.png --feature-weights none.pth": "no file none.pth",
    "m.safetensors a.png --feature-weights other.safetensors": "none of the networks that metrics use",
    "m.safetensors a.png --skip-existing --overwrite": "contradict each other",
    "m.safetensors a.png --export other": "holds generator",
    "digits a.png": "(cgan) has no styles as stylegan2 has",
    "m.safetensors a.png --align face": "no face detector is installed",
    "srgan a.png": "changes images; use: gantools infer",
    "a.png a.png": "is an image, not a model",
}


@pytest.fixture
def wrong_files(here: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from safetensors.numpy import save_file

    monkeypatch.setenv("GANTOOLS_HOME", str(here / "home"))
    for name in ("a.png", "b.png"):
        photo(here / name)
    (here / "empty").mkdir()
    photo(here / "photos" / "c.jpg")
    saved(here / "digits", DIGITS)
    save_file({"x": np.zeros(2, np.float32)}, here / "other.safetensors")
    return here


@pytest.mark.parametrize(("typed", "says"), WRONG.items())
def test_wrong_input_is_one_line_and_writes_nothing(gantools, wrong_files: Path, typed: str, says: str) -> None:
    before = sorted(wrong_files.rglob("*"))
    done = gantools("project", *shlex.split(typed))
    assert done.code == 2
    assert says.lower() in done.err.lower()
    assert len(done.err.splitlines()) == 1, done.err
    assert sorted(wrong_files.rglob("*")) == before
