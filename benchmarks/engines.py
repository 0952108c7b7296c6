"""Exported files beside gantools itself: sizes, speed and parity.

    python -m benchmarks.engines [MODEL …] [--side 256] [--rounds 7]
    python -m benchmarks.engines --parity

MODEL is whatever `gantools infer` takes; without any, all shipped weights. Each is exported, and one image of --side
px (of an enlarging network a quarter of it) goes through gantools, through onnxruntime, and through OpenVINO where it
is installed. They take turns, with as many threads as torch has (OMP_NUM_THREADS); medians are printed as Markdown.
--parity exports every generator of the tables, small and with random weights, with options that are hard to export.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from gantools import api
from gantools.checkpoint import weights
from gantools.checkpoint.weights import Export, Latent
from gantools.errors import GantoolsError
from gantools.exporting import latent_file
from gantools.exporting.options import ExportOptions
from gantools.generation.model import LatentModel
from gantools.inference import find_weights
from gantools.inference.onnx_session import open_session
from gantools.inference.options import InferOptions
from gantools.inference.run import open_weights
from gantools.models import GENERATORS, LATENT_GENERATORS
from gantools.models.options import GeneratorOptions
from gantools.pretrained import catalogue
from gantools.training.recipe import describe_generator

HARD: list[dict[str, Any]] = [
    {"name": "unet", "downs": 3, "base_channels": 4, "norm": "instance", "upsampling": "source"},
    {"name": "unet", "downs": 3, "base_channels": 4, "norm": "group", "skip_activation": "leaky_relu"},
    {"name": "resnet", "base_channels": 4, "blocks": 2, "upsampling": "resize", "global_residual": True},
    {"name": "resnet", "base_channels": 4, "blocks": 2, "downsampling": "blurred", "upsampling": "bilinear"},
    {"name": "srresnet", "channels": 4, "blocks": 2, "scale": 8, "tanh": True},
    {"name": "srresnet", "channels": 4, "blocks": 2, "norm": "instance", "body_end": "prelu"},
    {"name": "rrdb", "channels": 4, "growth_channels": 4, "blocks": 1},
    {"name": "rrdb", "channels": 4, "growth_channels": 4, "blocks": 1, "scale": 2, "unshuffle": 2},
    {"name": "msrresnet", "channels": 4, "blocks": 2, "scale": 3},
    {"name": "srvgg", "channels": 4, "blocks": 2},
    {"name": "compact_sr", "channels": 4, "blocks": 1, "scale": 3},
    {"name": "compact_sr", "channels": 4, "blocks": 1, "scale": 4, "upsampling_channels": 4},
    {"name": "compact_restoration", "channels": (4, 4, 8), "scale_blocks": (1, 1, 1)},
    {"name": "fpn", "base_channels": 4, "pyramid_channels": 4, "head_channels": 4},
    {"name": "context_encoder", "downs": 2, "base_channels": 4, "bottleneck_channels": 8},
    {"name": "context_encoder", "downs": 2, "base_channels": 4, "bottleneck_channels": 8, "residual": True,
     "overlap_px": 1},
    {"name": "context_encoder", "downs": 2, "base_channels": 4, "bottleneck_channels": 8, "region": "full",
     "skips": True},
    {"name": "resnet_unet", "encoder": "resnet18", "base_channels": 8},
    {"name": "resnet_unet", "encoder": "resnet34", "base_channels": 8, "self_attention": False, "weight_norm": False},
]  # fmt: skip

LATENT: list[dict[str, Any]] = [
    {"name": "mlp", "latent": Latent(100), "hidden": (8,)},
    {"name": "dcgan", "latent": Latent(100), "base_channels": 4},
    {"name": "dense_conv", "latent": Latent(100, classes=("a", "b")), "condition_size": 2, "channels": (4, 4)},
    {"name": "laplacian", "latent": Latent(100 + 16**2 + 32**2, levels=3), "units": 8, "features": 4},
    {"name": "progressive", "latent": Latent(512, levels=7), "channel_base": 64, "max_channels": 8},
    {"name": "stack", "latent": Latent(356, text_size=5), "text_size": 5, "base_channels": 4},
    {"name": "style", "latent": Latent(512, rows=14), "channel_base": 64, "max_channels": 8},
]

PAUSE_SECONDS = 0.2
"""After an engine's turn its threads stay busy for a while, waiting for more work."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Exported files beside gantools itself.")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parity", action="store_true")
    given = parser.parse_args()
    shipped = [each for each in catalogue.installed() if each.shipped]
    models = given.models or [each.name for each in shipped if find_weights.takes(each.path, None) != "latent"]
    with tempfile.TemporaryDirectory() as folder:
        for line in parity_table(Path(folder)) if given.parity else speed_table(models, Path(folder), given):
            print(line, flush=True)


def parity_table(folder: Path) -> Iterator[str]:
    yield "| network | options | input → largest difference |"
    yield "|---|---|---|"
    for each in LATENT:
        yield latent_row(**each)
    missing = [{"name": name} for name in GENERATORS.names() if name not in {each["name"] for each in HARD}]
    for each in [*HARD, *missing]:
        options = TypeAdapter(GeneratorOptions).validate_python(each)
        torch.manual_seed(0)
        network = GENERATORS.build(options)
        for parameter in network.parameters():
            if not parameter.any():  # last layers that start at zero
                nn.init.normal_(parameter, std=0.1)
        export = describe_generator("generator", network, options, 64)
        path = folder / "network.safetensors"
        weights.save(path, "demo", {"generator": export}, {"generator": network}, {})
        changed = ", ".join(f"{key} {value}" for key, value in each.items() if key != "name")
        try:
            found = api.export_model(path, folder / "network.onnx", overwrite=True)
            yield f"| {options.name} | {changed} | {', '.join(map(str, found.differences))} |"
        except GantoolsError as error:
            yield f"| {options.name} | {changed} | FAILED: {error} |"


def latent_row(name: str, latent: Latent, **options: Any) -> str:
    torch.manual_seed(0)
    network = LATENT_GENERATORS.factory(name)(**options).requires_grad_(False).eval()
    export = Export("generator", {"name": name}, 1, 1, takes="latent", latent=latent)
    model = LatentModel("demo", export, network, torch.device("cpu"))
    header = {"schema": 1, "recipe": "demo", "exports": {}, "about": {}}
    try:
        _, found, _ = latent_file.made(".onnx", model, header, ExportOptions())
    except GantoolsError as error:
        return f"| {name} | | FAILED: {error} |"
    return f"| {name} | | {', '.join(map(str, found))} |"


def speed_table(models: list[str], folder: Path, given: argparse.Namespace) -> Iterator[str]:
    engines = ["gantools", "onnxruntime", *(["openvino"] if find_spec("openvino") else [])]
    yield f"{torch.get_num_threads()} threads; {given.rounds} rounds; ms, and how many times as fast as onnxruntime"
    yield f"| weights | input | MB: weights, onnx, onnx --half, pt2 | {' | '.join(engines)} | largest difference |"
    yield "|---|---|---|" + "---|" * (len(engines) + 1)
    for name in models:
        yield speed_row(name, folder, given)


def speed_row(name: str, folder: Path, given: argparse.Namespace) -> str:
    path = find_weights.resolve(name)
    outputs = {"onnx": folder / "m.onnx", "half": folder / "half.onnx", "pt2": folder / "m.pt2"}
    sizes = [path.stat().st_size]
    for kind, output in outputs.items():
        try:
            api.export_model(name, output, overwrite=True, half=kind == "half")
            sizes.append(output.stat().st_size)
        except GantoolsError as error:
            print(f"{name}: {kind}: {error}", flush=True)
            sizes.append(0)
    model, _ = open_weights(path, InferOptions(device="cpu"))
    multiple, least = model.generator.size_multiple, model.generator.minimum_size_px
    wanted = given.side if model.generator.scale == 1 else given.side // 4
    side = max(-(-wanted // multiple) * multiple, least)
    image = torch.rand(1, model.options.in_channels, side, side) * 2 - 1
    session = open_session(outputs["onnx"], "cpu")
    runs: dict[str, Callable[[], Any]] = {
        "gantools": lambda: torch.inference_mode()(model.variants)(image, None).numpy(),
        "onnxruntime": lambda: session.run(image.numpy()),
    }
    if find_spec("openvino"):
        runs["openvino"] = openvino_run(outputs["onnx"], image.numpy())
    made = {engine: run() for engine, run in runs.items()}
    times: dict[str, list[float]] = {engine: [] for engine in runs}
    for _ in range(given.rounds):
        for engine, run in runs.items():
            time.sleep(PAUSE_SECONDS)
            started = time.perf_counter()
            run()
            times[engine].append(1000 * (time.perf_counter() - started))
    median = {engine: statistics.median(each) for engine, each in times.items()}
    shown = [f"{each:.1f} ({median['onnxruntime'] / each:.2f}×)" for each in median.values()]
    apart = max(float(np.abs(each - made["gantools"]).max()) for each in made.values())
    megabytes = ", ".join(f"{size / 1e6:.1f}" for size in sizes)
    return f"| {name} | {side}×{side} | {megabytes} | {' | '.join(shown)} | {apart:.0e} |"


def openvino_run(path: Path, image: Any) -> Callable[[], Any]:
    """The file as OpenVINO runs it, in float32."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda: compiled(image)[0]


if __name__ == "__main__":
    main()
