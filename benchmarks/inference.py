"""How fast images go through networks: gantools beside the loop that one writes by hand, on the same work.

    python -m benchmarks.inference [network] [folder] [process] [layouts] [compile]
    python -m benchmarks.inference … [--images 64] [--rounds 5] [--networks unet,…]
    python -m benchmarks.inference --small
    python -m benchmarks.inference folder --images 1000 --rounds 1 --cold --contenders fp32,bf16

folder: JPEGs → PNGs; the plain loop decodes with Pillow, computes in fp32, encodes with Pillow, one after the other.
network: the network alone. process: seconds to the first image beyond `import torch`, and peak memory of ×4 of
480 × 270. layouts, if named: how many weights oneDNN still brings into another layout at every call. compile, if
named: the network with and without --compile, and what compiling takes. Contenders take turns,
so that a busy moment meets them all; medians and their ratio to the plain loop are printed as Markdown, with the
largest difference of any 8-bit sample to the plain loop's results. Pictures are parts of the photos in ../shared/data
where they are there, else drawn ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn

from gantools import infer
from gantools.checkpoint import weights
from gantools.data.synthetic import drawing
from gantools.images.image import Pixels
from gantools.images.io import reader
from gantools.inference.kernels import onednn
from gantools.inference.kernels.fuse import fuse
from gantools.inference.kernels.select import NetworkVariants
from gantools.inference.model import Model, open_model
from gantools.inference.options import Precision
from gantools.models import GENERATORS
from gantools.models.options import (
    CompactRestorationOptions,
    CompactSROptions,
    FPNOptions,
    GeneratorOptions,
    ResNetOptions,
    SRResNetOptions,
    UNetOptions,
)
from gantools.training.recipe import describe_generator

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A network and the images that go through it."""

    options: GeneratorOptions
    width: int
    height: int


CASES = {
    "unet": Case(UNetOptions(norm="batch"), 256, 256),
    "compact_sr": Case(CompactSROptions(scale=4, channels=48, blocks=10), 200, 150),
    "srresnet": Case(SRResNetOptions(), 120, 90),
    "compact_restoration": Case(CompactRestorationOptions(), 256, 256),
    "fpn": Case(FPNOptions(), 256, 256),
    "resnet": Case(ResNetOptions(), 256, 256),
}
LARGE = Case(CASES["srresnet"].options, 480, 270)
OURS: dict[str, tuple[Precision, bool]] = {
    "fp32": ("fp32", False),
    "bf16": ("bf16", False),
    "fast": ("auto", True),
}


def main() -> None:
    given = parsed()
    cases = {name: CASES[name] for name in given.networks.split(",")}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    with tempfile.TemporaryDirectory(prefix="gantools-bench-") as folder:
        for what in given.what or [table for table in TABLES if table not in ("compile", "layouts")]:
            TABLES[what](cases, Path(folder), given)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="|".join(TABLES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", default=",".join(CASES))
    parser.add_argument(
        "--contenders",
        type=lambda text: text.split(","),
        default=list(OURS),
        help="of the folder, beside the plain loop",
    )
    parser.add_argument("--cold", action="store_true", help="without the turn that warms up: for long folders")
    parser.add_argument("--small", action="store_true", help="a minute: few images, one round")
    given = parser.parse_args()
    if given.small:
        given.images, given.rounds = 8, 1
    return given


# --- the folder


def folder_table(cases: dict[str, Case], folder: Path, given: argparse.Namespace) -> None:
    contenders = given.contenders
    print("| folder of JPEGs → PNGs | plain loop, images/s |", end="")
    print("".join(f" {name}: ratio, difference (busy) |" for name in contenders))
    print("|---|---" + "|---" * len(contenders) + "|")
    for name, case in cases.items():
        place = folder / name
        path, network = save(case, place)
        draw(case, place / "in", given.images)
        print(folder_row(name, case, place, path, network, given), flush=True)
    print()


def folder_row(name: str, case: Case, place: Path, path: Path, network: nn.Module, given: argparse.Namespace) -> str:
    shares: dict[str, list[str]] = {}
    contenders = given.contenders
    runs: dict[str, Callable[[], None]] = {"plain": lambda: plain_loop(network, place / "in", place / "plain")}
    for ours in contenders:
        precision, fast = OURS[ours]
        runs[ours] = lambda ours=ours, precision=precision, fast=fast: shares.setdefault(ours, []).append(
            own_run(path, place / "in", place / ours, precision, fast)
        )
    seconds = alternated(runs, given.rounds, warm=not given.cold)
    plain = statistics.median(seconds["plain"])
    cells = [
        f"{plain / statistics.median(seconds[ours]):.2f}, {difference(place / 'plain', place / ours)}"
        f" ({shares[ours][-1]})"
        for ours in contenders
    ]
    return (
        f"| {name}, {case.width} × {case.height}, {given.images} | {given.images / plain:.1f} | {' | '.join(cells)} |"
    )


def plain_loop(network: nn.Module, given: Path, output: Path) -> None:
    """The loop that test scripts of research code have."""
    output.mkdir(exist_ok=True)
    for path in sorted(given.iterdir()):
        pixels = np.array(Image.open(path).convert("RGB"))
        image = torch.from_numpy(pixels).permute(2, 0, 1).float().div(127.5).sub(1).unsqueeze(0)
        with torch.no_grad():
            made = network(image)
        shown = ((made[0].clamp(-1, 1) + 1) * 127.5 + 0.5).floor().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(shown).save(output / f"{path.stem}.png")


def own_run(path: Path, given: Path, output: Path, precision: Precision, fast: bool) -> str:
    """Run ours; how busy its stages were, in per cent of the time (several threads may sum to more than 100)."""
    started, spent = time.perf_counter(), {"decode": 0.0, "network": 0.0, "encode": 0.0}
    for result in infer(
        path, given, output=output, format="png", overwrite=True, device="cpu", precision=precision, fast=fast
    ):
        assert result.status == "done", result.error
        for stage in spent:
            spent[stage] += getattr(result.stages, stage)
    wall = time.perf_counter() - started
    return ", ".join(f"{stage} {100 * seconds / wall:.0f} %" for stage, seconds in spent.items())


def difference(one: Path, other: Path) -> int:
    """The largest difference of two folders' 8-bit samples."""
    pairs = ((reader.read_rgb8(path), reader.read_rgb8(other / path.name)) for path in sorted(one.iterdir()))
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)


# --- the network alone


def network_table(cases: dict[str, Case], folder: Path, given: argparse.Namespace) -> None:
    print("| network alone, one image | plain, s | fp32: ratio, largest difference | bf16: ratio, mean difference |")
    print("|---|---|---|---|")
    for name, case in {**cases, "srresnet large": LARGE}.items():
        path, network = save(case, folder / name.replace(" ", "-"))
        print(network_row(name, case, path, network, given), flush=True)
    print()


def network_row(name: str, case: Case, path: Path, network: nn.Module, given: argparse.Namespace) -> str:
    model = opened(path)
    image = network_input(case, model)
    made: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        runs = {
            "plain": lambda: made.update(plain=network(image)),
            "fp32": lambda: made.update(fp32=model.variants(image, None)),
            "bf16": lambda: made.update(bf16=model.variants(image, torch.bfloat16)),
        }
        seconds = {key: statistics.median(took) for key, took in alternated(runs, 2 * given.rounds + 1).items()}
    exact = float((made["fp32"] - made["plain"]).abs().max())
    rounded = float((made["bf16"].float() - made["plain"]).abs().mean())
    fp32, bf16 = (seconds["plain"] / seconds[key] for key in ("fp32", "bf16"))
    shape = f"{name}, {image.shape[3]} × {image.shape[2]}"
    return f"| {shape} | {seconds['plain']:.3f} | {fp32:.2f}, {exact:.1e} | {bf16:.2f}, {rounded:.1e} |"


def network_input(case: Case, model: Model) -> torch.Tensor:
    """Noise of a size that the network takes."""
    multiple = model.generator.size_multiple
    height, width = (-(-side // multiple) * multiple for side in (case.height, case.width))
    return torch.rand(1, 3, height, width) * 2 - 1


# --- what oneDNN makes of the weights


def layouts_table(cases: dict[str, Case], folder: Path, given: argparse.Namespace) -> None:  # noqa: ARG001
    """Which layouts oneDNN wants differs with the processor; where it is content none is counted."""
    print("| weights laid out at every call | as torch runs it: fp32, bf16 | packed: fp32, bf16 |\n|---|---|---|")
    for name, case in cases.items():
        path, _ = save(case, folder / f"{name}-layouts")
        model = opened(path)
        image, network = network_input(case, model), fuse(model.network)
        plain, ours = [], []
        for dtype in (torch.float32, torch.bfloat16):
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                plain.append(str(laid_out_anew(network, network, image)))
            works = onednn.is_supported(dtype)
            ours.append(str(laid_out_anew(onednn.pack(network, dtype), network, image)) if works else "not here")
        print(f"| {name}, {image.shape[3]} × {image.shape[2]} | {', '.join(plain)} | {', '.join(ours)} |", flush=True)
    print()


def laid_out_anew(run: nn.Module, network: nn.Module, image: torch.Tensor) -> int:
    """How many weights of ``network`` oneDNN says it has reordered in a second call."""
    with torch.inference_mode(), tempfile.TemporaryFile("w+") as said:
        run(image)
        kept = os.dup(1)
        os.dup2(said.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                run(image)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        said.seek(0)
        rows = [line.split(",") for line in said if ",reorder," in line]
    shapes = [tuple(each.shape) for each in network.parameters() if each.ndim == 4]
    weights = {"x".join(map(str, shape)) for one in shapes for shape in (one, (one[1], one[0], *one[2:]))}
    return sum(row[-2] in weights for row in rows)


# --- compiled


def compile_table(cases: dict[str, Case], folder: Path, given: argparse.Namespace) -> None:
    print("| network alone, one image | without, s | compiled: ratio, largest difference | first call, s | again, s |")
    print("|---|---|---|---|---|")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "compiled")
    for name, case in cases.items():
        path, _ = save(case, folder / name)
        for dtype in (None, torch.bfloat16):
            print(compile_row(name, case, opened(path), dtype, given), flush=True)
    print()


def compile_row(name: str, case: Case, model: Model, dtype: torch.dtype | None, given: argparse.Namespace) -> str:
    image, made = network_input(case, model), dict[str, torch.Tensor]()
    compiled, again = (replace(model, compile=True).variants for _ in range(2))
    with torch.inference_mode():
        first, second = seconds_of(compiled, image, dtype), seconds_of(again, image, dtype)
        runs = {
            "plain": lambda: made.update(plain=model.variants(image, dtype)),
            "compiled": lambda: made.update(compiled=compiled(image, dtype)),
        }
        seconds = {key: statistics.median(took) for key, took in alternated(runs, 2 * given.rounds + 1).items()}
    apart = float((made["compiled"] - made["plain"]).abs().max())
    shape = f"{name}, {image.shape[3]} × {image.shape[2]}, {'bf16' if dtype else 'fp32'}"
    ratio = seconds["plain"] / seconds["compiled"]
    return f"| {shape} | {seconds['plain']:.3f} | {ratio:.2f}, {apart:.1e} | {first:.0f} | {second:.1f} |"


def seconds_of(run: NetworkVariants, image: torch.Tensor, dtype: torch.dtype | None) -> float:
    started = time.perf_counter()
    run(image, dtype)
    return time.perf_counter() - started


# --- whole processes


def process_table(cases: dict[str, Case], folder: Path, given: argparse.Namespace) -> None:  # noqa: ARG001
    small, large = folder / "small.png", folder / "large.png"
    cv2.imwrite(str(small), np.zeros((16, 16, 3), np.uint8))
    cv2.imwrite(str(large), noise(LARGE.width, LARGE.height))
    start = [sys.executable, "-m", "gantools", "-q", "infer"]
    first = [*start, "srgan/psnr", str(small), "-o", str(folder / "small-out.png"), "--overwrite"]
    imports = [sys.executable, "-c", "import torch"]
    runs = {"import torch": lambda: command(imports), "first image": lambda: command(first)}
    seconds = {key: statistics.median(took) for key, took in alternated(runs, 2 * given.rounds + 1).items()}
    print("| process | |\n|---|---|")
    print(f"| `import torch` | {seconds['import torch']:.2f} s |")
    print(f"| first image beyond it | {seconds['first image'] - seconds['import torch']:.2f} s |")
    path, _ = save(LARGE, folder / "large")
    for tile in ("0", "auto"):
        line = [*start, str(path), str(large), "-o", str(folder / "large-out.png"), "--overwrite", "--tile", tile]
        print(f"| peak memory, SRResNet ×4 of 480 × 270, `--tile {tile}` | {peak_mb(line):.0f} MB |", flush=True)
    print()


def command(line: Sequence[str]) -> None:
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"GANTOOLS_DEVICE": "cpu"})


def peak_mb(line: Sequence[str]) -> float:
    """Peak resident memory of a process."""
    watch = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    watch += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    environment = os.environ | {"GANTOOLS_DEVICE": "cpu"}
    told = subprocess.run([sys.executable, "-c", watch, *line], check=True, capture_output=True, env=environment)
    return int(told.stdout.split()[-1]) / 1024


# --- shared


def alternated(runs: dict[str, Callable[[], object]], rounds: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of each contender; they take turns, and a first turn warms everything up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + warm):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn or not warm:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def save(case: Case, folder: Path) -> tuple[Path, nn.Module]:
    """Weights of a fresh network with statistics as training leaves them, and the network itself."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    network = GENERATORS.build(case.options)
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d) and each.running_mean is not None and each.running_var is not None:
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 2)
    network.eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 4 and not parameter.any():  # what starts at zero would leave nothing to compare
            nn.init.normal_(parameter, 0, 0.02)
    export = describe_generator("generator", network, case.options, 64)
    weights.save(folder / "weights.safetensors", "bench", {"generator": export}, {"generator": network}, {})
    return folder / "weights.safetensors", network


def opened(path: Path) -> Model:
    return open_model(path, export=None, device=torch.device("cpu"))


def draw(case: Case, folder: Path, count: int) -> None:
    """JPEGs of the wanted size: parts of photos, or drawn shoes."""
    folder.mkdir()
    found = sorted(PHOTOS.glob("photos_clothing_cc0/*/*.jpg")) if PHOTOS.is_dir() else []
    sources = found[:count] or drawing.draw_dataset("shoes", folder.parent / "drawn", min(count, 16), 256, seed=0)
    for number in range(count):
        photo = reader.read_rgb8(sources[number % len(sources)])
        part = cv2.resize(photo, (case.width, case.height), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), cv2.cvtColor(part, cv2.COLOR_RGB2BGR))


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


TABLES = {
    "network": network_table,
    "layouts": layouts_table,
    "compile": compile_table,
    "folder": folder_table,
    "process": process_table,
}

if __name__ == "__main__":
    main()
