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

from gantools.cli import start
from gantools.cli.output import console
from gantools.images.image import Image
from gantools.images.io import reader, writer
from gantools.models.options import CompactSROptions
from tests.cli.conftest import store
from tests.faults.processes import children, seconds_until_gone

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
    stored = store(folder / "doubling.safetensors", CompactSROptions(scale=2, channels=4, blocks=1))
    scripts = {"gantools": f'exec "{sys.executable}" -m gantools "$@"\n'}
    if shutil.which("jq") is None:
        (folder / "jq.py").write_text(JQ)
        scripts["jq"] = f'exec "{sys.executable}" "{folder}/jq.py"\n'
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    own = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY), "MODEL": str(stored)}
    return {**os.environ, **own, "GANTOOLS_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Shell:
    """Run a line of bash in an empty folder."""

    def run(line: str) -> subprocess.CompletedProcess[bytes]:
        command = ["bash", "-o", "pipefail", "-c", line]
        nothing = subprocess.DEVNULL
        return subprocess.run(command, cwd=tmp_path, env=environment, stdin=nothing, capture_output=True, check=False)

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six images in two folders, one with an odd name, and a photo beside them."""
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
    (photos / "bad.png").write_text("no image")
    done = shell(line)
    good, said = [name for name in tree(photos) if name != b"bad.png"], done.stderr.decode()
    if "find" in line:
        assert (done.returncode, len(tree(tmp_path / "large"))) == (0, 6), said
        assert done.stdout.count(b"large/") == 6
    elif "cat" in line:
        assert (done.returncode, reader.read(tmp_path / "photo.png").width) == (0, 32), said
    elif "jq" in line:
        assert (done.returncode, done.stdout) == (3, b"photos/bad.png\n"), said
    elif "--shard" in line:
        assert (done.returncode, tree(tmp_path / "shared")) == (123, good), said
    else:
        assert (done.returncode, tree(tmp_path / "larger")) == (3, good), said


def test_names_are_bytes_in_and_out(shell: Shell, photos: Path, tmp_path: Path) -> None:
    done = shell("find photos -type f -print0 | gantools infer $MODEL --files-from - -0 --print0 -o out")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split(b"\0")[:-1]) == [b"out/" + name for name in tree(tmp_path / "out")]
    assert {os.path.basename(name) for name in tree(photos)} == set(tree(tmp_path / "out"))


def test_a_hostile_name_is_one_quoted_line(shell: Shell, tmp_path: Path) -> None:
    names = [b"\xff.png", b"a\nb.png", b"\x1b[31m.png", b"-x.png", b"n" * 251 + b".png", b"[red].png"]
    for name in names:
        Path(tmp_path / "in" / os.fsdecode(name)).parent.mkdir(exist_ok=True)
        Path(tmp_path / "in" / os.fsdecode(name)).write_bytes(b"no image")
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


FULL = b"gantools: No space left on device\n"
CLOSED = b"gantools: standard output is closed; send it to a file or a pipe\n"


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("gantools infer $MODEL photos -r -o out -q > /dev/full", 1, b"", FULL),
        ("gantools infer $MODEL photo.jpg -o - -q > /dev/full", 1, b"", FULL),
        ("gantools infer $MODEL photo.jpg -o x.png -q >&-", 1, b"", CLOSED),
        ("gantools infer $MODEL photo.jpg -o w.png 2> /dev/full", 0, b"w.png\n", b""),
        ("gantools infer $MODEL photo.jpg -o y.png <&- 2>&-", 0, b"y.png\n", b""),
        # The reader is gone before the first name is written; a pipe's own exit code would be the reader's.
        ("gantools infer $MODEL photos -r -o out -q > >(exec true)", 141, b"", b""),
        *(
            (f"gantools {command} {stream}", 1, b"", line)
            for command in ("list", "show pix2pix", "show pix2pix seed=3", "--help", "--version", "train -h")
            for stream, line in (("> /dev/full", FULL), (">&-", CLOSED))
        ),
    ],
)
def test_streams_that_are_closed_or_full(
    shell: Shell, photos: Path, tmp_path: Path, line: str, code: int, out: bytes, err: bytes
) -> None:
    done = shell(line)
    assert done.returncode in (code, 0 if code == 141 else code)  # the reader may have been slow
    assert (done.stdout, done.stderr) == (out, err)
    assert [reader.read(path).width for path in tmp_path.glob("[wxy].png")] == [16] * out.count(b".png")


def test_a_reader_of_one_line_is_no_failure(shell: Shell, photos: Path) -> None:
    shown = shell("gantools infer $MODEL photos -r -o out --json -q | head -n 1")
    assert (json.loads(shown.stdout)["status"], shown.stderr) == ("done", b"")


def test_images_through_substituted_and_named_pipes(shell: Shell, photos: Path, tmp_path: Path) -> None:
    done = shell("gantools infer $MODEL <(cat photo.jpg) -o one.png; gantools infer $MODEL /dev/stdin -o - < photo.jpg")
    assert done.returncode == 0, done.stderr
    assert reader.read(tmp_path / "one.png").width == 16
    assert reader.read(done.stdout.removeprefix(b"one.png\n")).width == 16


def test_shares_make_what_one_run_makes(shell: Shell, photos: Path, tmp_path: Path) -> None:
    assert shell("gantools infer $MODEL photos -r -o whole").returncode == 0
    done = shell("seq 3 | xargs -P 3 -I @ gantools infer $MODEL photos -r -o parts --shard @/3 -q")
    assert (done.returncode, shell("diff -r whole parts").stdout) == (0, b""), done.stderr
    assert len(done.stdout.splitlines()) == 6 + 1, "the name with a newline is two lines"


def test_verbose_says_times_and_quiet_nothing(shell: Shell, photos: Path) -> None:
    verbose = shell("gantools infer $MODEL photo.jpg -v").stderr.decode()
    times = "decode [0-9.]+ ms, network [0-9.]+ ms, encode [0-9.]+ ms"
    assert re.search(rf"photo.jpg → photo.doubling.jpg \(16×12\): {times}", verbose)
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
    assert seconds_until_gone(decoders, 20) < 20, "a decoder outlives the run"
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


def test_ctrl_c_before_a_command_begins_ends_quietly(gantools, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_app: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "run", interrupted)
    ended = gantools("list")
    assert (ended.code, ended.out, ended.err) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_library_makes_another_error_of_ends_the_program_alike(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    @console.guarded
    def command() -> None:
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ValueError("building a schema failed") from error

    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_an_unexpected_error_after_an_interrupted_command_is_not_taken_for_the_interrupt() -> None:
    @console.guarded
    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    @console.guarded
    def broken() -> None:
        raise ValueError("a mistake")

    with pytest.raises(SystemExit):
        interrupted()
    with pytest.raises(ValueError, match="a mistake"):
        broken()
