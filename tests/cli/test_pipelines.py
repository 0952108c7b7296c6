"""``gantools infer`` in a real shell: pipes, lists of names, signals, closed streams; what the README says of them."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export
from gantools.cli import start
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.models import GENERATORS
from gantools.models.options import CompactSROptions

REPOSITORY = Path(__file__).resolve().parents[2]
JQ = """import json, sys
for line in sys.stdin:
    row = json.loads(line)
    if row.get("status") == "failed": print(row["input"])
"""

Shell = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights of a network that doubles, and commands called gantools and, where there is none, jq."""
    folder = tmp_path_factory.mktemp("commands")
    options = CompactSROptions(scale=2, channels=4, blocks=1)
    export = Export("generator", options.model_dump(mode="json"), scale=2, size_multiple=1)
    stored = folder / "doubling.safetensors"
    weights.save(stored, "demo", {"generator": export}, {"generator": GENERATORS.build(options)}, {})
    scripts = {"gantools": f'exec "{sys.executable}" -m gantools "$@"\n'}
    if shutil.which("jq") is None:
        (folder / "jq.py").write_text(JQ)
        scripts["jq"] = f'exec "{sys.executable}" "{folder}/jq.py"\n'
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    given = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY), "MODEL": str(stored)}
    return {**os.environ, **given, "GANTOOLS_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Shell:
    """Run a line of bash in an empty folder."""

    def run(line: str, **given: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=180,
            check=False,
        )

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures in two folders, one with an odd name, and a photo beside them."""
    folder = tmp_path / "photos"
    names = ["a.jpg", "b.jpg", "sub/c.jpg", "sub/-d.jpg", "sub/e\nf.jpg", os.fsdecode(b"\xff\x1b[31m.jpg")]
    for number, name in enumerate(names):
        draw(folder / name, number)
    draw(tmp_path / "photo.jpg", 7)
    return folder


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    writer.write(Image(pixels), path)


def tree(folder: Path) -> list[bytes]:
    return sorted(os.fsencode(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def readme() -> Iterator[str]:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## In pipelines\n\n```\n(.*?)```", text, flags=re.M | re.S)
    yield from block.splitlines()


@pytest.mark.parametrize("line", list(readme()))
def test_the_readme_does_what_it_says(shell: Shell, photos: Path, tmp_path: Path, line: str) -> None:
    (photos / "bad.png").write_text("no picture")
    done = shell(line)
    said = done.stderr.decode()
    if "find" in line:
        assert (done.returncode, len(tree(tmp_path / "large"))) == (0, 6), said
        assert done.stdout.count(b"large/") == 6
    elif "cat" in line:
        assert (done.returncode, reader.read(tmp_path / "photo.png").width) == (0, 32), said
    elif "jq" in line:
        assert (done.returncode, done.stdout) == (3, b"photos/bad.png\n"), said
    elif "--shard" in line:
        assert (done.returncode, tree(tmp_path / "shared")) == (123, [n for n in tree(photos) if n != b"bad.png"]), said
    else:
        assert (done.returncode, tree(tmp_path / "larger")) == (3, [n for n in tree(photos) if n != b"bad.png"]), said


def test_names_are_bytes_in_and_out(shell: Shell, photos: Path, tmp_path: Path) -> None:
    done = shell("find photos -type f -print0 | gantools infer $MODEL --files-from - -0 --print0 -o out")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split(b"\0")[:-1]) == [b"out/" + name for name in tree(tmp_path / "out")]
    assert {os.path.basename(name) for name in tree(photos)} == set(tree(tmp_path / "out"))


def test_a_hostile_name_is_one_quoted_line(shell: Shell, tmp_path: Path) -> None:
    names = [b"\xff.png", b"a\nb.png", b"\x1b[31m.png", b"-x.png", b"n" * 251 + b".png", b"[red].png"]
    for name in names:
        Path(tmp_path / "in" / os.fsdecode(name)).parent.mkdir(exist_ok=True)
        Path(tmp_path / "in" / os.fsdecode(name)).write_bytes(b"no picture")
    done = shell("cd in && printf '%s\\0' * | gantools infer $MODEL --files-from - -0 -o ../out -q")
    assert (done.returncode, done.stdout) == (1, b"")
    lines = done.stderr.splitlines()
    assert len(lines) == len(names)
    assert b"\x1b" not in done.stderr
    assert all(line.startswith(b"gantools: '") and b"not a PNG" in line for line in lines)


def test_names_of_full_length_can_be_written(shell: Shell, tmp_path: Path) -> None:
    draw(tmp_path / "in" / ("n" * 251 + ".png"))
    done = shell("gantools infer $MODEL in -o out")
    assert (done.returncode, tree(tmp_path / "out")) == (0, [b"n" * 251 + b".png"]), done.stderr
    too_long = shell("gantools infer $MODEL in -o out2 --format webp")
    assert (too_long.returncode, tree(tmp_path / "out2")) == (1, []), too_long.stderr
    assert too_long.stderr.endswith(b"File name too long\n")


def test_lists_are_one_name_per_line(shell: Shell, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"photos/a.jpg\n\nphotos/sub/-d.jpg\n")
    done = shell("gantools infer $MODEL photo.jpg --files-from list -o out")
    assert (done.returncode, tree(tmp_path / "out")) == (0, [b"-d.jpg", b"a.jpg", b"photo.jpg"]), done.stderr
    empty = shell("find photos -name '*.nothing' | gantools infer $MODEL --files-from - -o out --json")
    assert (empty.returncode, json.loads(empty.stdout)["summary"]["inputs"]) == (0, 0)
    assert b"names no images" in empty.stderr
    refused = shell("find photos -print0 | gantools infer $MODEL --files-from - -o out")
    assert (refused.returncode, refused.stderr) == (2, b"gantools: --files-from: the names end with NUL; add -0\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("photo.jpg -0", "give --files-from"),
        ("- --files-from -", "both want standard input"),
        ("--files-from gone", "--files-from 'gone': cannot be read"),
        ("", "no input"),
        ("photo.jpg --shard 3/2", "--shard 3/2: give I/N"),
        ("photo.jpg --shard 0/2", "--shard 0/2: give I/N"),
        ("photo.jpg --print0 --json", "both want standard output"),
        ("photo.jpg --print0 -o -", "both want standard output"),
        ("photo.jpg --tile big", "--tile big: give auto or a number"),
        ("photo.jpg --batch 0", "--batch 0: give auto or a number"),
    ],
)
def test_what_contradicts_itself_is_refused(shell: Shell, photos: Path, arguments: str, reason: str) -> None:
    refused = shell(f"gantools infer $MODEL {arguments}")
    assert (refused.returncode, refused.stdout) == (2, b"")
    (line,) = refused.stderr.decode().splitlines()
    assert line.startswith("gantools: ")
    assert reason in line


def test_streams_that_are_closed_or_full(shell: Shell, photos: Path, tmp_path: Path) -> None:
    full = shell("gantools infer $MODEL photos -r -o out -q > /dev/full")
    assert (full.returncode, full.stderr) == (1, b"gantools: No space left on device\n")
    full = shell("gantools infer $MODEL photo.jpg -o - -q > /dev/full")
    assert (full.returncode, full.stderr) == (1, b"gantools: No space left on device\n")
    closed = shell("gantools infer $MODEL photo.jpg -o x.png -q >&-")
    assert (closed.returncode, len(closed.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "x.png").exists()
    unread = shell("gantools infer $MODEL photo.jpg -o w.png 2> /dev/full")
    assert (unread.returncode, unread.stdout) == (0, b"w.png\n")
    silent = shell("gantools infer $MODEL photo.jpg -o y.png <&- 2>&-")
    assert (silent.returncode, silent.stdout) == (0, b"y.png\n")
    assert reader.read(tmp_path / "y.png").width == 16


@pytest.mark.parametrize("command", ["list", "show pix2pix", "show pix2pix seed=3", "--help", "--version", "train -h"])
def test_any_command_says_in_one_line_that_its_output_is_closed_or_full(shell: Shell, command: str) -> None:
    full = shell(f"gantools {command} > /dev/full")
    assert (full.returncode, full.stderr) == (1, b"gantools: No space left on device\n")
    closed = shell(f"gantools {command} >&-")
    assert closed.returncode == 1
    assert closed.stderr == b"gantools: standard output is closed; send it to a file or a pipe\n"


def test_an_early_reader_is_quiet(shell: Shell, photos: Path) -> None:
    # The reader is gone before the first name is written; a pipe's own exit code would be the reader's.
    done = shell("gantools infer $MODEL photos -r -o out -q > >(exec true); echo $?")
    assert done.stderr == b""
    shown = shell("gantools infer $MODEL photos -r -o out2 --json -q | head -n 1")
    assert json.loads(shown.stdout)["status"] == "done"
    assert shown.stderr == b""


def test_pictures_through_substituted_and_named_pipes(shell: Shell, photos: Path, tmp_path: Path) -> None:
    done = shell("gantools infer $MODEL <(cat photo.jpg) -o one.png; gantools infer $MODEL /dev/stdin -o - < photo.jpg")
    assert done.returncode == 0, done.stderr
    assert reader.read(tmp_path / "one.png").width == 16
    assert reader.read(done.stdout.removeprefix(b"one.png\n")).width == 16


def test_shares_make_what_one_run_makes(shell: Shell, photos: Path, tmp_path: Path) -> None:
    assert shell("gantools infer $MODEL photos -r -o whole").returncode == 0
    done = shell("seq 3 | xargs -P 3 -I @ gantools infer $MODEL photos -r -o parts --shard @/3 -q")
    assert (done.returncode, shell("diff -r whole parts").stdout) == (0, b""), done.stderr
    assert len(done.stdout.splitlines()) == 6 + 1, "the name with a newline is two lines"


def test_words_for_people(shell: Shell, photos: Path) -> None:
    told = shell("gantools infer $MODEL photo.jpg -v")
    assert "photo.jpg → photo.doubling.jpg (16×12): decode " in told.stderr.decode()
    assert re.search(rb"decode [0-9.]+ ms, network [0-9.]+ ms, encode [0-9.]+ ms", told.stderr)
    assert shell("gantools infer $MODEL photo.jpg --overwrite -q").stderr == b""


@pytest.mark.parametrize(
    ("options", "term", "animated", "coloured"),
    [
        ([], "xterm-256color", True, True),
        (["--no-color"], "xterm-256color", True, False),
        (["-q"], "xterm-256color", False, False),
        ([], "dumb", False, False),
    ],
)
def test_a_terminal_gets_a_bar(
    tmp_path: Path,
    environment: dict[str, str],
    photos: Path,
    options: list[str],
    term: str,
    animated: bool,
    coloured: bool,
) -> None:
    screen, stderr = pty.openpty()
    line = [sys.executable, "-m", "gantools", "infer", environment["MODEL"], "photos", "-o", "out", *options]
    given = {**{name: value for name, value in environment.items() if name not in ("NO_COLOR", "CI")}, "TERM": term}
    run = subprocess.Popen(line, cwd=tmp_path, env=given, stdout=subprocess.DEVNULL, stderr=stderr)
    os.close(stderr)
    shown = b""
    try:
        while part := os.read(screen, 4096):
            shown += part
    except OSError:  # Linux says so when the other side is closed
        pass
    finally:
        os.close(screen)
    assert run.wait(60) == 0
    assert (b"\x1b[?25l" in shown) == animated, "the cursor is hidden while the bar moves"
    assert bool(re.search(rb"\x1b\[[0-9;]*3[0-9]m|\x1b\[38;", shown)) == coloured


# Signals.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stopped_run_leaves_whole_files_and_no_processes(
    tmp_path: Path, environment: dict[str, str], number: int, code: int
) -> None:
    for each in range(400):
        draw(tmp_path / "in" / f"{each}.png", each)
    line = [sys.executable, "-m", "gantools", "infer", environment["MODEL"], "in", "-o", "out"]
    run = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    run.stdout.readline()  # it is on its way
    decoders = children(run.pid)
    assert decoders
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == code
    assert b"Traceback" not in said
    written = tree(tmp_path / "out")
    assert not [name for name in written if name.startswith(b".")], "no half files"
    assert 0 < len(written) < 400
    for name in written:
        assert reader.read(tmp_path / "out" / os.fsdecode(name)).width == 16
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in decoders):
        assert time.monotonic() < until, "a decoder outlives the run"
        time.sleep(0.02)
    again = [*line, "--skip-existing"]
    resumed = subprocess.run(again, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (resumed.returncode, len(tree(tmp_path / "out"))) == (0, 400)


def test_waiting_for_standard_input_can_be_stopped(tmp_path: Path, environment: dict[str, str]) -> None:
    line = [sys.executable, "-m", "gantools", "infer", environment["MODEL"], "-", "-o", "out.png"]
    run = subprocess.Popen(
        line, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 60
    while not children(run.pid):
        assert time.monotonic() < until
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    said = run.stderr.read() if run.stderr else b""
    assert run.wait(60) == 130
    assert b"rror" not in said
    assert tree(tmp_path) == []


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(each) for tasks in listed for each in tasks.read_text().split()]


def test_ctrl_c_before_a_command_begins_ends_quietly(gantools, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_app: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "run", interrupted)
    ended = gantools("list")
    assert (ended.code, ended.out, ended.err) == (130, "", "")
