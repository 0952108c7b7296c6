"""Faults of data and settings: pictures that cannot be read, what cannot be trained, workers that differ."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch

from gantools.data.datasets.paired import PairedDataset
from gantools.data.loading import loader
from gantools.data.options.datasets import PairedData
from gantools.data.synthetic import drawing
from gantools.errors import DataError
from tests.faults.harness import Outcome, Trial
from tests.faults.micro import SHARED, micro, run, spawn

SECONDS = 5.0
PATIENCE_SECONDS = 120.0


def _hashes(data: PairedDataset, workers: int, batches: int) -> tuple[str, list[str]]:
    """One digest of all that the loader gives, and what it warned of."""
    said: list[str] = []
    digest = hashlib.sha256()
    stream = loader.batches(data, batch_images=4, start_batch=0, seed=3, workers=workers, warn=said.append)
    for batch in islice(stream, batches):
        for value in vars(batch).values():
            digest.update(value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode())
    stream.close()
    return digest.hexdigest(), said


def augmentation(trial: Trial) -> Outcome:
    """What a sample becomes depends on the seed, the epoch and the picture; not on who makes it."""
    outcome = Outcome()
    training = micro(trial.folder)
    options = PairedData(dir=str(training.data), load_px=40, crop_px=32, validation_share=0.25)
    data = PairedDataset(options, "training", seed=3)
    wanted, _ = _hashes(data, 0, 9)
    for workers in (1, 2, 4):
        outcome.case(_hashes(data, workers, 9)[0] == wanted, f"{workers} workers make other samples than none")
    stream = loader.batches(data, batch_images=4, start_batch=0, seed=3, workers=2)
    pictures = {value.numpy().tobytes() for batch in islice(stream, 9) for value in batch.target}  # type: ignore[attr-defined]
    stream.close()
    outcome.case(len(pictures) > 30, f"36 samples of 6 pictures are only {len(pictures)} different ones")
    return outcome


def unreadable(trial: Trial) -> Outcome:
    """Some of many pictures are damaged: each named once, replaced alike by any workers, and too many end the run."""
    outcome, chance = Outcome(), trial.random()
    count, bad = trial.count(100, 1000), trial.count(4, 20)
    folder = trial.folder / "pictures"
    drawing.draw_dataset("shoes", folder, count=count, size_px=20, seed=1)
    damaged = chance.sample(sorted(folder.iterdir()), bad)
    for number, path in enumerate(damaged):
        whole = path.read_bytes()
        path.write_bytes((whole[: len(whole) // 2], b"no picture", b"", whole[:40])[number % 4])
    data = PairedDataset(_tolerant(folder, 0.05), "training", seed=3)
    one, named = _hashes(data, 0, count // 2)
    for path in damaged:
        said = [line for line in named if path.name in line]
        outcome.case(len(said) == 1, f"{path.name} is named {len(said)} times")
    outcome.case(len(named) == bad, f"{len(named)} files are named, {bad} are damaged")
    other, _ = _hashes(data, 2, count // 2)
    outcome.case(one == other, "two workers make other samples")
    strict = PairedDataset(_tolerant(folder, 0.001), "training", seed=3)
    outcome.case(_stops(strict, count // 2), "too many damaged pictures do not end the loading")
    found = run(trial.folder / "said", "data", "inspect", "--json", folder)
    outcome.case(all(path.name in found.out + found.err for path in damaged), "inspect does not find them all")
    outcome.figures["damaged"] = f"{bad} of {count}"
    return outcome


def _tolerant(folder: Path, share: float) -> PairedData:
    return PairedData(dir=str(folder), load_px=18, crop_px=16, validation_share=0.0, max_unreadable_share=share)


def _stops(data: PairedDataset, batches: int) -> bool:
    try:
        _hashes(data, 0, batches)
    except DataError as error:
        return "max_unreadable_share" in str(error)
    return False


# --- what cannot be trained


def gauntlet(trial: Trial) -> Outcome:
    """Wrong settings and data: one line that says what is wrong, exit 2, nothing written, before any network learns."""
    outcome, slowest = Outcome(), 0.0
    training = micro(trial.folder)
    for number, (name, arguments, wanted) in enumerate(_wrong(trial.folder, training.data)):
        folder = trial.folder / f"run-{number}"
        ended = spawn(trial.folder / "said" / name, "train", *arguments, "--run-dir", folder).end(PATIENCE_SECONDS)
        slowest = max(slowest, ended.seconds)
        kept = ended.code == 2 and ended.one_line and wanted in ended.err and not ended.out and not folder.exists()
        kept &= ended.seconds < trial.patience(SECONDS)
        outcome.case(kept, f"{name}: exit {ended.code}, {ended.seconds:.1f} s, {ended.err[-300:]}")
    outcome.figures["slowest"] = f"{slowest:.1f} s"
    return outcome


Case = tuple[str, tuple[str | Path, ...], str]


def _wrong(folder: Path, good: Path) -> Iterator[Case]:
    """A name, what is typed after ``train``, and what the answer must contain."""
    for text, wanted in SETTINGS.items():
        yield text.replace("/", "-"), ("pix2pix/paper", "--data", good, text), wanted
    for name, (make, wanted) in FOLDERS.items():
        make(folder / name, good)
        layout = ("data.layout=folders",) if name == "no pairs" else ()
        yield name, ("pix2pix/paper", "--data", folder / name, *SHARED, *layout), wanted
    for name, (text, wanted) in FILES.items():
        path = folder / f"{name}.yaml"
        path.write_bytes(text)
        yield name, ("pix2pix", "--config", path, "--data", good), wanted
    yield "no recipe", ("pix3pix", "--data", good), "did you mean"
    yield "no preset", ("pix2pix/papr", "--data", good), "paper"
    yield "no data", ("pix2pix/paper",), "--data DIR"
    yield "no device", ("pix2pix/paper", "--data", good, "--device", "cuda:7"), "--device cuda:7"
    yield "no weights", ("pix2pix/paper", "--data", good, "--init-from", folder / "none"), "none"
    yield "other weights", ("pix2pix/paper", "--data", good, "--init-from", good / "00000.png"), "00000.png"
    yield "no time", ("pix2pix/paper", "--data", good, "--max-time", "soon"), "--max-time soon"


SETTINGS = {
    "seed=-1": "seed",
    "seed=x": "seed",
    "sead=1": "did you mean",
    "data.batch_images=0": "data.batch_images",
    "data.batch_images=2.5": "data.batch_images",
    "data.workers=-1": "data.workers",
    "data.validation_share=2": "data.validation_share",
    "data.crop_px=0": "data.crop_px",
    "data.crop_px=20": "cannot take 20×20 px",
    "model.generator.downs=9": "model.generator: cannot take",
    "model.generator.in_channels=1": "model.generator: cannot take",
    "model.generator.name=unett": "did you mean",
    "model.discriminator={name: srgan}": "model.discriminator: cannot take",
    "stages.adversarial.steps=10": "either as steps or as epochs",
    "stages.adversarial.epochs=-1": "stages.adversarial.epochs",
    "stages.adversarial.optimizers.generator.lr=0": "lr",
    "stages.adversarial.optimizers.generator.lr=fast": "lr",
    "stages.adversarial.optimizers.critic={}": "critic",
    "train.keep_checkpoints=1": "train.keep_checkpoints",
    "train.ema_decay=1.5": "train.ema_decay",
    "train.precision=fp8": "train.precision",
    "train.log_every_steps=": "train.log_every_steps",
}

FILES = {
    "not yaml": (b"recipe: pix2pix\nseed: [\n", "not valid YAML"),
    "not utf-8": (b"recipe: \xff\n", "not UTF-8"),
    "a list": (b"- recipe\n", "a list.yaml"),
    "of another recipe": (b"recipe: srgan\n", "srgan"),
    "with an alias": (b"recipe: pix2pix\na: &a 1\nb: *a\n", "alias"),
    "with a key twice": (b"recipe: pix2pix\nseed: 1\nseed: 2\n", "seed"),
    "empty": (b"", "empty.yaml"),
}


def _empty(folder: Path, good: Path) -> None:
    folder.mkdir()


def _texts(folder: Path, good: Path) -> None:
    folder.mkdir()
    (folder / "a.txt").write_text("no picture")


def _disguised(folder: Path, good: Path) -> None:
    folder.mkdir()
    for path in good.iterdir():
        (folder / path.name).write_text("no picture")


def _unpaired(folder: Path, good: Path) -> None:
    for side in ("source", "target"):
        shutil.copytree(good, folder / side)
    (folder / "target" / "00002.png").unlink()


def _nothing_in_common(folder: Path, good: Path) -> None:
    for side in ("source", "target"):
        (folder / side).mkdir(parents=True)
        for path in good.iterdir():
            shutil.copy(path, folder / side / f"{side * (1 + int(path.stem))}.png")


FOLDERS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "an empty folder": (_empty, "holds no images: 0 files seen"),
    "no pictures": (_texts, "holds no images: 1 files seen"),
    "disguised texts": (_disguised, "cannot be read"),
    "one without a partner": (_unpaired, "source/00002.png"),
    "no pairs": (_nothing_in_common, "partner"),
    "no folder": (lambda folder, good: None, "does not exist"),
}
