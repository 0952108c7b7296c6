"""Rows about what a network makes of a picture: its size, its arithmetic, its neighbours; and about weights files."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import random
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn

from gantools import infer
from gantools.cli import start
from gantools.images.image import Image
from gantools.inference.image import ImageTranslator
from gantools.inference.model import Model, open_model
from gantools.inference.options import InferOptions, Precision
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    ContextEncoderOptions,
    FPNOptions,
    GeneratorOptions,
    ResNetOptions,
    ResNetUNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from tests.faults import damage, ground
from tests.faults.harness import Outcome, Row, Trial

GENERATORS: tuple[GeneratorOptions, ...] = (
    UNetOptions(downs=5, base_channels=4, max_channels=8),
    UNetOptions(downs=8, base_channels=2, max_channels=2, norm="instance"),
    ResNetOptions(base_channels=4, blocks=1),
    SRResNetOptions(channels=4, blocks=1, scale=4),
    CompactSROptions(channels=4, blocks=1, scale=2),
    CompactSROptions(channels=4, blocks=1, scale=4, upsampling_channels=4),
    CompactRestorationOptions(channels=(4, 4), scale_blocks=(1, 1)),
    FPNOptions(base_channels=2, blocks=0, pyramid_channels=4, head_channels=4),
    ContextEncoderOptions(region="full", downs=3, base_channels=4, max_channels=8, bottleneck_channels=8),
    ResNetUNetOptions(encoder="resnet18", base_channels=8),
)
LARGEST_SIDE = 64
SECONDS_PER_WEIGHTS = 2.0


def opened(path: Path, precision: Precision = "auto") -> Model:
    return open_model(path, export=None, device=torch.device("cpu"), precision=precision)


def sizes(trial: Trial) -> Outcome:
    """Pictures of any size through every kind of network: scale × the size, exactly."""
    outcome, rng = Outcome(), trial.random()
    for number, options in enumerate(GENERATORS):
        model = opened(ground.save_weights(trial.folder / f"{number}.safetensors", options))
        corners = [(1, 1), (1, LARGEST_SIDE), (LARGEST_SIDE, 1)]
        drawn = [(rng.randint(1, LARGEST_SIDE), rng.randint(1, LARGEST_SIDE)) for _ in range(trial.count(5, 997))]
        for width, height in corners + drawn:
            made = ImageTranslator(model, InferOptions())(Image(damage.photo(width, height)))
            wanted = model.export.scale * width, model.export.scale * height
            outcome.case(
                (made.width, made.height) == wanted,
                f"{options.name}: {width}×{height} became {made.width}×{made.height}",
            )
    outcome.figures["networks"] = str(len(GENERATORS))
    return outcome


class Overflows(nn.Module):
    """Returns its input where it is computed in float32, and ``beyond`` where it is computed in 16 bits."""

    scale = size_multiple = minimum_size_px = 1
    halo_px = 0
    computed_in: ClassVar[list[torch.dtype]] = []  # of the class: what runs is a copy

    def __init__(self, beyond: float) -> None:
        super().__init__()
        self.beyond = beyond
        self.layer = nn.Conv2d(3, 3, 1, bias=False)
        self.layer.weight.data = torch.eye(3)[..., None, None]

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.layer(image)
        self.computed_in.append(made.dtype)
        return made if made.dtype == torch.float32 else torch.full_like(image, self.beyond)


def overflow(trial: Trial) -> Outcome:
    """What overflows in 16 bits is computed again in float32."""
    outcome, rng, weights = Outcome(), trial.random(), ground.identity(trial.folder)
    for number in range(trial.count(6, 50)):
        precision: Precision = ("bf16", "fp16")[number % 2]
        network = Overflows((math.inf, -math.inf, math.nan)[number % 3]).eval()
        model = replace(opened(weights, precision), network=network)
        given = Image(damage.photo(rng.randint(1, 99), rng.randint(1, 99), seed=number))
        Overflows.computed_in.clear()
        made = ImageTranslator(model, InferOptions())(given).pixels
        kept = np.array_equal(made, given.pixels) and model.autocast in Overflows.computed_in
        outcome.case(kept, f"{precision}: {given.width}×{given.height}, computed in {Overflows.computed_in}")
    return outcome


def neighbours(trial: Trial) -> Outcome:
    """The same bytes come out alone, in a folder, and shuffled among others."""
    outcome, rng, count = Outcome(), trial.random(), trial.count(10, 200)
    names = _mixed(trial.folder / "in", rng, count)
    kinds = {
        "srresnet": SRResNetOptions(channels=8, blocks=2, scale=2),
        "unet": UNetOptions(downs=5, base_channels=8, max_channels=16),
        "resnet": ResNetOptions(base_channels=4, blocks=1),
    }
    for kind, options in kinds.items():
        mode = "train" if kind == "unet" else "eval"  # dropout and batch statistics, as pix2pix is tested
        weights = ground.save_weights(trial.folder / f"{kind}.safetensors", options, mode)
        ways = {"folder": names, "shuffled": rng.sample(names, count), "few": rng.sample(names, count // 3)}
        ways |= {f"alone {name.name}": [name] for name in rng.sample(names, trial.count(2, 20))}
        made = {way: _made(weights, given, trial.folder / kind / way) for way, given in ways.items()}
        for way, found in made.items():
            for name, content in found.items():
                outcome.case(content == made["folder"][name], f"{kind}, {way}: {name}")
    outcome.figures["pictures"] = str(count)
    return outcome


def _mixed(folder: Path, rng: random.Random, count: int) -> list[Path]:
    """Pictures of a few sizes and kinds, so that some could be put through together."""
    folder.mkdir()
    for number in range(count):
        image = PillowImage.fromarray(damage.photo(*rng.choice(((32, 32), (48, 32), (33, 17))), seed=number))
        image.convert(rng.choice(("RGB", "RGB", "L", "P"))).save(folder / f"{number:03d}.png")
    return sorted(folder.iterdir())


def _made(weights: Path, inputs: list[Path], output: Path) -> dict[str, bytes | str]:
    """What becomes of each input, in a run of its own."""
    results = list(infer(weights, inputs, output=f"{output}/", device="cpu"))
    return {
        Path(result.input).name: result.output.read_bytes() if result.output and not result.error else str(result.error)
        for result in results
    }


def weights(trial: Trial) -> Outcome:
    """Weights files that lie, in many ways: one line, exit 2, at once."""
    outcome, rng = Outcome(), trial.random()
    PillowImage.fromarray(damage.photo(8, 8)).save(trial.folder / "in.png")
    intact = ground.identity(trial.folder).read_bytes()
    attacks = itertools.chain(_attacks(intact), _damaged_headers(rng, intact, trial.count(8, 300)))
    slowest = 0.0
    for number, (told, content) in enumerate(attacks):
        path = trial.folder / f"{number:03d}.safetensors"
        path.write_bytes(content)
        code, err, seconds = _refused(path, trial.folder)
        slowest = max(slowest, seconds)
        lines = err.splitlines()
        refused = code == 2 and len(lines) == 1 and lines[0].startswith("gantools: ") and lines[0].isprintable()
        harmless = code == 0 and told == "damaged header"  # a letter in what nobody reads
        outcome.case(
            (refused or harmless) and seconds < trial.patience(SECONDS_PER_WEIGHTS),
            f"{told}: exit {code}, {seconds:.1f} s, {err[-200:]}",
        )
        (trial.folder / "out.png").unlink(missing_ok=True)
        path.unlink()
    outcome.figures["slowest"] = f"{slowest:.2f} s"
    return outcome


def _refused(path: Path, folder: Path) -> tuple[int, str, float]:
    """How ``gantools infer`` ends with these weights, in this process, where torch is imported already."""
    said, started, code = io.StringIO(), time.process_time(), 0
    arguments = ["gantools", "infer", str(path), str(folder / "in.png"), "-o", str(folder / "out.png")]
    argv = mock.patch.object(sys, "argv", [*arguments, "--device", "cpu", "-q"])
    with argv, contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            start.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException as error:
            code, _ = 70, said.write(repr(error))
    return code, said.getvalue(), time.process_time() - started


def _parts(content: bytes) -> tuple[dict[str, object], bytes]:
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _whole(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _attacks(intact: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that are no weights, and weights whose header does not fit what they hold."""
    header, body = _parts(intact)
    length = len(intact) - len(body) - 8
    yield from (
        ("empty", b""),
        ("seven bytes", b"1234567"),
        ("text", b"not weights at all"),
        ("pickle", b"\x80\x02}q\0."),
    )
    yield "zip", b"PK\x03\x04" + bytes(1000)
    for stated in (2**63 - 1, 2**64 - 1, 2**40, 10**9, length + len(body) + 1, length - 1, 0):
        yield f"header of {stated} bytes", struct.pack("<Q", stated) + intact[8:]
    yield "nested", _raw(b"[" * 200_000)
    yield "no JSON", _raw(b"{" + b"x" * 1000)
    yield "blanks", _raw(b" " * 1_000_000 + b"{}")
    yield "many tensors", _raw(_many_tensors(200_000))
    for part in (2, 3):
        yield f"cut to 1/{part}", intact[: len(intact) // part]
    yield "one byte short", intact[:-1]
    yield "one byte more", intact + b"\0"
    yield from ((told, _whole(changed, body)) for told, changed in _changed_tensors(header))
    yield from ((told, _whole(changed, body)) for told, changed in _changed_descriptions(header))


def _raw(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _many_tensors(count: int) -> bytes:
    return json.dumps({f"t{number}": _tensor([0], 0, 0) for number in range(count)}).encode()


def _tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def _changed_tensors(header: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    first = next(key for key in header if key != "__metadata__")
    entry: dict[str, object] = header[first]  # type: ignore[assignment]
    changes: dict[str, dict[str, object]] = {
        "endless shape": {"shape": [2**40, 2**40]},
        "negative shape": {"shape": [-1]},
        "another shape": {"shape": list(reversed([*entry["shape"], 1]))},  # type: ignore[misc]
        "offsets backwards": {"data_offsets": [8, 0]},
        "offsets outside": {"data_offsets": [0, 2**50]},
        "unknown dtype": {"dtype": "F7"},
        "whole numbers": {"dtype": "I32"},
        "no dtype": {"dtype": None},
    }
    for told, change in changes.items():
        yield told, {**header, first: {**entry, **change}}
    yield "a tensor more", {**header, "generator/extra": _tensor([0], 0, 0)}
    yield "a tensor less", {key: value for key, value in header.items() if key != first}
    yield "a tensor of no network", {**header, "nobody/weight": _tensor([0], 0, 0)}


def _changed_descriptions(header: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    described = json.loads(header["__metadata__"]["gantools"])  # type: ignore[index]
    export = described["exports"]["generator"]
    texts: dict[str, object] = {
        "no description": None,
        "description is no JSON": "{",
        "description is a list": "[]",
        "schema of the future": json.dumps({**described, "schema": 99}),
        "no networks": json.dumps({**described, "exports": {}}),
    }
    for told, changed in {
        "a billion blocks": {"options": {**export["options"], "blocks": 10**9}},
        "a million channels": {"options": {**export["options"], "channels": 10**6}},
        "unknown network": {"options": {"name": "nothing"}},
        "unknown option": {"options": {**export["options"], "run": "me"}},
        "a path as network": {"options": {"name": "os:system"}},
        "another scale": {"scale": 7},
        "another mode": {"mode": "exec"},
        "another food": {"takes": "code"},
        "a field more": {"exec": "x"},
    }.items():
        texts[told] = json.dumps({**described, "exports": {"generator": {**export, **changed}}})
    for told, text in texts.items():
        yield told, {**header, "__metadata__": {} if text is None else {"gantools": text}}


def _damaged_headers(rng: random.Random, intact: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    length = len(intact) - len(_parts(intact)[1])
    for _ in range(count):
        damaged = bytearray(intact)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(length)] = rng.randrange(256)
        yield "damaged header", bytes(damaged)


ROWS = (
    Row("sizes", "any size 1…64 × 1…64 through every network: the exact size", sizes),
    Row("overflow", "NaN or infinity in 16 bits: that picture again in fp32", overflow),
    Row("neighbours", "the same bytes alone, in a folder, shuffled", neighbours),
    Row("weights", "lying weights: one line, exit 2, under 2 s", weights),
)
