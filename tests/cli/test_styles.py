"""``gantools mix``, ``edit`` and ``directions``: wrong input is refused in one line, before anything is written."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from gantools.checkpoint.weights import Latent
from gantools.generation import directions, style_files
from gantools.generation.directions import Direction
from gantools.images.image import Image
from gantools.images.io import writer
from tests.generation.conftest import saved_styles
from tests.test_generation import saved

WRONG = {
    "mix m": "0 images are named; give two, such as seed:85 seed:100, or --rows-seeds, --cols",
    "mix m seed:1": "1 images are named; give two",
    "mix m seed:1 seed:2 seed:3": "3 images are named; give two",
    "mix m seed:1 seed:2-3": "seed:2-3: is 2 images; give one",
    "mix m seed:1 seed:x": "seed:x: 'x' is no number",
    "mix m seed:1 me.jpg": "'me.jpg': is no file of styles",
    "mix m seed:1 gone.npz": "'gone.npz': cannot be read",
    "mix m seed:1 other.npz": "other.npz: has 14×512 styles, the model 6×8",
    "mix m seed:1 d.npz": "'d.npz': has no array w",
    "mix m seed:1 seed:2 --rows top": "--rows top: 'top' is none of coarse, middle, fine, all",
    "mix m seed:1 seed:2 --rows 0-6": "--rows 0-6: the model has the rows 0-5",
    "mix m seed:1 seed:2 --rows ''": "--rows",
    "mix m seed:1 seed:2 --both -o x.png": "--both makes two; give a folder",
    "mix m seed:1 seed:2 -o x.xyz": "x.xyz: no image format has this suffix",
    "mix m seed:1 seed:2 -o there.png": "exists already: 'there.png'; --overwrite replaces it",
    "mix m seed:1 seed:2 -o there.png --overwrite --skip-existing": "contradict each other",
    "mix m seed:1 seed:1 --both": "several inputs would become one output",
    "mix m seed:1 seed:2 --truncation 9": "--truncation",
    "mix m seed:1 seed:2 --noise loud": "--noise",
    "mix m seed:1 seed:2 --label cup": "the model knows no classes",
    "mix c seed:1 seed:2": "the model has classes; choose one, such as --label cup",
    "mix c seed:1 seed:2 --label mug": "the model knows no such class",
    "mix m --rows-seeds 1,2": "a sheet is made of --rows-seeds and --cols together",
    "mix m --rows-seeds 1 --cols 2-1": "2-1 goes backwards; write 1-2",
    "mix m --rows-seeds , --cols 2": "names no image; give for example",
    "mix m seed:1 seed:2 --rows-seeds 1 --cols 2": "without A, B and --both",
    "mix digits seed:1 seed:2": "has no styles as stylegan2 has; use: gantools generate digits",
    "mix srgan seed:1 seed:2": "use: gantools infer",
    "mix gone seed:1 seed:2": "gone",
    "edit m seed:1": "--direction: name a file, or one that lies beside 'm'; `gantools directions learn` makes some",
    "edit m seed:1 --direction smile": "--direction smile: no such file, nor a direction of 'm'",
    "edit m seed:1 --direction gone.npz": "'gone.npz': cannot be read as a direction",
    "edit m seed:1 --direction wide.npy": "wide: has 512 values, the model's styles have 8",
    "edit m seed:1 --direction d.npz --keep wide.npy": "wide: has 512 values",
    "edit m seed:1 --direction d.npz --keep d.npz": "--keep: nothing of d is left beside d",
    "edit m seed:1 --direction d.npz --keep gone": "--keep gone: no such file",
    "edit m seed:1 --direction d.npz --steps 0": "--steps",
    "edit m seed:1 --direction d.npz --from x": "--from",
    "edit m seed:1 --direction d.npz --from nan": "--from",
    "edit m seed:1 --direction d.npz --rows 9": "the model has the rows 0-5",
    "edit m seed:1 --direction d.npz -o x.xyz": "x.xyz: no image format has this suffix",
    "mix m seed:1 seed:2 -o -": "-o -: nothing is written to stdout here",
    "mix m seed:1 seed:2 --rows 3-1": "--rows 3-1: 3-1 goes backwards; write 1-3",
    "edit m seed:1 --direction there.png": "cannot be read as a direction, a NumPy file (it is no .npz or .npy)",
    "edit m seed:1 --direction d.npz -o there.png": "exists already: 'there.png'",
    "edit m seed:1 seed:1 --direction d.npz -o out": "several inputs would become one output",
    "edit m me.jpg --direction d.npz": "'me.jpg': is no file of styles",
    "edit digits seed:1 --direction d.npz": "has no styles",
    "directions learn m --name a": "nothing to learn from; give one of --scores, --attribute, --measure",
    "directions learn m --measure red": "--name: give the direction a name",
    "directions learn m --name a/b --measure red": "--name a/b: becomes a file's name",
    "directions learn m --name a --measure taste": "--measure",
    "directions learn m --name a --measure red --closed-form 2": "--measure and --closed-form contradict each other",
    "directions learn m --name a --measure red --value red": "--value: goes with --scores or --attribute",
    "directions learn m --name a --measure red --rows fine": "--rows: goes with --closed-form",
    "directions learn m --name a --measure red -o a.txt": "-o a.txt: give a file .npz or a folder",
    "directions learn m --name a --measure red -o d.npz": "exists already: 'd.npz'; --overwrite",
    "directions learn m --name a --measure red --keep gone": "gone",
    "directions learn m --name a --measure red --extremes 0.9": "--extremes",
    "directions learn m --name a --measure red -n 1": "--count",
    "directions learn m --closed-form 9": "--closed-form 9: the model's styles have 8 directions",
    "directions learn m --closed-form 2 -o x.npz": "-o x.npz: give a folder",
    "directions learn m --closed-form 2 --rows 5": "only an image's last layer uses these",
    "directions learn m --name a --attribute heel": "--attribute: give --data DIR too",
    "directions learn m --name a --attribute heel --data gone": "'gone' does not exist",
    "directions learn m --name a --attribute heel --data images": "have no such attribute",
    "directions learn m --name a --positive with": "--positive: give --negative DIR too",
    "directions learn m --name a --positive with --negative gone": "'gone': is no folder of files of styles",
    "directions learn m --name a --positive with --negative images": "'images': holds no files of styles",
    "directions learn m --name a --positive with --negative with": "at least 3 of each are needed",
    "directions learn m --name a --scores gone.csv": "--scores gone.csv: cannot be read as a CSV file",
    "directions learn m --name a --scores there.png": "--scores there.png: cannot be read as a CSV file",
    "directions learn m --name a --scores empty.csv": "needs rows with a column seed or file",
    "directions learn m --name a --scores two.csv": "--column: say which of the columns of 'two.csv': age, kind",
    "directions learn m --name a --scores two.csv --column sex": "--column sex: is none of the columns of 'two.csv'",
    "directions learn m --name a --scores two.csv --column kind": "--value which of them counts: 'boot', 'pump'",
    "directions learn m --name a --scores two.csv --column kind --value shoe": "--value shoe: no image has it",
    "directions learn m --name a --scores two.csv --column age": "2 high; at least 3 are needed",
    "directions learn m --name a --scores short.csv": "--scores short.csv: row 3 has nothing in the column score",
    "directions learn m --name a --scores names.csv": "'00000.png' is neither a seed, such as seed0085.png",
    "directions learn digits --name a --measure red": "has no styles",
    "directions list gone": "gone",
    "directions list digits": "has no styles",
    "directions list there.png": "there.png",
    "directions info gone.npz": "'gone.npz': cannot be read as a direction",
    "directions info other.npz": "'other.npz': has no array direction, only w",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and files, for tests that write nothing."""
    tmp_path = tmp_path_factory.mktemp("styles")
    saved_styles(tmp_path / "m")
    saved_styles(tmp_path / "c", classes=("cup", "pot"))
    saved(tmp_path / "digits", Latent(20, "uniform"))
    vector = np.eye(8, dtype=np.float32)[0]
    directions.write(tmp_path / "d.npz", Direction("d", vector, vector))
    style_files.write(tmp_path / "other.npz", np.zeros((1, 14, 512), np.float32))
    style_files.write(tmp_path / "with/one.npz", np.zeros((1, 6, 8), np.float32))
    np.save(tmp_path / "wide.npy", np.ones((1, 512)))
    writer.write(Image(np.zeros((16, 16, 3), np.uint8)), tmp_path / "there.png")
    writer.write(Image(np.zeros((16, 16, 3), np.uint8)), tmp_path / "images/a.png")
    writer.write(Image(np.ones((16, 16, 3), np.uint8)), tmp_path / "images/b.png")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "two.csv").write_text("seed,age,kind\n1,30,boot\n2,40,pump\n3,50,boot\n4,60,boot\n")
    (tmp_path / "short.csv").write_text("seed,score\n1,1\n2\n")
    (tmp_path / "names.csv").write_text("file,score\n00000.png,1\n")
    return tmp_path


@pytest.fixture
def models(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, a copy of what is shared."""
    shutil.copytree(shared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("typed", "says"), WRONG.items())
def test_wrong_input_is_one_line_and_writes_nothing(
    gantools, shared: Path, monkeypatch: pytest.MonkeyPatch, typed: str, says: str
) -> None:
    monkeypatch.chdir(shared)
    before = sorted(shared.rglob("*"))
    done = gantools(*shlex.split(typed))
    assert done.code == 2, done.err
    assert says in done.only_error
    assert sorted(shared.rglob("*")) == before


def test_rows_are_named_and_files_are_printed(gantools, models: Path) -> None:
    done = gantools("mix", "./m", "seed:85", "other-w.npz", "--rows", "fine")
    assert done.code == 2
    style_files.write(models / "other-w.npz", np.zeros((1, 6, 8), np.float32))
    done = gantools("mix", "./m", "seed:85", "other-w.npz", "--rows", "fine", "--both", "-o", "out")
    assert done.code == 0, done.err
    assert done.out.split() == ["out/seed0085-fine-of-other-w.png", "out/other-w-fine-of-seed0085.png"]
    assert "rows 2-5 (8 to 16 px) of other-w go into seed0085, and the other way round" in done.err
    assert "coarse 0-1, fine 2-5" in done.err
    again = gantools("mix", "./m", "seed:85", "other-w.npz", "--rows", "fine", "--both", "-o", "out", "--skip-existing")
    assert (again.code, again.out) == (0, "")


def test_edit_says_how_distances_are_measured(gantools, models: Path) -> None:
    styles = np.arange(48, dtype=np.float32).reshape(1, 6, 8) / 48
    style_files.write(models / "me.npz", styles)
    done = gantools("edit", "./m", "seed:1", "me.npz", "--direction", "d.npz", "--steps", "3", "--json", "-o", "s.png")
    assert done.code == 0, done.err
    assert "seed0001: d -3 to 3 from its boundary (styles in W)" in done.err
    assert "me: d -3 to 3 from where it is (styles in W+)" in done.err
    first, last = (json.loads(line) for line in done.out.splitlines())
    assert (first["output"], first["output_size"], last["summary"]["done"]) == ("s.png", [64, 44], 1)


def test_directions_are_learnt_listed_and_described(gantools, models: Path) -> None:
    done = gantools("directions", "learn", "./m", "--name", "light", "--measure", "brightness", "-n", "60")
    assert (done.code, done.out.strip()) == (0, "m.directions/light.npz"), done.err
    assert "of held-out extremes" in done.err
    (listed,) = gantools("directions", "list", "./m").out.splitlines()
    assert listed.startswith("light: measure brightness, right on ")
    facts = json.loads(gantools("directions", "info", "m.directions/light.npz", "--json").out)
    assert (facts["values"], facts["recipe"], facts["samples"]) == (8, "stylegan2", 60)
    assert "learnt: measure brightness" in gantools("directions", "info", "m.directions/light.npz").out
    strange = gantools("edit", "./c", "seed:1", "--label", "cup", "--direction", "m.directions/light.npz")
    assert "light: was learnt with other weights" in strange.err
    assert gantools("directions", "list", "./c").out == ""
