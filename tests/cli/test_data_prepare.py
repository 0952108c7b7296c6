"""``gantools data edges|crappify|blur|mask|lowres|gray|pairs|split|inspect|preview``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools import recipes
from gantools.data.synthetic import drawing
from gantools.images.io import reader

ALONE = ("--workers", "1")  # processes take seconds to start on a busy machine
FOLDER_COMMANDS = ("edges", "crappify", "blur", "mask", "lowres", "gray")


@pytest.fixture
def photos(here: Path) -> Path:
    """Three drawn photos in the current folder, one of them in a sub-folder."""
    drawing.draw_dataset("scenes", Path("photos"), 3, 48, 1)
    Path("photos/deep").mkdir()
    Path("photos/00002.png").rename("photos/deep/00002.png")
    return Path("photos")


def names(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("command", FOLDER_COMMANDS)
def test_a_folder_becomes_a_folder_with_its_tree_and_bad_photos_are_named(
    command: str, gantools: Any, photos: Path
) -> None:
    done = gantools("data", command, photos, "-o", "out", *ALONE)
    assert (done.code, done.out.splitlines()) == (0, ["out/00000.png", "out/00001.png", "out/deep/00002.png"])
    assert done.err.startswith("3 done in ")
    assert names("out") == names("photos")
    size = 12 if command == "lowres" else 48
    assert reader.read_rgb8("out/00000.png").shape == (size, size, 3)
    (photos / "bad.jpg").write_text("no image")
    done = gantools("-q", "data", command, photos, "-o", "again", *ALONE, "--json")
    assert (done.code, done.only_error) == (3, "'photos/bad.jpg': not a PNG, JPEG, WebP, TIFF, BMP or PPM image")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["status"] for row in rows[:-1]] == ["done", "done", "failed", "done"]
    summary = {"command": command, "seed": 0, "seconds": 0, "inputs": 4, "done": 3, "failed": 1}
    assert rows[-1]["summary"] | {"seconds": 0} == summary
    assert names("again") == names("out")


def test_outputs_are_settled_before_any_work(gantools: Any, photos: Path) -> None:
    gantools("-q", "data", "gray", photos, "-o", "out", *ALONE)
    before = {name: (Path("out") / name).stat().st_mtime_ns for name in names("out")}
    again = gantools("data", "gray", photos, "-o", "out")
    assert (again.code, again.out) == (2, "")
    assert again.only_error.startswith("exists already: 'out/00000.png'")
    kept = gantools("data", "gray", photos, "-o", "out", "--skip-existing")
    assert (kept.code, kept.out) == (0, "")
    assert {name: (Path("out") / name).stat().st_mtime_ns for name in names("out")} == before
    inside = gantools("data", "gray", photos, "-o", "photos/gray", "-n")
    assert (inside.code, len(inside.out.splitlines()), Path("photos/gray").exists()) == (0, 3, False)
    (photos / "00000.bmp").write_bytes(b"BM")
    clash = gantools("data", "gray", photos, "-o", "new")
    assert (clash.code, clash.only_error.partition(":")[0]) == (2, "several inputs would become one output")
    assert not Path("new").exists()


def test_settings_are_flags_or_keys(gantools: Any, photos: Path) -> None:
    flags = gantools(
        "-q", "data", "edges", photos, "-o", "flags", "--low", "10", "--high", "20", "--hints", "5", *ALONE
    )
    keys = ["canny_low=10", "canny_high=20"]
    assert gantools("-q", "data", "edges", photos, "-o", "keys", *keys, "--hints", "5", *ALONE).code == flags.code == 0
    assert Path("flags/00000.png").read_bytes() == Path("keys/00000.png").read_bytes()
    gantools("-q", "data", "edges", photos, "-o", "plain", "--size", "24", *ALONE)
    plain = reader.read_rgb8("plain/00000.png")
    assert (plain.shape, bool((plain[..., 0] == plain[..., 1]).all())) == ((24, 24, 3), True)
    gantools("-q", "data", "crappify", photos, "-o", "noise", "--do", "gray", "--do", "jpeg", *ALONE)
    made = reader.read_rgb8("noise/00000.png").astype(int)
    assert np.abs(made[..., 0] - made[..., 1]).max() <= 2


@pytest.mark.parametrize(
    ("command", "key"), [("edges", "canny_low"), ("crappify", "jpeg"), ("blur", "motion_px"), ("mask", "random_region")]
)
def test_settings_are_listed_without_a_folder(command: str, key: str, gantools: Any, here: Path) -> None:
    listed = gantools("data", command, "--settings")
    assert (listed.code, listed.err) == (0, "")
    assert any(line.startswith(key) for line in listed.out.splitlines())


def test_blur_draws_from_what_is_named(gantools: Any, photos: Path) -> None:
    kernel = np.zeros((3, 3))
    kernel[1, 2] = 1
    np.save("shift.npy", kernel)
    gantools("-q", "data", "blur", photos, "-o", "out", "--kernel", "shift.npy", *ALONE)
    moved, photo = reader.read_rgb8("out/00000.png"), reader.read_rgb8(photos / "00000.png")
    assert np.array_equal(moved[:, 1:], photo[:, :-1])


def test_pairs_and_split(gantools: Any, photos: Path) -> None:
    gantools("-q", "data", "edges", photos, "-o", "edges", *ALONE)
    joined = gantools("data", "pairs", "edges", photos, "-o", "ab", *ALONE)
    assert (joined.code, names("ab")) == (0, names("photos"))
    gantools("-q", "data", "pairs", "ab", "-o", "again", *ALONE)
    assert (Path("again/b/00000.png").exists(), names("again/a")) == (True, names("photos"))
    assert np.array_equal(reader.read_rgb8("again/b/00000.png"), reader.read_rgb8("photos/00000.png"))
    shared = gantools("data", "split", "ab", "-o", "split", "--val", "0.34", "--link", *ALONE)
    assert shared.code == 0
    assert [len(names(f"split/{name}")) for name in ("train", "val")] == [2, 1]
    assert gantools("data", "pairs", "a", "b", "c", "-o", "new").code == 2


def test_inspect_says_what_is_there_and_what_is_wrong(gantools: Any, photos: Path) -> None:
    sound = gantools("data", "inspect", photos, *ALONE)
    assert (sound.code, sound.err) == (0, "")
    assert sound.out.splitlines() == [
        "3 images, photos: 2 to train on, 1 for validation",
        "size: 48×48, all of them",
        "modes: 3 RGB 8 bit",
    ]
    (photos / "bad.png").write_text("no image")
    broken = gantools("data", "inspect", photos, *ALONE, "--json")
    assert (broken.code, broken.only_error.partition(",")[0]) == (2, "1 of 4 images cannot be read")
    report = json.loads(broken.out)
    assert (report["can_train"], report["images"], len(report["unreadable"])) == (False, 4, 1)


@pytest.mark.parametrize("recipe", sorted(recipes.names()))
def test_preview_shows_what_any_recipe_is_fed(recipe: str, gantools: Any, here: Path) -> None:
    kind = recipes.find(recipe).drawings
    drawing.draw_dataset(kind, Path("set"), 3, 128, 1)
    shown = gantools("data", "preview", recipe, "--data", "set", "-o", "grid.png", "-n", "2")
    assert (shown.code, shown.out) == (0, "grid.png\n")
    sheet = reader.read_rgb8("grid.png")
    assert min(sheet.shape[:2]) > 28
    assert len(np.unique(sheet)) > 20
    again = gantools("data", "preview", recipe, "--data", "set", "-o", "grid.png")
    assert (again.code, again.only_error) == (2, "exists already: 'grid.png'; --overwrite replaces it")
