"""``gantools infer`` as typed: what it prints and writes, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gantools.cli.commands.infer import infer
from gantools.cli.output.results import ResultPrinter
from gantools.images.image import Image, Metadata
from gantools.images.io import exif, reader, tiff, writer
from gantools.inference.options import LARGEST_INPUT_PX
from gantools.inference.pipeline.results import Results
from gantools.inference.scaling import Preparation

SCRIPT = "import sys; from gantools.cli.start import main; sys.argv.insert(1, 'infer'); main()"
SAYS_IMPORTS = (
    f"import sys, atexit; atexit.register(lambda: print({{'torch', 'torchvision'}} & {{*sys.modules}})); {SCRIPT}"
)

app = typer.Typer(rich_markup_mode=None)
app.command()(infer)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTOOLS_DEVICE", "cpu")


def photo(name: str = "in.png", **kept: Any) -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    writer.write(Image(np.full((3, 5, 3), 90, np.uint8), **kept), Path(name))
    return Path(name)


def run(*arguments: str, given: bytes | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=given)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_one_image(doubling: str) -> None:
    photo("in.jpg")
    done = run(doubling, "in.jpg")
    assert (done.exit_code, done.stdout) == (0, "in.doubling.jpg\n")
    assert done.stderr == f"weights: {doubling} (demo)\n"
    assert (reader.read("in.doubling.jpg").width, reader.read("in.doubling.jpg").height) == (10, 6)


def test_it_says_at_what_size_the_network_sees_images() -> None:
    photo("in.png")
    done = run("pix2pix", "in.png", "-o", "trained.png")
    assert (done.exit_code, done.stderr.count("scale: ")) == (0, 1), done.stderr
    assert "with a short side of 64 px, as in training" in done.stderr
    assert "--scale-to native" in done.stderr
    assert run("pix2pix", "in.png", "-o", "native.png", "--scale-to", "native").exit_code == 0
    trained, native = (reader.read(f"{name}.png").pixels for name in ("trained", "native"))
    assert trained.shape == native.shape
    assert (trained != native).any()


def test_a_folder_with_bad_images_is_partly_done(doubling: str) -> None:
    for name in ("a.png", "sub/c.png"):
        photo(f"in/{name}")
    Path("in/b.png").write_text("no image")
    Path("in/d.png").write_bytes(Path("in/a.png").read_bytes()[:-30])
    done = run(doubling, "in", "-o", "out", "-r")
    assert (done.exit_code, done.stdout) == (3, "out/a.png\nout/sub/c.png\n")
    _, text, truncated, summary = done.stderr.splitlines()
    assert text == "gantools: 'in/b.png': not a PNG, JPEG, WebP, TIFF, BMP or PPM image"
    assert truncated.startswith("gantools: 'in/d.png': damaged or truncated")
    assert summary.startswith("2 done, 2 failed in ")
    assert files()[4:] == ["out/a.png", "out/sub/c.png"]


def test_json_lines(doubling: str) -> None:
    photo("in/a.png")
    Path("in/b.png").write_text("no image")
    done = run(doubling, "in", "-o", "out", "--json")
    first, second, last = (json.loads(line) for line in done.stdout.splitlines())
    assert done.exit_code == 3
    assert {key: first[key] for key in first if key not in ("seconds", "stages")} == {
        "schema": 1,
        "input": "in/a.png",
        "output": "out/a.png",
        "status": "done",
        "error": None,
        "input_size": [5, 3],
        "output_size": [10, 6],
    }
    assert first["seconds"] == pytest.approx(sum(first["stages"].values()), abs=1e-3)
    assert set(first["stages"]) == {"decode", "network", "encode"}
    assert (second["status"], second["error"]) == ("failed", "not a PNG, JPEG, WebP, TIFF, BMP or PPM image")
    assert last["summary"]["recipe"] == "demo"
    assert (last["summary"]["inputs"], last["summary"]["done"], last["summary"]["failed"]) == (2, 1, 1)


def test_a_folder_says_what_it_left_out(doubling: str) -> None:
    photo("in/a.png")
    for number in range(10):
        photo(f"in/sub/{number % 3}/{number}.png")
    for name in ("x.heic", "y.HEIC", "notes.txt"):
        Path("in", name).write_bytes(b"")
    done = run(doubling, "in", "-o", "out")
    assert (done.exit_code, done.stdout) == (0, "out/a.png\n")
    assert "10 images in 3 sub-folders not read; -r reads them" in done.stderr.splitlines()
    assert "3 other files left out: .heic 2, .txt 1" in done.stderr.splitlines()
    listed = run(doubling, "in", "-o", "out", "--json", "-n", "--overwrite")
    summary = json.loads(listed.stdout.splitlines()[-1])["summary"]
    assert summary["left_out"] == {".heic": 2, ".txt": 1}
    assert summary["not_read"] == {"images": 10, "sub_folders": 3}
    whole = run(doubling, "in", "-o", "out", "-r", "--overwrite", "--json")
    assert "not_read" not in json.loads(whole.stdout.splitlines()[-1])["summary"]
    assert run(doubling, "in/a.png").stderr.splitlines() == [f"weights: {doubling} (demo)"]
    Path("none").mkdir()
    Path("none/x.heic").write_bytes(b"")
    assert run(doubling, "none", "-o", "new").stderr.rstrip().endswith("; 1 other file left out: .heic 1")


@pytest.mark.parametrize(
    "content",
    [
        b"in/a.png\r\nin/\xc3\xa9.png\r\n",
        b"\xef\xbb\xbfin/a.png\nin/\xc3\xa9.png\n",
        b"\xef\xbb\xbfin/a.png\r\nin/\xc3\xa9.png",
        "\ufeffin/a.png\r\nin/é.png\r\n".encode("utf-16-le"),
        "\ufeffin/a.png\nin/é.png\n".encode("utf-16-be"),
        "in/a.png\r\nin/é.png\r\n".encode("utf-16-le"),  # without a mark
        "in/a.png\nin/é.png".encode(),
    ],
)
def test_lists_of_names_from_other_systems(content: bytes, doubling: str) -> None:
    photo("in/a.png")
    photo("in/é.png")
    Path("list").write_bytes(content)
    done = run(doubling, "--files-from", "list", "-o", "out")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "é.png"]


def test_names_that_end_with_a_carriage_return_are_names(doubling: str) -> None:
    """Only a list whose every line ends with CR LF comes from Windows."""
    photo("a.png"), photo("b.png\r.png")
    Path("b.png\r.png").rename("b.png\r")
    Path("list").write_bytes(b"a.png\nb.png\r\n")
    done = run(doubling, "--files-from", "list", "-o", "out/", "-n")
    assert done.exit_code == 0, done.stderr
    Path("list").write_bytes("\ufeffa".encode("utf-16-le") + b"x")
    refused = run(doubling, "--files-from", "list", "-o", "out/", "-n")
    assert (refused.exit_code, "looks like UTF-16 but is not" in refused.stderr) == (2, True)


def test_a_command_fails_with_every_image_or_with_the_first_on_request(doubling: str) -> None:
    Path("a.png").write_text("no image")
    photo("b.png")
    for arguments in (["a.png"], ["a.png", "b.png", "-o", "out", "--fail-fast"]):
        done = run(doubling, *arguments)
        assert (done.exit_code, done.stdout, files()) == (1, "", ["a.png", "b.png"])


def test_existing_results(doubling: str) -> None:
    photo("in/a.png"), photo("in/b.png"), photo("out/a.png")
    refused = run(doubling, "in", "-o", "out")
    assert refused.exit_code == 2
    assert (
        refused.stderr == "gantools: exists already: 'out/a.png'; --overwrite replaces it, --skip-existing leaves it\n"
    )
    skipped = run(doubling, "in", "-o", "out", "--skip-existing")
    assert (skipped.exit_code, skipped.stdout, reader.read("out/a.png").width) == (0, "out/b.png\n", 5)
    assert run(doubling, "in", "-o", "out", "--skip-existing").exit_code == 0
    assert run(doubling, "in", "-o", "out", "--overwrite").exit_code == 0
    assert reader.read("out/a.png").width == 10


def test_a_dry_run_writes_nothing(doubling: str) -> None:
    photo("in/a.png")
    done = run(doubling, "in", "-o", "out", "-n")
    assert (done.exit_code, done.stdout, files()) == (0, "out/a.png\n", ["in/a.png"])
    row = json.loads(run(doubling, "in", "-o", "out", "-n", "--json").stdout.splitlines()[0])
    assert (row["status"], row["output"]) == ("planned", "out/a.png")


def test_a_format_that_cannot_hold_the_image_is_exit_2(doubling: str) -> None:
    photo("in.png", alpha=np.zeros((3, 5), np.uint8))
    refused = run(doubling, "in.png", "-o", "out.jpg")
    assert (refused.exit_code, files()) == (2, ["in.png"])
    assert "gantools: 'in.png': JPEG cannot hold the image's transparency; use --alpha drop" in refused.stderr
    assert run(doubling, "in.png", "-o", "out.jpg", "--alpha", "drop").exit_code == 0


def test_options_reach_the_file(doubling: str) -> None:
    photo("in.png")
    assert run(doubling, "in.png", "-o", "out.tif", "--depth", "16", "--metadata", "strip").exit_code == 0
    assert reader.read("out.tif").pixels.dtype == np.uint16
    assert run(doubling, "in.png", "--format", "webp").stdout == "in.doubling.webp\n"
    assert run(doubling, "in.png", "--max-pixels", "14", "--format", "jpg").exit_code == 1


def test_a_webp_is_written_without_loss_on_request_or_as_it_was(doubling: str) -> None:
    def kinds(*asked: str) -> bool:
        assert run(doubling, "in.webp", "-o", "out.webp", "--overwrite", *asked).exit_code == 0
        return reader.read("out.webp").lossless

    photo("in.webp")
    assert (kinds(), kinds("--lossless")) == (False, True)
    Path("in.webp").write_bytes(Path("out.webp").read_bytes())
    assert (kinds(), kinds("--lossy")) == (True, False)


def test_what_a_format_has_no_place_for_is_said_once_and_named(doubling: str) -> None:
    """Through decoder processes and the threads that write."""
    text, camera = ("tEXt", b"prompt\0a cat"), "Ren\xe9e".encode()
    block = exif.block_of({0x013B: tiff.Entry(2, len(camera) + 1, camera + b"\0")}, "<")
    for name in ("a.png", "b.png"):
        photo(f"in/{name}", metadata=Metadata(block, others=(text, ("gAMA", bytes((0, 1, 134, 160))))))
    kept = run(doubling, "in", "-o", "kept")
    assert (kept.exit_code, "warning" in kept.stderr) == (0, False)
    assert text in reader.read("kept/a.png").metadata.others
    assert camera in reader.read("kept/a.png").metadata.exif
    done = process(doubling, "in", "-o", "out", "--format", "webp")
    lines = [line for line in done.stderr.decode().splitlines() if "place" in line]
    assert len(lines) == 2
    for line, name in zip(sorted(lines), ("a", "b"), strict=True):
        assert f"out/{name}.webp': a WEBP has no place for text 'prompt', colour (gAMA); left out" in line
    assert camera in reader.read("out/a.webp").metadata.exif


def test_pipes(doubling: str) -> None:
    content = photo("in.webp").read_bytes()
    piped = CliRunner().invoke(app, [doubling, "-", "-o", "-"], input=content)
    assert piped.exit_code == 0
    made = reader.read(piped.stdout_bytes)
    assert (made.width, made.height, made.format) == (10, 6, "webp")
    assert run(doubling, "in.webp", "-o", "-", "--format", "png").stdout_bytes.startswith(b"\x89PNG")
    assert run(doubling, "-", "-o", "out.png", given=content).exit_code == 0
    failed = run(doubling, "-", "-o", "-", given=b"text")
    assert (failed.exit_code, failed.stdout_bytes) == (1, b"")
    assert "gantools: '-': not a PNG" in failed.stderr


def test_a_photo_becomes_an_outline_first(doubling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def photo_preparation(path: Path) -> Preparation:
        asked.append(path)
        return Preparation(lambda image: Image(255 - image.pixels))

    monkeypatch.setattr("gantools.api.models.photo_preparation", photo_preparation)
    photo("in.png")
    assert run(doubling, "in.png", "--from", "photo").exit_code == 0
    assert asked == [Path(doubling)]
    assert (reader.read("in.doubling.png").pixels == 165).all()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_words_on_stderr(doubling: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    photo("in.png")
    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(SystemExit) as ended:
        app([doubling, "in.png"])
    assert ended.value.code == 0
    assert sys.stdout.getvalue() == "", "nothing on a terminal's stdout"  # type: ignore[attr-defined]
    assert "in.png → in.doubling.png (10×6)" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        app([doubling, "in.png", "-o", "-"])
    assert refused.value.code == 2
    assert "to the terminal" in capsys.readouterr().err


def process(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """``gantools infer`` in a process of its own, which ends by saying which heavy modules it imported."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SAYS_IMPORTS, *arguments]
    return subprocess.run(command, env=environment, timeout=120, capture_output=True, check=False)


def test_mistakes_are_found_without_torch_and_torchvision_is_never_imported(doubling: str) -> None:
    photo("in.png")
    for words, expected in (
        ((), (0, b"in.doubling.png\n{'torch'}\n")),
        ((), (2, b"set()\n")),
        (("--skip-existing",), (0, b"set()\n")),
    ):
        done = process(doubling, "in.png", *words)
        assert (done.returncode, done.stdout) == expected, done.stderr


def test_a_blend_lies_between_two_weights(doubling: str) -> None:
    writer.write(Image(np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)), Path("a.png"))
    for out, options in {"one": ["--blend", "1"], "half": ["--blend", "0.5"], "other": ["--blend", "0"]}.items():
        assert run("srgan", "a.png", "-o", f"{out}.png", *options).exit_code == 0
    one, half, other = (reader.read(f"{name}.png").pixels.astype(int) for name in ("one", "half", "other"))
    assert 0 < np.abs(half - other).mean() < np.abs(one - other).mean()
    assert 0 < np.abs(half - one).mean() < np.abs(one - other).mean()


def test_results_of_different_models_do_not_collide() -> None:
    photo("x.png")
    for model, options, name in (
        ("srgan", [], "x.srgan.png"),
        ("srgan/psnr", [], "x.srgan-psnr.png"),
        ("srgan", ["--blend", "0.5"], "x.srgan-0.5.png"),
        ("deblur", [], "x.deblur.png"),
        ("restore", [], "x.restore.png"),
    ):
        done = run(model, "x.png", "-n", *options)
        assert (done.exit_code, done.stdout) == (0, f"{name}\n"), done.stderr
        photo(name)


def test_a_dry_run_refuses_what_the_run_would_refuse(doubling: str) -> None:
    photo("in/a.png")
    writer.write(Image(np.zeros((30, 40, 3), np.uint8)), Path("in/large.png"))
    Path("in/text.png").write_text("no image")
    options = ("-o", "out", "--max-pixels", "1000")
    rehearsed, done = run(doubling, "in", *options, "-n"), run(doubling, "in", *options)
    assert (rehearsed.exit_code, rehearsed.stdout) == (3, "out/a.png\n")
    assert (done.exit_code, done.stdout) == (3, "out/a.png\n")
    failures = [line for line in rehearsed.stderr.splitlines() if line.startswith("gantools: ")]
    assert failures == [line for line in done.stderr.splitlines() if line.startswith("gantools: ")]
    assert "'in/large.png': 40×30 is 1,200 pixels, over the limit of 1,000" in failures[0]
    one = run("srgan", "in/large.png", "--max-pixels", "1200", "-n")
    assert (one.exit_code, one.stdout) == (1, "")
    assert (
        "the result of 160×120 would be 19,200 pixels, over the limit of 4,800; raise it with --max-pixels"
        in one.stderr
    )
    assert process("srgan", "in/large.png", "-n").stdout == b"in/large.srgan.png\nset()\n"


def test_a_dry_run_estimates_when_asked_and_help_says_the_limit(doubling: str) -> None:
    photo("in/a.png"), photo("in/b.png")
    assert "estimate" not in run(doubling, "in", "-o", "out", "-n").stderr
    done = run(doubling, "in", "-o", "out", "-n", "-v")
    line = done.stderr.splitlines()[-1]
    assert re.match(r"estimate: 2 images, 0\.00 megapixels through the network: about [0-9.]+ s on cpu", line)
    assert " GB of memory" in line
    assert files() == ["in/a.png", "in/b.png"]
    assert LARGEST_INPUT_PX == reader.MAX_PIXELS
    assert "134,217,728" in run("--help").stdout


def test_skipped_images_do_not_look_like_speed(doubling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        photo(f"in/{number}.png")
    for number in range(3):
        photo(f"out/{number}.png")
    advanced: list[tuple[int, int]] = []

    @contextmanager
    def counting(_name: str) -> Iterator[Any]:
        yield lambda done, total: advanced.append((done, total))

    monkeypatch.setattr("gantools.cli.commands.infer.progress", counting)
    done = run(doubling, "in", "-o", "out", "--skip-existing")
    assert (done.exit_code, advanced) == (0, [(1, 2), (2, 2)])


@pytest.mark.parametrize(
    ("options", "done", "advice"),
    [
        ([], 2, "with --skip-existing does"),
        (["--skip-existing"], 2, "does"),
        (["--overwrite"], 1, "with --skip-existing instead of --overwrite does"),
    ],
)
def test_a_stopped_run_says_how_to_go_on(
    doubling: str, options: list[str], done: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        photo(f"in/{number}.png")
    print_result, close = ResultPrinter.print, Results.close

    interrupted: list[Any] = []

    def stopped(self: ResultPrinter, result: Any) -> None:
        print_result(self, result)
        interrupted.append(result)
        raise KeyboardInterrupt

    def closed(self: Results) -> None:
        """What was under way is finished; how much that is depends on the machine, so two results are left."""
        close(self)
        if interrupted:
            photo("out/0.png"), photo("out/1.png"), [path.unlink() for path in Path("out").glob("[23].png")]

    with monkeypatch.context() as patch:
        patch.setattr(ResultPrinter, "print", stopped)
        patch.setattr(Results, "close", closed)
        ended = run(doubling, "in", "-o", "out", *options)
    line = f"stopped: {done} of 4 are done; the same command {advice} the rest"
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (130, line)
    photo("one.png")
    assert "stopped" not in run(doubling, "one.png").stderr, "a single image needs no such line"
