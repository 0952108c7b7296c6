"""Which file becomes which: outputs beside inputs or in a folder, shares of a plan, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gantools.errors import UsageError
from gantools.files import STAGED_PREFIX
from gantools.jobs.plan import Job
from tests.inference.running import plan

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)


def planned(*inputs: str, **options: Any) -> list[tuple[str, str]]:
    return [(job.input, str(job.output)) for job in plan(inputs, label="demo", **options)]


def refused(said: str, *inputs: str, **options: Any) -> None:
    with pytest.raises(UsageError, match=said):
        plan(inputs, label="demo", **options)


@pytest.mark.parametrize(
    ("name", "options", "output"),
    [
        ("in.jpg", {}, "in.demo.jpg"),
        ("sub/in.JPG", {}, "sub/in.demo.JPG"),
        ("in.jpeg", {"format": "jpg"}, "in.demo.jpeg"),
        ("in.jpg", {"format": "png"}, "in.demo.png"),
        ("in.tiff", {"format": "tif"}, "in.demo.tiff"),
        ("scan.2024", {}, "scan.2024.demo.png"),
        ("photo", {"format": "webp"}, "photo.demo.webp"),
        ("in.jpg", {"output": "a/b.png"}, "a/b.png"),
        ("in.jpg", {"output": "new/"}, "new/in.jpg"),
        ("in.jpg", {"output": "there"}, "there/in.jpg"),
    ],
)
def test_one_file_goes_beside_itself_or_where_it_is_told(name: str, options: dict[str, str], output: str) -> None:
    touch(name, "there/x")
    assert planned(name, **options) == [(name, output)]


def test_a_suffix_and_a_format_that_do_not_go_together() -> None:
    touch("in.jpg")
    assert plan(["in.jpg"], label="demo", output="b.dat", format="png") == (
        Job("in.jpg", Path("in.jpg"), Path("b.dat"), "png"),
    )
    for output in ("out", "x.xyz"):
        refused("no format has this suffix", "in.jpg", output=output)
    refused("contradict", "in.jpg", output="a.png", format="jpg")


def test_a_folder_keeps_its_tree_and_is_sorted() -> None:
    touch("in/b.png", "in/a.JPG", "in/sub/c.webp", "in/sub/deep/d.tif", "in/notes.txt")
    assert planned("in", output="out") == [("in/a.JPG", "out/a.JPG"), ("in/b.png", "out/b.png")]
    assert planned("in", output="out", recursive=True, format="png")[1:] == [
        ("in/b.png", "out/b.png"),
        ("in/sub/c.webp", "out/sub/c.png"),
        ("in/sub/deep/d.tif", "out/sub/deep/d.png"),
    ]


def test_hidden_and_half_written_files_and_an_output_folder_inside_are_not_read() -> None:
    touch("in/a.png", "in/.b.png", f"in/{STAGED_PREFIX}12.png", "in/.git/c.png", "in/out/b.png")
    assert planned("in", output="in/out", recursive=True) == [("in/a.png", "in/out/a.png")]


def test_files_and_folders_mix() -> None:
    touch("in/a.png", "x/b.dat", "x/c.jpg")
    jobs = plan(["in", "x/b.dat", "x/c.jpg"], label="demo", output="out")
    assert [(job.input, str(job.output), job.format) for job in jobs] == [
        ("in/a.png", "out/a.png", "png"),
        ("x/b.dat", "out/b.dat.png", "png"),
        ("x/c.jpg", "out/c.jpg", "jpeg"),
    ]


@pytest.mark.parametrize("inputs", [["in"], ["in/a.png", "in/b.png"]])
def test_several_images_need_a_folder(inputs: list[str]) -> None:
    touch("in/a.png", "in/b.png")
    for output in (None, "-"):
        refused("-o DIR", *inputs, output=output)
    refused(r"-o 'out\.png': is one image, and there are several", *inputs, output="out.png")
    assert len(planned(*inputs, output="out.png/")) == 2


def test_clashes_are_listed_in_pairs() -> None:
    touch("x/a.png", "y/a.png", "x/b.png", "y/b.jpg")
    said = "'x/a.png' and 'y/a.png' → 'out/a.png'; 'x/b.png' and 'y/b.jpg' → 'out/b.png'"
    refused(said, "x", "y", output="out", format="png")


def test_inputs_are_never_written_over() -> None:
    touch("in/a.png")
    os.symlink("in/a.png", "other.png")
    for output in ("in", "in/", "./in/../in"):
        refused("never written over", "in", output=output, overwrite=True)
    refused("never written over", "in/a.png", output="other.png", overwrite=True)


def test_existing_outputs_are_refused_left_or_replaced() -> None:
    touch("in/a.png", "in/b.png", "out/b.png")
    refused(r"'out/b.png'; --overwrite replaces it, --skip-existing leaves it", "in", output="out")
    assert [job.skip for job in plan(["in"], label="demo", output="out", skip_existing=True)] == [False, True]
    assert [job.skip for job in plan(["in"], label="demo", output="out", overwrite=True)] == [False, False]


def test_long_lists_are_cut() -> None:
    names = [f"{number}.png" for number in range(9)]
    touch(*(f"in/{name}" for name in names), *(f"out/{name}" for name in names))
    refused(r"'out/4.png' and 4 more; --overwrite", "in", output="out")


def test_missing_inputs_and_what_is_in_the_way_are_named() -> None:
    touch("a.png", "in/a.png", "in/b.png", "notes/a.txt", "notes/sub/a.png", "file")
    Path("out/a.png").mkdir(parents=True)
    refused("no such file or folder: 'b.png', 'c'$", "a.png", "b.png", "c", output="out")
    refused("no images in it .* -r looks into its sub-folders too", "notes", output="out")
    refused("'file' is not a folder", "in", output="file/deeper/out")
    refused("a folder is in the way of an output: 'out/a.png'", "in", output="out", overwrite=True)


def test_standard_input_and_output() -> None:
    touch("a.png")
    assert plan(["-"], label="demo", output="-") == (Job("-", None, None, None),)
    assert plan(["-"], label="demo", output="x.jpg") == (Job("-", None, Path("x.jpg"), "jpeg"),)
    assert plan(["a.png"], label="demo", output="-", format="tif") == (Job("a.png", Path("a.png"), None, "tiff"),)
    for inputs, output in ((["-"], None), (["-"], "out/"), (["-", "a.png"], "out")):
        refused("standard input", *inputs, output=output)


def test_shares_part_a_plan_and_stay_while_others_are_being_written() -> None:
    touch(*(f"in/{number}.png" for number in range(7)))
    options: dict[str, Any] = {"output": "in/out", "recursive": True}
    shares = [planned("in", shard=(number, 3), **options) for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [3, 2, 2]
    assert sorted(job for share in shares for job in share) == planned("in", **options)
    touch("in/out/1.png", "in/out/sub/2.png")
    assert planned("in", shard=(1, 3), **options) == shares[0], "a share looks at its own results only"
    refused(r"exists already: 'in/out/1\.png'", "in", shard=(2, 3), **options)
    touch("a/x.png", "b/x.png", "c/y.png")
    refused("several inputs would become one output", "a/x.png", "b/x.png", "c/y.png", output="out", shard=(3, 3))


def test_a_list_may_hold_one_name_or_none() -> None:
    touch("in.png")
    assert planned(output="out", listed=True) == []
    assert planned("in.png", output="out", listed=True) == [("in.png", "out/in.png")]
    assert planned("in.png", listed=True) == [("in.png", "in.demo.png")]
