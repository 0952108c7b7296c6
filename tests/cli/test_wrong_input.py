"""What cannot be carried out: one line, exit 2, nothing left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import writer

Small = Callable[[str], list[str]]


@pytest.fixture
def refused(gantools: Any, here: Path) -> Callable[..., str]:
    """Run a command that must end with exit 2 and one line, and leave the folder as it was; gives the line."""

    def run(*arguments: str | Path) -> str:
        before = sorted(here.rglob("*"))
        ended = gantools(*arguments)
        assert (ended.code, ended.out) == (2, ""), ended.err
        line: str = ended.only_error
        assert sorted(here.rglob("*")) == before, "something was left behind"
        return line

    return run


Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a recipe (see `gantools list`), or resume a run: --resume RUN"),
        (("--max-time", "soon"), "--max-time soon: write a time such as 2h, 1h30m or 90s"),
        (("--max-time", ""), "--max-time : write a time such as 2h, 1h30m or 90s"),
        (("--max-time", "-5m"), "--max-time -5m: write a time such as 2h, 1h30m or 90s"),
        (("pix2pix",), "data.dir: no folder of training images; give one with --data DIR"),
        (("pix2pix", "--device", "gpu"), "--device gpu: no such device; give auto, cpu, cuda, cuda:N or mps"),
        (("pix2pix", "--device", "meta"), "--device meta: gantools runs on cpu, cuda and mps"),
        (("pix2pix", "--device", "cuda:99"), "--device cuda:99: this computer has "),
        (
            ("pix2pix", "--precision", "fp8"),
            "invalid value for '--precision': 'fp8' is not one of 'auto', 'fp32', 'bf16', 'fp16'; see gantools train",
        ),
        (("pix2pix", "--seed", "-1"), "command line: seed=-1: seed: should be greater than or equal to 0, not -1"),
        (("pix2pix", "--config", "gone.yaml"), "gone.yaml: cannot be read: No such file or directory"),
        (
            ("pix2pix/paper", "--config", "a.yaml"),
            "pix2pix/paper and --config a.yaml both name a configuration; give one",
        ),
        (
            ("pix2pix", "model.genrator.downs=3"),
            "command line: model.genrator.downs=3: model.genrator: unknown option; did",
        ),
        (("pix2pix", "seed"), "command line: 'seed': an override is KEY=VALUE"),
        (("--resume", "gone"), "gone: not a run directory (it has no config.yaml)"),
        (("--resume", "gone", "seed=3"), "gone: not a run directory (it has no config.yaml)"),
        (
            ("pix2pix", "--resume", "gone", "--config", "c", "--run-dir", "r", "--init-from", "w"),
            "--resume continues a run in its folder; leave out pix2pix, --config, --run-dir, --init-from",
        ),
        (
            ("pix2pix", "--extend", "100"),
            "--extend goes with --resume RUN; the length of a new run is a setting of its",
        ),
    ],
)
def test_train_arguments(arguments: tuple[str, ...], said: str, refused: Refused) -> None:
    assert said in refused("train", *arguments)


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_run_is_no_recipe(command: str, here: Path, refused: Refused) -> None:
    (here / "old").mkdir()
    (here / "old" / "config.yaml").write_text("recipe: pix2pix\n")
    assert "old: is a run: continue it with gantools train --resume old" in refused(command, "old")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.generator.in_channels=1", "model.generator: cannot take 32×32 px with 3 channels (data.crop_px): "),
        (
            "model.generator.out_channels=4",
            "model.generator: makes 32×32 px with 4 channels of 32×32 px with 3 channels",
        ),
        ("model.generator={name: srresnet, blocks: 1}", "model.generator: makes 128×128 px with 3 channels of 32×32"),
        ("model.generator.downs=6", "model.generator: cannot take 32×32 px"),
        ("data.crop_px=20", "model.generator: cannot take 20×20 px"),
        ("model.discriminator.downs=5", "model.discriminator: cannot take 32×32 px with 6 channels (data.crop_px): "),
        (
            "model.discriminator={name: srgan}",
            "model.discriminator: cannot take 32×32 px with 6 channels (data.crop_px): d",
        ),
    ],
)
def test_networks_that_do_not_fit_the_pictures(
    override: str, said: str, refused: Refused, drawn: dict[str, Path], small: Small
) -> None:
    arguments = ("pix2pix/paper", "--data", drawn["pix2pix"], *small("pix2pix/paper"), override)
    assert refused("train", *arguments).startswith(said)
    assert refused("check", *arguments[:1], *arguments[3:], *arguments[1:3]).startswith(said)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.generator.in_channels=1", "model.generator: cannot take 8×8 px with 3 channels (data.crop_px): "),
        ("model.discriminator.crop_px=96", "srgan takes 96×96 px crops and got 32×32; set its crop_px"),
        ("model.perceptual={weights: gone.pth}", "perceptual weights: no file gone.pth"),
        ("model.perceptual={network: vgg16, weights: random, layers: [x]}", 'vgg16 has no layer "x"'),
    ],
)
def test_what_only_the_second_stage_would_meet_is_found_before_the_first(
    override: str, said: str, refused: Refused, drawn: dict[str, Path], small: Small
) -> None:
    assert said in refused("train", "srgan/mse", "--data", drawn["srgan"], *small("srgan/mse"), override)


def test_several_mistakes_are_a_line_each(gantools: Any, here: Path) -> None:
    ended = gantools("train", "pix2pix", "seed=x", "data.flip=maybe")
    assert (ended.code, ended.out) == (2, "")
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["gantools"] * 2
    assert list(here.iterdir()) == []


def test_control_characters_in_a_configuration_do_not_reach_the_terminal(refused: Refused, here: Path) -> None:
    (here / "a.yaml").write_text(
        'recipe: pix2pix\n"\\e[31mred\\n": 1\nstages: {adversarial: {steps: 1, optimizers: {}}}\n'
    )
    assert refused("train", "pix2pix", "--config", "a.yaml").startswith("a.yaml:2: \\x1b[31mred\\n: unknown option")


@pytest.mark.parametrize("command", ["train", "check"])
def test_data_folders(command: str, refused: Refused, here: Path, drawn: dict[str, Path]) -> None:
    def told(*data: str) -> str:
        return refused(command, "pix2pix/paper", *(part for name in data for part in ("--data", name)))

    (here / "empty").mkdir()
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text("no picture")
    shutil.copytree(drawn["pix2pix"], here / "pairs" / "source")
    shutil.copytree(drawn["pix2pix"], here / "pairs" / "target")
    (here / "pairs" / "target" / "00002.png").unlink()
    assert told("gone") == "data.dir: 'gone' does not exist; give a folder with --data DIR"
    assert told("texts/a.txt") == "data.dir: 'texts/a.txt' is a file; give a folder of images with --data DIR"
    assert told("empty").startswith("data.dir: 'empty' holds no images: 0 files seen, none ends in ")
    assert told("texts").startswith("data.dir: 'texts' holds no images: 1 files seen, none ends in ")
    assert told("pairs") == (
        "data.dir: 1 files have no partner (source/00002.png); the two files of a pair need the same name"
    )
    assert "'gone' does not exist" in told(str(drawn["pix2pix"]), "gone")


PRESETS = ("pix2pix/paper", "pix2pix/edges2shoes", "pix2pix/facades", "pix2pix/shoes-64", "pix2pix/colorize")


@pytest.mark.parametrize(
    "preset", [*PRESETS, "deblur/motion", "srgan/mse", "restore/crappify", "context_encoder/center"]
)
def test_folders_of_the_same_names_are_refused_by_all_alike(
    preset: str, refused: Refused, here: Path, drawn: dict[str, Path]
) -> None:
    for folder in ("one", "two"):
        shutil.copytree(drawn["pix2pix"], here / "set" / folder)
    said = {refused(command, preset, "--data", "set") for command in ("check", "train")}
    said = {line.replace(" data.direction=a2b", "") for line in said}
    (line,) = said if preset not in PRESETS else {*said, refused("data", "inspect", "set")}
    assert line.startswith("data.dir: 'one' and 'two' in 'set' hold files of the same names; type ")
    assert line.endswith(
        "--data set/two to use one of them, --data set/one --data set/two to use both as single images"
    )


def bad_data(here: Path, drawn: dict[str, Path]) -> dict[str, tuple[tuple[str | Path, ...], str]]:
    """Data sets that cannot train, by what is wrong with them: what is typed and what is said."""
    fruit, photos = here / "fruit", drawn["srgan"]
    shutil.copytree(photos, fruit / "trainA")
    (fruit / "trainB").mkdir()
    (here / "odd").mkdir()
    for name in ("a", "b", "c", "d"):
        writer.write(Image(np.zeros((64, 129, 3), np.uint8)), here / "odd" / f"{name}.png")
    writer.write(Image(np.full((9, 9, 3), 255, np.uint8)), here / "mask.png")
    np.save(here / "zeros.npy", np.zeros((3, 3)))
    return {
        "an empty side": (("cyclegan/paper", "--data", fruit), "holds no images"),
        "an odd width": (("pix2pix/facades", "data.layout=ab", "--data", here / "odd"), "is 129 pixels wide"),
        "a mask of another size": (
            ("context_encoder/random_block", "--data", photos, "data.mask={name: file, path: mask.png}"),
            "'mask.png' is 9x9 but data.crop_px is ",
        ),
        "a kernel of zeros": (
            ("deblur/motion", "--data", photos, "data.blur.kernel_files=[zeros.npy]", "data.blur.measured_weight=1"),
            "'zeros.npy', kernel 1 of 1: is all zeros, so it is no blur kernel",
        ),
    }


@pytest.mark.parametrize("wrong", ["an empty side", "an odd width", "a mask of another size", "a kernel of zeros"])
def test_data_that_cannot_train(wrong: str, refused: Refused, here: Path, drawn: dict[str, Path], small: Small) -> None:
    arguments, said = bad_data(here, drawn)[wrong]
    for command in ("check", "train"):
        assert said in refused(command, arguments[0], *small(str(arguments[0])), *arguments[1:])


def test_a_run_directory_that_holds_something(
    refused: Refused, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    (here / "run").mkdir()
    (here / "run" / "mine.txt").write_text("keep me")
    arguments = ("pix2pix/paper", "--data", drawn["pix2pix"], *small("pix2pix/paper"))
    assert refused("train", *arguments, "--run-dir", "run") == (
        "--run-dir run: not empty; continue that run with --resume run, or name a new folder"
    )
    assert refused("train", *arguments, "--run-dir", "run/mine.txt").startswith("--run-dir run/mine.txt: ")


def test_weights_to_start_from(refused: Refused, here: Path, drawn: dict[str, Path], small: Small) -> None:
    arguments = ("pix2pix/paper", "--data", drawn["pix2pix"], *small("pix2pix/paper"))
    (here / "bad.safetensors").write_text("no weights")
    assert "gone.safetensors: cannot be read" in refused("train", *arguments, "--init-from", "gone.safetensors")
    assert "not an intact safetensors file" in refused("train", *arguments, "--init-from", "bad.safetensors")


def test_a_text_file_named_like_a_picture(
    gantools: Any, refused: Refused, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    shutil.copytree(drawn["srgan"], here / "photos")
    (here / "photos" / "note.jpg").write_text("no picture")
    arguments = ("srgan/mse", "--data", "photos", *small("srgan/mse"), "data.validation_share=0")
    for command in ("check", "train"):
        assert refused(command, *arguments) == (
            "data: 1 of 5 images cannot be read ('note.jpg'), more than data.max_unreadable_share=0.001 allows; "
            "fix or remove them, or raise it"
        )
    tolerant = gantools("train", *arguments, "data.max_unreadable_share=0.2")
    assert tolerant.code == 0
    assert "left out: 'photos/note.jpg': not a PNG, JPEG, WebP, TIFF, BMP or PPM image" in tolerant.err


def test_a_picture_cut_short_stops_training_by_name(
    gantools: Any, here: Path, drawn: dict[str, Path], small: Small
) -> None:
    """Its header is sound, so it is found when it is read."""
    shutil.copytree(drawn["srgan"], here / "photos")
    cut = here / "photos" / "00001.png"
    cut.write_bytes(cut.read_bytes()[:-500])
    arguments = ("srgan/mse", "--data", "photos", "--run-dir", "run", *small("srgan/mse"), "data.validation_share=0")
    ended = gantools("train", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1].startswith(
        "gantools: data: 1 of 4 images cannot be read ('00001.png'), more than "
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.yaml",), "gone.yaml: cannot be read: No such file or directory"),
        (("pix2pix/paper", "data.crop_px=300"), "data: crop_px: must not exceed load_px"),
        (("pix2pix/paper", "--device", "gpu"), "--device gpu: no such device"),
        (("srgan/compact", "--data", "gone"), "'gone' does not exist"),
    ],
)
def test_check_finds_problems(arguments: tuple[str, ...], said: str, refused: Refused) -> None:
    assert said in refused("check", *arguments)


def test_check_reads_a_file(gantools: Any, refused: Refused, here: Path) -> None:
    (here / "nobody.yaml").write_text("seed: 1\n")
    assert refused("check", "nobody.yaml").startswith(
        "nobody.yaml: recipe: None is no recipe; known: cgan, context_encoder, cyclegan,"
    )
    (here / "list.yaml").write_text("- 1\n")
    assert refused("check", "list.yaml") == "list.yaml: a configuration is a mapping of keys to values, this is a list"
