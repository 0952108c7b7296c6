"""Which files of a folder are images: the same rule for every command; what is passed over and what is counted."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gantools.data.folders import layout, search
from gantools.images import formats
from gantools.images.image import Image
from gantools.images.io import reader, shards, writer
from gantools.jobs import image_files
from tests.inference.running import plan

CLUTTER = ("@eaDir", "__MACOSX", "lost+found", ".hidden", "#recycle")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def walked(folder: Path, *, recursive: bool = True, output: str = "out") -> list[str]:
    found = image_files.walk(folder, folder / output, recursive=recursive)
    return [path.relative_to(folder).as_posix() for path in found]


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "jif", "dib", "pbm", "JFIF", "Jpe", "JIF", "DIB", "PBM"])
def test_seldom_suffixes_are_seen_and_their_results_open_anywhere(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2] = 255
    wanted = formats.FORMATS[suffix.lower()]
    written = tmp_path / f"in/a{formats.SUFFIXES[wanted]}"
    written.parent.mkdir()
    writer.write(Image(pixels), written)
    written.rename(f"in/a.{suffix}")
    assert [item.name for item in layout.find(Path("in")).items] == [f"a.{suffix}"]
    (job,) = plan(["in"], label="demo", output="out")
    assert job.output is not None
    assert job.output.name == ("a.ppm" if suffix.lower() == "pbm" else f"a.{suffix}")  # color is no black and white
    assert job.format == wanted
    writer.write(Image(reader.read("in/" + f"a.{suffix}").pixels), job.output)
    assert formats.sniff(job.output.read_bytes()[:16]) == wanted
    assert reader.read(job.output).pixels.shape == (4, 6, 3)


def test_what_systems_leave_behind_is_passed_over_everywhere(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "sub/b.png", "._a.png", "sub/._b.png", *(f"{name}/a.png" for name in CLUTTER))
    touch(tmp_path, *(f"sub/{name}/deep/a.png" for name in CLUTTER))
    assert walked(tmp_path) == ["a.png", "sub/b.png"]
    assert [item.name for item in layout.all_images(tmp_path).items] == ["a.png", "sub/b.png"]
    assert [folder.name for folder in shards.folders_in(tmp_path)] == ["sub"]
    assert not image_files.left_out([tmp_path], tmp_path / "out", recursive=True).lines()


def test_clutter_in_a_tar_is_passed_over_too(tmp_path: Path) -> None:
    touch(tmp_path, "set/a.png", "set/__MACOSX/a.png", "set/._a.png")
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / "0.tar", "w") as archive:
        archive.add(tmp_path / "set", ".")
    assert [path.name for path in search.image_files(tmp_path / "packed")] == ["a.png"]


def test_training_and_infer_follow_links_alike_and_each_folder_once(tmp_path: Path) -> None:
    touch(tmp_path, "set/a.png", "set/sub/b.png", "elsewhere/c.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "sub" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "one.png").symlink_to(tmp_path / "elsewhere" / "c.png")
    names = ["a.png", "linked/c.png", "one.png", "sub/b.png"]
    assert sorted(walked(tmp_path / "set")) == names
    assert [item.name for item in layout.all_images(tmp_path / "set").items] == names
    assert walked(tmp_path / "set", recursive=False) == ["a.png", "one.png"]
    assert walked(tmp_path / "set", output="linked") == ["a.png", "one.png", "sub/b.png"], "results are not read"


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.png", "1.heic", "2.HEIC", "3.heic", "b.cr2", "readme", "x/d.txt", "x/e.png", "x/y/f.png", "z/g.txt"
    )
    flat = image_files.left_out([tmp_path], tmp_path / "out", recursive=False)
    assert flat.lines() == [
        "2 images in 2 sub-folders not read; -r reads them",
        "5 other files left out: .heic 3, .cr2 1, without suffix 1",
    ]
    deep = image_files.left_out([tmp_path], tmp_path / "out", recursive=True)
    assert deep.lines() == ["7 other files left out: .heic 3, .txt 2, .cr2 1, without suffix 1"]
    assert deep.facts() == {"left_out": {".heic": 3, ".txt": 2, ".cr2": 1, "without suffix": 1}}
    assert image_files.left_out([tmp_path / "x" / "y"], tmp_path / "out", recursive=False).facts() == {}
    one = image_files.left_out([tmp_path / "x"], tmp_path / "out", recursive=False).lines()[0]
    assert one == "1 image in 1 sub-folder not read; -r reads them"


def test_counting_what_is_not_read_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST_COUNTED", 5)
    touch(tmp_path, "a.png", *(f"x/{number}.png" for number in range(9)))
    (line,) = image_files.left_out([tmp_path], tmp_path / "out", recursive=False).lines()
    assert line == "more than 4 images in 1 sub-folder not read; -r reads them"


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads every folder, so the refusal is made up."""
    touch(tmp_path, "a.png", "closed/b.png")
    scan = os.scandir

    def refusing(folder: str | Path) -> object:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    left = image_files.left_out([tmp_path], tmp_path / "out", recursive=True)
    assert left.lines() == [f"'{tmp_path}/closed' cannot be read: Permission denied"]
    assert walked(tmp_path) == ["a.png"]
