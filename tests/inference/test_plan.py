from __future__ import annotations

import os
from pathlib import Path

import pytest

from gantools.errors import UsageError
from gantools.files import STAGED_PREFIX
from gantools.inference.plan import Job
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


def pairs(jobs: tuple[Job, ...]) -> list[tuple[str, str]]:
    return [(job.input, str(job.output)) for job in jobs]


@pytest.mark.parametrize(
    ("name", "format", "output"),
    [
        ("in.jpg", None, "in.demo.jpg"),
        ("sub/in.JPG", None, "sub/in.demo.JPG"),
        ("in.jpeg", "jpg", "in.demo.jpeg"),
        ("in.jpg", "png", "in.demo.png"),
        ("in.tiff", "tif", "in.demo.tiff"),
        ("scan.2024", None, "scan.2024.demo.png"),
        ("photo", "webp", "photo.demo.webp"),
    ],
)
def test_one_file_goes_beside_itself(name: str, format: str | None, output: str) -> None:
    touch(name)
    assert pairs(plan([name], label="demo", format=format)) == [(name, output)]


def test_one_file_goes_where_it_is_told() -> None:
    touch("in.jpg", "there/x")
    assert pairs(plan(["in.jpg"], label="demo", output="a/b.png")) == [("in.jpg", "a/b.png")]
    assert pairs(plan(["in.jpg"], label="demo", output="new/")) == [("in.jpg", "new/in.jpg")]
    assert pairs(plan(["in.jpg"], label="demo", output="there")) == [("in.jpg", "there/in.jpg")]
    (job,) = plan(["in.jpg"], label="demo", output="b.dat", format="png")
    assert job == Job("in.jpg", Path("in.jpg"), Path("b.dat"), "png")


@pytest.mark.parametrize("output", ["out", "x.xyz"])
def test_an_output_of_no_known_format_is_refused(output: str) -> None:
    touch("in.jpg")
    with pytest.raises(UsageError, match="no format has this suffix"):
        plan(["in.jpg"], label="demo", output=output)


def test_a_suffix_that_contradicts_the_format_is_refused() -> None:
    touch("in.jpg")
    with pytest.raises(UsageError, match="contradict"):
        plan(["in.jpg"], label="demo", output="a.png", format="jpg")


def test_a_folder_keeps_its_tree_and_is_sorted() -> None:
    touch("in/b.png", "in/a.JPG", "in/sub/c.webp", "in/sub/deep/d.tif", "in/notes.txt")
    assert pairs(plan(["in"], label="demo", output="out")) == [("in/a.JPG", "out/a.JPG"), ("in/b.png", "out/b.png")]
    assert pairs(plan(["in"], label="demo", output="out", recursive=True, format="png"))[1:] == [
        ("in/b.png", "out/b.png"),
        ("in/sub/c.webp", "out/sub/c.png"),
        ("in/sub/deep/d.tif", "out/sub/deep/d.png"),
    ]


def test_hidden_and_half_written_files_are_passed_over() -> None:
    touch("in/a.png", "in/.b.png", f"in/{STAGED_PREFIX}12.png", "in/.git/c.png")
    assert pairs(plan(["in"], label="demo", output="out", recursive=True)) == [("in/a.png", "out/a.png")]


def test_an_output_folder_inside_the_input_folder_is_not_read() -> None:
    touch("in/a.png", "in/out/b.png")
    assert pairs(plan(["in"], label="demo", output="in/out", recursive=True)) == [("in/a.png", "in/out/a.png")]


def test_files_and_folders_mix() -> None:
    touch("in/a.png", "x/b.dat", "x/c.jpg")
    jobs = plan(["in", "x/b.dat", "x/c.jpg"], label="demo", output="out")
    assert pairs(jobs) == [("in/a.png", "out/a.png"), ("x/b.dat", "out/b.dat.png"), ("x/c.jpg", "out/c.jpg")]
    assert [job.format for job in jobs] == ["png", "png", "jpeg"]


@pytest.mark.parametrize("inputs", [["in"], ["in/a.png", "in/b.png"]])
@pytest.mark.parametrize("output", [None, "-"])
def test_several_images_need_a_folder(inputs: list[str], output: str | None) -> None:
    touch("in/a.png", "in/b.png")
    with pytest.raises(UsageError, match="-o DIR"):
        plan(inputs, label="demo", output=output)


@pytest.mark.parametrize("inputs", [["a.png", "b.png"], ["in"]])
def test_a_folder_is_not_named_as_an_image_by_mistake(inputs: list[str]) -> None:
    touch("a.png", "b.png", "in/c.png")
    with pytest.raises(UsageError, match=r"-o 'out\.png': is one image, and there are several"):
        plan(inputs, label="demo", output="out.png")
    assert len(plan(inputs, label="demo", output="out.png/")) == len(inputs)


def test_clashes_are_listed_in_pairs() -> None:
    touch("x/a.png", "y/a.png", "x/b.png", "y/b.jpg")
    with pytest.raises(UsageError) as caught:
        plan(["x", "y"], label="demo", output="out", format="png")
    assert "'x/a.png' and 'y/a.png' → 'out/a.png'; 'x/b.png' and 'y/b.jpg' → 'out/b.png'" in str(caught.value)


@pytest.mark.parametrize("output", ["in", "in/", "./in/../in"])
def test_inputs_are_never_written_over(output: str) -> None:
    touch("in/a.png")
    with pytest.raises(UsageError, match="never written over"):
        plan(["in"], label="demo", output=output, overwrite=True)


def test_a_link_does_not_hide_that_an_output_is_an_input() -> None:
    touch("in/a.png")
    os.symlink("in/a.png", "other.png")
    with pytest.raises(UsageError, match="never written over"):
        plan(["in/a.png"], label="demo", output="other.png", overwrite=True)


def test_existing_outputs_are_refused_left_or_replaced() -> None:
    touch("in/a.png", "in/b.png", "out/b.png")
    with pytest.raises(UsageError, match=r"'out/b.png'; --overwrite replaces it, --skip-existing leaves it"):
        plan(["in"], label="demo", output="out")
    assert [job.skip for job in plan(["in"], label="demo", output="out", skip_existing=True)] == [False, True]
    assert [job.skip for job in plan(["in"], label="demo", output="out", overwrite=True)] == [False, False]


def test_long_lists_are_cut() -> None:
    names = [f"{number}.png" for number in range(9)]
    touch(*(f"in/{name}" for name in names), *(f"out/{name}" for name in names))
    with pytest.raises(UsageError, match=r"'out/4.png' and 4 more; --overwrite"):
        plan(["in"], label="demo", output="out")


def test_what_stands_in_the_way_is_refused() -> None:
    touch("in/a.png", "in/b.png", "file")
    with pytest.raises(UsageError, match="'file' is not a folder"):
        plan(["in"], label="demo", output="file/deeper/out")
    Path("out/a.png").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"a folder is in the way of an output: 'out/a.png'"):
        plan(["in"], label="demo", output="out", overwrite=True)


def test_missing_inputs_are_named_together() -> None:
    touch("a.png")
    with pytest.raises(UsageError, match=r"no such file or folder: 'b.png', 'c'$"):
        plan(["a.png", "b.png", "c"], label="demo", output="out")


def test_a_folder_without_images_is_refused() -> None:
    touch("in/notes.txt", "in/sub/a.png")
    with pytest.raises(UsageError, match=r"no images in it .* -r looks into its sub-folders too"):
        plan(["in"], label="demo", output="out")


def test_standard_input_and_output() -> None:
    touch("a.png")
    assert plan(["-"], label="demo", output="-") == (Job("-", None, None, None),)
    assert plan(["-"], label="demo", output="x.jpg") == (Job("-", None, Path("x.jpg"), "jpeg"),)
    assert plan(["a.png"], label="demo", output="-", format="tif") == (Job("a.png", Path("a.png"), None, "tiff"),)
    for inputs, output in ((["-"], None), (["-"], "out/"), (["-", "a.png"], "out")):
        with pytest.raises(UsageError, match="standard input"):
            plan(inputs, label="demo", output=output)


def test_shares_part_a_plan() -> None:
    touch(*(f"in/{number}.png" for number in range(7)))
    whole = plan(["in"], label="demo", output="out")
    shares = [plan(["in"], label="demo", output="out", shard=(number, 3)) for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [3, 2, 2]
    assert sorted((job for share in shares for job in share), key=lambda job: job.input) == list(whole)
    touch("out/1.png")
    assert plan(["in"], label="demo", output="out", shard=(1, 3)) == shares[0], "a share looks at its own results only"
    with pytest.raises(UsageError, match=r"exists already: 'out/1\.png'"):
        plan(["in"], label="demo", output="out", shard=(2, 3))


def test_shares_stay_while_others_are_being_written() -> None:
    touch(*(f"in/{number}.png" for number in range(4)))
    second = plan(["in"], label="demo", output="in/out", recursive=True, shard=(2, 2))
    touch("in/out/0.png", "in/out/sub/2.png")
    assert plan(["in"], label="demo", output="in/out", recursive=True, shard=(2, 2)) == second


def test_every_share_sees_the_clashes_of_all() -> None:
    touch("a/x.png", "b/x.png", "c/y.png")
    with pytest.raises(UsageError, match="several inputs would become one output"):
        plan(["a/x.png", "b/x.png", "c/y.png"], label="demo", output="out", shard=(3, 3))


def test_a_list_may_hold_one_name_or_none() -> None:
    touch("in.png")
    assert plan([], label="demo", output="out", listed=True) == ()
    assert pairs(plan(["in.png"], label="demo", output="out", listed=True)) == [("in.png", "out/in.png")]
    assert pairs(plan(["in.png"], label="demo", listed=True)) == [("in.png", "in.demo.png")]
