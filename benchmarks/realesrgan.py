"""Real-ESRGAN on a CPU: gantools beside ncnn, OpenVINO and onnxruntime, on the same image and weights.

    python -m benchmarks.realesrgan RealESRGAN_x4plus.pth [--ncnn realesrgan-x4plus] [--image photo.png]
        [--size 128x96] [--rounds 5] [--threads 1] [--tile 0]

Contenders take turns, so that a busy moment meets them all; medians are printed as Markdown, with the ratio to ours of
the same precision and the mean difference of the 8-bit samples to the plain network's. With one thread the seconds are
those of the processor, to which other processes add nothing; else they are those of the clock. --tile gives the engines
tiles of that side with 10 px around them, as Real-ESRGAN's scripts do, and ours the memory that it takes by itself.
--ncnn names the two files of realesrgan-ncnn without .param and .bin. Engines that are not installed are left out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.engines import PAUSE_SECONDS
from gantools.images import ranges
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.importing import basicsr
from gantools.importing.records import Stored
from gantools.inference.model import Model
from gantools.inference.tiling.forward import translate
from gantools.models.options import RRDBOptions

Run = Callable[[Pixels], Pixels]

PAD_PX = 10


class OnUnit(nn.Module):
    """The network on [0, 1], as the engines get it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        made: Tensor = self.network(image * 2 - 1)
        return (made + 1) / 2


def main() -> None:
    given = parsed()
    torch.set_num_threads(given.threads)
    model = opened(given.weights)
    pixels = photo(given.image, *map(int, given.size.split("x")))
    with tempfile.TemporaryDirectory(prefix="gantools-bench-") as folder:
        runs = dict(contenders(model, pixels, Path(folder), given))
        seconds, made = alternated(runs, pixels, given.rounds, given.threads)
    plain = np.asarray(made["plain torch, fp32"], dtype=int)
    print(f"torch {torch.__version__}, {given.threads} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"\n| {given.weights.stem}, {given.size} | s | / gantools | mean difference |\n|---|---|---|---|")
    for name, each in seconds.items():
        ours = statistics.median(seconds[f"gantools, {name.rpartition(', ')[2]}"])
        apart = np.abs(np.asarray(made[name], dtype=int) - plain).mean()
        print(f"| {name} | {statistics.median(each):.2f} | {statistics.median(each) / ours:.2f} | {apart:.3f} |")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--ncnn", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--size", default="128x96")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tile", type=int, default=0)
    return parser.parse_args()


def opened(path: Path) -> Model:
    content = torch.load(path, map_location="cpu", weights_only=True)
    tensors = content.get("params_ema", content.get("params", content))
    state = {key: Stored(tuple(value.shape), lambda value=value: value) for key, value in tensors.items()}
    found = basicsr.rrdb(state)
    assert found is not None, f"{path}: no RRDBNet"
    return Model("srgan", found.export, RRDBOptions(**found.export.options), found.network(), None)


def photo(path: Path | None, width: int, height: int) -> Pixels:
    """A photo at this size, or coarse noise."""
    if path is None:
        small = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(reader.read_rgb8(path), (width, height), interpolation=cv2.INTER_AREA)


def alternated(
    runs: dict[str, Run], pixels: Pixels, rounds: int, threads: int
) -> tuple[dict[str, list[float]], dict[str, Pixels]]:
    """Seconds of each contender, which take turns after one that warms up; and what each makes."""
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    made = {name: run(pixels) for name, run in runs.items()}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(PAUSE_SECONDS)
            started = clock()
            run(pixels)
            seconds[name].append(clock() - started)
    return seconds, made


# --- the contenders


def contenders(model: Model, pixels: Pixels, folder: Path, given: argparse.Namespace) -> Iterator[tuple[str, Run]]:
    unit = OnUnit(model.network).eval()
    yield "gantools, fp32", lambda image: translate(image, model)
    in_bf16 = Model(model.recipe, model.export, model.options, model.network, torch.bfloat16)
    yield "gantools, bf16", lambda image: translate(image, in_bf16)
    yield "plain torch, fp32", in_tiles(torch.inference_mode()(lambda image: unit(image)), given.tile)
    if given.ncnn and find_spec("ncnn"):
        for name, narrow in (("fp32", False), ("bf16", True)):
            yield f"ncnn, {name}", in_tiles(ncnn_run(given.ncnn, given.threads, narrow=narrow), given.tile)
    if not find_spec("onnxscript"):
        return
    path = folder / "model.onnx"
    sides = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    example = ranges.to_tensor(pixels[:64, :64])
    exported = torch.onnx.export(unit, (example,), dynamo=True, dynamic_shapes={"image": sides}, verbose=False)
    assert exported is not None
    exported.save(str(path))
    if find_spec("onnxruntime"):
        yield "onnxruntime, fp32", in_tiles(onnxruntime_run(path, given.threads), given.tile)
    if find_spec("openvino"):
        yield "OpenVINO, fp32", in_tiles(openvino_run(path, given.threads, "f32"), given.tile)
        yield "OpenVINO, bf16", in_tiles(openvino_run(path, given.threads, "bf16"), given.tile)


def in_tiles(run: Callable[[Tensor], Tensor], tile: int) -> Run:
    """8-bit samples through an engine, whole or in tiles with some pixels around them."""

    def whole(pixels: Pixels) -> Pixels:
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        return (run(image)[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()

    def tiled(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        made = np.empty((4 * height, 4 * width, 3), np.uint8)
        for top in range(0, height, tile):
            for left in range(0, width, tile):
                first, start = max(0, top - PAD_PX), max(0, left - PAD_PX)
                part = whole(pixels[first : top + tile + PAD_PX, start : left + tile + PAD_PX])
                target = made[4 * top : 4 * (top + tile), 4 * left : 4 * (left + tile)]
                inner = part[4 * (top - first) :, 4 * (left - start) :]
                target[:] = inner[: target.shape[0], : target.shape[1]]
        return made

    return tiled if tile else whole


def ncnn_run(path: Path, threads: int, *, narrow: bool) -> Callable[[Tensor], Tensor]:
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads, network.opt.use_bf16_storage = threads, narrow
    network.load_param(f"{path}.param")
    network.load_model(f"{path}.bin")

    def run(image: Tensor) -> Tensor:
        extractor = network.create_extractor()
        samples = image[0].contiguous().numpy()  # ncnn does not keep it
        extractor.input("data", ncnn.Mat(samples))
        _, output = extractor.extract("output")  # what NumPy sees of it is valid as long as it is there
        return torch.from_numpy(np.array(output).copy())[None]

    return run


def onnxruntime_run(path: Path, threads: int) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: torch.from_numpy(session.run(None, {name: image.numpy()})[0])


def openvino_run(path: Path, threads: int, precision: str) -> Callable[[Tensor], Tensor]:
    import openvino

    core, settings = openvino.Core(), {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    return lambda image: torch.from_numpy(compiled([image.numpy()])[0].copy())


if __name__ == "__main__":
    main()
