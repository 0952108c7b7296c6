"""What cannot be carried out: exit code 2, one line that says why, nothing written."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantools.images.image import Image
from gantools.images.io import writer
from gantools.models.options import CompactSROptions, ContextEncoderOptions, ResNetOptions
from tests.cli.conftest import store

# COMMAND[+COMMAND…] ARGUMENTS :: a part of the line. DRAWN is drawn data for the recipe, SMALL makes its preset tiny.
REFUSALS = r"""
train :: name a recipe (see `gantools list`), or resume a run: --resume RUN
train --max-time soon :: --max-time soon: write a time such as 2h, 1h30m or 90s
train --max-time '' :: --max-time : write a time such as 2h, 1h30m or 90s
train --max-time -5m :: --max-time -5m: write a time such as 2h, 1h30m or 90s
train pix2pix :: data.dir: no folder of training images; give one with --data DIR
train+check pix2pix --device gpu :: --device gpu: no such device; give auto, cpu, cuda, cuda:N or mps
train pix2pix --device meta :: --device meta: gantools runs on cpu, cuda and mps
train pix2pix --device cuda:99 :: --device cuda:99: this computer has
train pix2pix --precision fp8 :: invalid value for '--precision': 'fp8' is not one of 'auto', 'fp32', 'bf16', 'fp16';
train pix2pix --seed -1 :: command line: seed=-1: seed: should be greater than or equal to 0, not -1
train pix2pix --config gone.yaml :: gone.yaml: cannot be read: No such file or directory
train pix2pix/paper --config a.yaml :: pix2pix/paper and --config a.yaml both name a configuration; give one
train pix2pix model.genrator.downs=3 :: command line: model.genrator.downs=3: model.genrator: unknown option; did
train pix2pix seed :: command line: 'seed': an override is KEY=VALUE
train --resume gone :: 'gone': not a run directory (it has no config.yaml)
train --resume gone seed=3 :: 'gone': not a run directory (it has no config.yaml)
train pix2pix --resume r --config c --run-dir r --init-from w :: leave out pix2pix, --config, --run-dir, --init-from
train pix2pix --extend 100 :: --extend goes with --resume RUN; the length of a new run is a setting of its
train+check old :: old: is a run: continue it with gantools train --resume old
train pix2pix --config control.yaml :: control.yaml:2: \x1b[31mred\n: unknown option

check gone.yaml :: gone.yaml: cannot be read: No such file or directory
check pix2pix/paper data.crop_px=300 :: data: crop_px: must not exceed load_px
check nobody.yaml :: nobody.yaml: recipe: None is no recipe; known: cgan, context_encoder, cyclegan,
check list.yaml :: list.yaml: a configuration is a mapping of keys to values, this is a list
show+check+schema+train pix2px :: unknown recipe 'pix2px'; did you mean "pix2pix"?
show+check+schema+train srgn :: unknown recipe 'srgn'; did you mean "srgan"?
show+check+train srgan/compct :: srgan has no preset 'compct'; did you mean "compact"?
bench deblur debblur :: unknown recipe 'debblur'; did you mean
report+watch empty :: not a run directory

train+check pix2pix/paper --data gone :: data.dir: 'gone' does not exist; give a folder with --data DIR
train+check pix2pix/paper --data a.txt :: data.dir: 'a.txt' is a file; give a folder of images with --data DIR
train+check pix2pix/paper --data empty :: data.dir: 'empty' holds no images: 0 files seen, none ends in
train+check pix2pix/paper --data full :: data.dir: 'full' holds no images: 1 files seen, none ends in
train+check pix2pix/paper --data pairs :: data.dir: 1 files have no partner (source/b.png); the two files of a pair
train+check pix2pix/paper --data DRAWN --data gone :: 'gone' does not exist
train+check srgan/compact --data gone :: 'gone' does not exist
train+check cyclegan/paper SMALL --data fruit :: holds no images
train+check pix2pix/facades SMALL data.layout=ab --data odd :: is 129 pixels wide
train+check context_encoder/random_block SMALL --data DRAWN 'data.mask={name: file, path: m.png}' :: 'm.png' is 9x9
train+check deblur/motion SMALL --data DRAWN data.blur.kernel_files=[zeros.npy] data.blur.measured_weight=1 :: all

train+check pix2pix/paper --data DRAWN SMALL model.generator.in_channels=1 :: model.generator: cannot take 32×32 px
train+check pix2pix/paper --data DRAWN SMALL model.generator.out_channels=4 :: model.generator: makes 32×32 px with 4
train+check pix2pix/paper --data DRAWN SMALL 'model.generator={name: srresnet, blocks: 1}' :: makes 128×128 px with 3
train+check pix2pix/paper --data DRAWN SMALL model.generator.downs=6 :: model.generator: cannot take 32×32 px
train+check pix2pix/paper --data DRAWN SMALL data.crop_px=20 :: model.generator: cannot take 20×20 px
train+check pix2pix/paper --data DRAWN SMALL model.discriminator.downs=5 :: model.discriminator: cannot take 32×32 px
train+check pix2pix/paper --data DRAWN SMALL 'model.discriminator={name: srgan}' :: model.discriminator: cannot take
train+check srgan/mse --data DRAWN SMALL model.generator.in_channels=1 :: model.generator: cannot take 8×8 px with 3
train+check srgan/mse --data DRAWN SMALL model.discriminator.crop_px=96 :: srgan takes 96×96 px crops and got 32×32;
train+check srgan/mse --data DRAWN SMALL 'model.perceptual={weights: gone.pth}' :: perceptual weights: no file
train srgan/mse --data DRAWN SMALL 'model.perceptual={network: vgg16, weights: random, layers: [x]}' :: has no layer
train pix2pix/paper --data DRAWN SMALL --run-dir full :: --run-dir full: not empty; continue that run with --resume
train pix2pix/paper --data DRAWN SMALL --run-dir a.txt :: --run-dir a.txt:
train pix2pix/paper --data DRAWN SMALL --init-from gone.safetensors :: 'gone.safetensors': no such weights file
train pix2pix/paper --data DRAWN SMALL --init-from nobody :: no weights of 'nobody' are installed
train pix2pix/paper --data DRAWN SMALL --init-from bad.safetensors :: not an intact safetensors file

infer no-such-recipe in.png :: no weights of 'no-such-recipe' are installed
infer ./gone.safetensors in.png :: no such weights file
infer in.png in.png :: 'in.png': is an image, not a model: type the model first, as in gantools infer srgan in.png
infer in.png :: 'in.png': is an image, not a model: type the model first
infer bad.safetensors in.png :: not an intact safetensors file
infer doubling.safetensors :: no input
infer doubling.safetensors gone.png :: no such file or folder: 'gone.png'
infer doubling.safetensors low :: -o DIR
infer doubling.safetensors in.png --skip-existing --overwrite :: contradict
infer doubling.safetensors in.png -o - --json :: both want standard output
infer doubling.safetensors in.png --print0 --json :: both want standard output
infer doubling.safetensors in.png --print0 -o - :: both want standard output
infer doubling.safetensors - --files-from - :: both want standard input
infer doubling.safetensors in.png -0 :: give --files-from
infer doubling.safetensors --files-from gone :: --files-from 'gone': cannot be read
infer doubling.safetensors in.png --shard 3/2 :: --shard 3/2: give I/N
infer doubling.safetensors in.png --shard auto :: --shard auto: no scheduler's variables are set: RANK and WORLD_SIZE
infer doubling.safetensors in.png --shard 0/2 :: --shard 0/2: give I/N
infer doubling.safetensors in.png --tile big :: --tile big: give auto or a number
infer doubling.safetensors in.png --batch 0 :: --batch 0: give auto or a number
infer doubling.safetensors in.png --device gpu :: --device gpu: no such device
infer doubling.safetensors in.png --export b2a :: has no such network
infer doubling.safetensors in.png --depth 16 -o x.jpg :: JPEG holds no 16-bit samples
infer doubling.safetensors in.png --lossless -o x.jpg :: JPEG always loses a little
infer doubling.safetensors in.png --blend-with srgan :: add --blend
infer srgan in.png --scale-to trained :: --scale-to trained: this network was trained on images at their own size
infer both.safetensors in.png -o x.png :: translates both ways; give --direction a2b or --direction b2a
infer doubling.safetensors in.png --direction a2b :: --direction a2b: 'doubling.safetensors' has no directions; leave
infer both.safetensors in.png --direction a2b --export b2a :: --export b2a and --direction a2b both name a network
infer both.safetensors in.png --direction c2d :: invalid value for '--direction':
infer filler.safetensors in.png :: 'in.png': what is missing? make it white in a mask (--mask FILE, or --mask center),
infer filler.safetensors in.png --mask m.png :: 'in.png': mask 'm.png' is 9×9, the image 40×30; make both the same
infer filler.safetensors in.png --mask none.png :: --mask 'none.png': no such file or folder;
infer filler.safetensors in.png --mask hole.png :: a missing part of 20×20 px at (5, 4) is larger than the 12×12 px
infer pix2pix in.png --kernel kernel.npy :: type deblur instead of 'pix2pix'
infer deblur in.png --kernel kernel.npy --mask center :: leave out --mask
infer deblur in.png --kernel kernel.npy --direction a2b --export x :: --export, --direction
infer deblur in.png --kernel absent.npy :: 'absent.npy': no such kernel file
infer deblur in.png --kernel in.png :: a kernel file ends in .npy or .mat
infer deblur in.png --kernel zeros.npy :: is all zeros
infer deblur in.png --kernel two.npy :: choose one: 'two.npy#1' to 'two.npy#2'
infer deblur absent.png --kernel kernel.npy :: no such file or folder: 'absent.png'

compare srgan -o c.html :: there is no image
compare low -o c.html :: there is no model
compare srgan low -o c.txt :: a comparison is a page (.html) or an image (.png)
compare srgam low -o c.html :: did you mean "srgan"
compare srgan none.png -o c.html :: no such image
compare srgan low -o there.html :: exists already; --overwrite
compare srgan low -o c.html --metrics l1 :: give --truth DIR
compare srgan low -o c.html --truth none :: none: no such folder
compare srgan low -o c.html --truth low --metrics hole_psnr :: gantools eval --data DIR
compare srgan low -o d.png --blend-with deblur :: add --blend
compare pix2pix srgan low -o c.png --scale-to trained :: --scale-to trained: this network was trained on images at
eval :: give a model and --data DIR, or --pairs
eval srgan :: give a model and --data DIR
eval srgan --data nowhere :: nowhere: no such folder
eval srgam --data low :: did you mean "srgan"
eval srgan --data low --metrics psnr_v :: unknown metric 'psnr_v'
eval --pairs empty empty :: holds no images
eval srgan data.scale=2 --data low --inputs realistic :: is a fixed chain: leave out data.scale=2
eval srgan --data low --inputs real :: realistic
eval srgan --data low --fail-under 28 :: a limit is METRIC=NUMBER
eval srgan --data low --fail-under psnr=x :: a limit is METRIC=NUMBER
eval srgan --data low --fail-under colorfulness=30 :: neither more nor less is better
eval srgan --pairs low low :: compares two folders without a model
eval srgan --data low --blend 2 :: --blend 2: give a number from 0 to 1

weights info vgg17 :: did you mean "vgg1
weights info ./none.safetensors :: no such weights file
weights info bad.safetensors :: not an intact safetensors file
weights fetch vgg17 :: did you mean "vgg1
weights fetch vgg16 --from none.pth :: no such file
weights fetch vgg16 --from a.txt :: sha256 is not 397923af
weights export absent :: 'absent': not a run
data synth srgn -o set :: unknown recipe 'srgn'; did you mean
data synth srgan -o full :: -o full: exists and is not empty; name a new folder
data synth srgan -o full/mine.txt :: -o full/mine.txt: exists and is not empty; name a new folder
data gray nothing -o new :: no such folder: 'nothing'
data gray low -o low :: inputs are never written over
data blur low -o new --kernel zeros.npy :: 'zeros.npy', kernel 1 of 1: is all zeros, so it is no blur kernel
data crappify low -o new jpg.quality=[1,2] :: command line: jpg.quality=[1,2]: jpg: unknown option; did you mean
data crappify low -o new jpeg.quality=[20,10] :: 20 must not exceed 10
data split split -o new :: 'split' is split already: it has a folder 'val'
data inspect none :: 'none' does not exist
data inspect empty :: 'empty' holds no images
"""
CASES = [
    (f"{command} {arguments}".strip(), line)
    for typed, _, line in (row.partition(" :: ") for row in REFUSALS.splitlines() if row)
    for commands, _, arguments in [typed.partition(" ")]
    for command in commands.split("+")
]


def save_image(name: str, width: int = 8, height: int = 8, value: int = 90) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    writer.write(Image(np.full((height, width, 3), value, np.uint8)), Path(name))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, weights, kernels and configurations, which no refused command may change."""
    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("low/a.png", "pairs/source/a.png", "pairs/source/b.png", "pairs/target/a.png", "split/val/a.png"):
            save_image(name)
        for number in range(4):
            save_image(f"odd/{number}.png", 129, 64)
            save_image(f"fruit/trainA/{number}.png", 64, 64)
        save_image("in.png", 40, 30)
        save_image("m.png", 9, 9, 255)
        hole = np.zeros((30, 40, 3), np.uint8)
        hole[4:24, 5:25] = 255
        writer.write(Image(hole), Path("hole.png"))
        for name in ("empty", "full", "fruit/trainB", "old"):
            Path(name).mkdir()
        for name in ("a.txt", "full/mine.txt", "bad.safetensors", "there.html"):
            Path(name).write_text("mine")
        Path("old/config.yaml").write_text("recipe: pix2pix\n")
        Path("nobody.yaml").write_text("seed: 1\n")
        Path("list.yaml").write_text("- 1\n")
        Path("control.yaml").write_text(
            'recipe: pix2pix\n"\\e[31mred\\n": 1\nstages: {adversarial: {steps: 1, optimizers: {}}}\n'
        )
        np.save("kernel.npy", np.eye(3))
        np.save("zeros.npy", np.zeros((3, 3)))
        np.save("two.npy", np.ones((2, 3, 3)))
        store(Path("doubling.safetensors"), CompactSROptions(scale=2, channels=4, blocks=1))
        store(Path("both.safetensors"), ResNetOptions(base_channels=2, downs=1, blocks=1), "a2b", "b2a")
        filler = ContextEncoderOptions(overlap_px=2, downs=3, base_channels=4, bottleneck_channels=8)
        store(Path("filler.safetensors"), filler, takes="masked")
    return folder


@pytest.mark.parametrize(("typed", "line"), CASES, ids=[typed for typed, _ in CASES])
def test_a_refusal(
    typed: str,
    line: str,
    gantools: Any,
    workplace: Path,
    drawn: dict[str, Path],
    small: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("GANTOOLS_HOME", str(workplace / "home"))
    before = sorted(workplace.rglob("*"))
    words: list[str] = []
    for word in shlex.split(typed):
        words += small(words[1]) if word == "SMALL" else [word]
    words = [str(drawn[words[1].partition("/")[0]]) if word == "DRAWN" else word for word in words]
    ended = gantools(*words)
    lines = [each for each in ended.err.splitlines() if not each.startswith("weights: ")]
    assert (ended.code, ended.out, len(lines)) == (2, "", 1), ended.err
    assert lines[0].startswith("gantools: ")
    assert lines[0].isprintable()
    assert line in lines[0]
    assert sorted(workplace.rglob("*")) == before, "something was written"


def test_several_mistakes_are_a_line_each(gantools: Any, here: Path) -> None:
    ended = gantools("train", "pix2pix", "seed=x", "data.flip=maybe")
    assert (ended.code, ended.out) == (2, "")
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["gantools"] * 2
    assert list(here.iterdir()) == []


PIX2PIX = ("pix2pix/paper", "pix2pix/edges2shoes", "pix2pix/facades", "pix2pix/shoes-64", "pix2pix/colorize")


@pytest.mark.parametrize(
    "preset", [*PIX2PIX, "deblur/motion", "srgan/mse", "restore/crappify", "context_encoder/center"]
)
def test_folders_of_the_same_names_are_refused_alike(
    preset: str, gantools: Any, here: Path, drawn: dict[str, Path]
) -> None:
    for folder in ("one", "two"):
        shutil.copytree(drawn["pix2pix"], here / "set" / folder)
    commands = [(command, preset, "--data", "set") for command in ("check", "train")]
    commands += [("data", "inspect", "set")] if preset in PIX2PIX else []
    (line,) = {gantools(*command).only_error.replace(" data.direction=a2b", "") for command in commands}
    assert line.startswith("data.dir: 'one' and 'two' in 'set' hold files of the same names; type ")
    assert line.endswith(
        "--data set/two to use one of them, --data set/one --data set/two to use both as single images"
    )


def test_an_unreadable_image_is_refused_or_left_out(
    gantools: Any, here: Path, drawn: dict[str, Path], small: Callable[[str], list[str]]
) -> None:
    """What its header shows is found before the run, the rest when it is read."""
    for name in ("text", "cut"):
        shutil.copytree(drawn["srgan"], here / name)
    (here / "text" / "note.jpg").write_text("no image")
    cut = here / "cut" / "00001.png"
    cut.write_bytes(cut.read_bytes()[:-500])
    arguments = ("srgan/mse", *small("srgan/mse"), "data.validation_share=0", "--data")
    for command in ("check", "train"):
        refused = gantools(command, *arguments, "text")
        assert (refused.code, refused.out, refused.only_error) == (
            2,
            "",
            "data: 1 of 5 images cannot be read ('note.jpg'), more than data.max_unreadable_share=0.001 allows; "
            "fix or remove them, or raise it",
        )
    tolerant = gantools("train", *arguments, "text", "data.max_unreadable_share=0.2")
    assert tolerant.code == 0
    assert "left out: 'text/note.jpg': not a PNG, JPEG, WebP, TIFF, BMP or PPM image" in tolerant.err
    ended = gantools("train", *arguments, "cut", "--run-dir", "run")
    assert (ended.code, ended.out) == (2, "")
    line = ended.err.splitlines()[-1]
    assert line.startswith("gantools: data: 1 of 4 images cannot be read ('00001.png'), more than ")
